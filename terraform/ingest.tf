module "ingest" {
  source = "./modules/function"

  stage                = "ingest"
  description          = "Accepts activities over HTTP and stores each as a fact."
  memory_mb            = var.function_memory_mb.ingest
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.ingest : -1
  settings             = local.function_settings
  # A kind that a deployment adds to the scoring policy must be known to the aggregator before ingest accepts it. Else
  # the first activities of that kind become dead letters.
  after  = module.aggregator.live_version
  alarms = local.function_alarm_targets.ingest

  environment = {
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    SCORING_POLICY        = jsonencode(var.scoring_policy)
    MAX_ACTIVITY_AGE_DAYS = coalesce(var.max_activity_age_days, "unlimited")
  }

  # One activity is put, several are inserted in one call. A refused insert does not return the fact in its way, so
  # ingest reads it to compare.
  statements = concat(local.kms_statements.ingest, [{
    sid       = "KeepFacts"
    actions   = ["dynamodb:PutItem", "dynamodb:PartiQLInsert", "dynamodb:BatchGetItem"]
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

# Attach this to the roles or users that post activities while ingest_auth is AWS_IAM. AWS requires both actions. The
# second allows an invocation through the URL only.
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
