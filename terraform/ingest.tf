module "ingest" {
  source = "./modules/function"

  name                 = "${local.name}-ingest"
  stage                = "ingest"
  description          = "Takes activities over HTTP and keeps each as a fact."
  zip                  = "${var.functions_dir}/ingest/bootstrap.zip"
  architecture         = var.architecture
  memory_mb            = var.function_memory_mb.ingest
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.ingest : -1
  kms_key_arn          = var.kms_key_arn
  log_level            = var.log_level
  log_retention_days   = var.log_retention_days
  alarm_topic_arn      = aws_sns_topic.alarms.arn
  alarm_descriptions = {
    errors    = local.alarm_descriptions["ingest-errors"]
    throttles = local.alarm_descriptions["ingest-throttles"]
  }

  environment = {
    ENVIRONMENT           = var.environment
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    SCORING_POLICY        = jsonencode(var.scoring_policy)
    MAX_ACTIVITY_AGE_DAYS = coalesce(var.max_activity_age_days, "unlimited")
  }

  statements = concat(local.kms_statements, [{
    sid       = "KeepFacts"
    actions   = ["dynamodb:PutItem"]
    resources = [aws_dynamodb_table.activities.arn]
  }])
}

module "ingest_url" {
  source = "./modules/function_url"

  function_name = module.ingest.name
  alias_name    = module.ingest.alias_name
  alias_arn     = module.ingest.alias_arn
  auth          = var.ingest_auth
}

# To be attached to whoever posts activities to a closed URL. Both actions are needed; the second one is of no
# use beside the URL.
resource "aws_iam_policy" "post_activities" {
  name        = "${local.name}-post-activities"
  description = "Allows posting activities to the Podium deployment ${var.environment}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "CallUrl"
        Effect    = "Allow"
        Action    = "lambda:InvokeFunctionUrl"
        Resource  = module.ingest.alias_arn
        Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }
      },
      {
        Sid       = "InvokeByUrl"
        Effect    = "Allow"
        Action    = "lambda:InvokeFunction"
        Resource  = module.ingest.alias_arn
        Condition = { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }
      },
    ]
  })
  tags = { stage = "ingest" }
}
