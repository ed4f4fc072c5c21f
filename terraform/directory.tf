# Only the HTTP API calls it: it has no URL, so a signature does not reach people's profiles.
module "directory" {
  source = "./modules/function"

  stage                = "directory"
  description          = "Lets admins read and edit people's profiles."
  memory_mb            = var.function_memory_mb.directory
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.directory : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.directory

  environment = merge(local.access_environment, {
    PEOPLE_TABLE = aws_dynamodb_table.people.name
  })

  statements = concat(local.kms_statements.directory, [{
    sid       = "KeepProfiles"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query"]
    resources = [aws_dynamodb_table.people.arn]
  }])
}
