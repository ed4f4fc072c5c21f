module "serve" {
  source = "./modules/function"

  stage                = "serve"
  description          = "Serves boards from the newest snapshot."
  memory_mb            = var.function_memory_mb.serve
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.serve : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.serve

  environment = {
    SNAPSHOTS_TABLE        = aws_dynamodb_table.snapshots.name
    STANDINGS_TABLE        = aws_dynamodb_table.standings.name
    STANDING_SHARDS        = var.standing_shards
    TIME_ZONE              = var.time_zone
    SNAPSHOT_EVERY_SECONDS = local.snapshot_every_seconds
    STALE_AGE_SECONDS      = local.stale_age_seconds
    STALE_LAG_SECONDS      = var.stale.lag_seconds
    STALE_BACKLOG          = var.stale.backlog
    ALLOWED_ORIGIN         = var.allowed_origin
    SERVE_AUTH             = var.serve_auth
  }

  statements = concat(local.kms_statements.serve, [
    {
      sid       = "ReadSnapshots"
      actions   = ["dynamodb:GetItem"]
      resources = [aws_dynamodb_table.snapshots.arn]
    },
    {
      sid       = "ReadStandings"
      actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.standings.arn]
    },
  ])
}

module "serve_url" {
  source = "./modules/function_url"

  function_name = module.serve.name
  alias_name    = module.serve.alias_name
  alias_arn     = module.serve.alias_arn
  auth          = var.serve_auth
}
