module "ingest" {
  source = "./modules/function"

  stage                = "ingest"
  description          = "Accepts activities and corrections over HTTP, and activities from a queue, and stores each as a fact."
  memory_mb            = var.function_memory_mb.ingest
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.ingest : -1
  settings             = local.function_settings
  # A kind that a deployment adds to the scoring policy must be known to the aggregator before ingest accepts it. Else
  # the first activities of that kind become dead letters.
  after  = module.aggregator.live_version
  alarms = local.function_alarm_targets.ingest

  environment = merge(
    local.access_environment,
    {
      ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
      SCORING_POLICY        = local.scoring_policy
      MAX_ACTIVITY_AGE_DAYS = coalesce(var.max_activity_age_days, "unlimited")
      EVENT_MAPPING         = jsonencode(var.event_mapping)
    },
    { for name, queue in { QUEUE_URL = aws_sqs_queue.events, DEAD_LETTER_QUEUE_URL = aws_sqs_queue.events_dead_letters } : name => queue[0].url if local.has_event_queue },
  )

  # One activity is put, several are inserted in one call. A refused insert does not return the fact in its way, so
  # ingest reads it to compare. GetItem finds the activity that a correction voids, and Query lists a user's corrections.
  statements = concat(
    local.kms_statements.ingest,
    [{
      sid       = "KeepFacts"
      actions   = ["dynamodb:PutItem", "dynamodb:PartiQLInsert", "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.activities.arn]
    }],
    [
      for queue in aws_sqs_queue.events : {
        sid       = "TakeMessages"
        actions   = concat(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], local.change_visibility_actions)
        resources = [queue.arn]
      }
    ],
    [
      for queue in aws_sqs_queue.events_dead_letters : {
        sid       = "SendToDlq"
        actions   = local.send_actions
        resources = [queue.arn]
      }
    ],
  )
}

resource "aws_lambda_function_url" "ingest" {
  function_name      = module.ingest.name
  qualifier          = module.ingest.alias_name
  authorization_type = "AWS_IAM"
}

moved {
  from = module.ingest_url.aws_lambda_function_url.this
  to   = aws_lambda_function_url.ingest
}

# Attach this to the roles and users that post activities with signed requests.
resource "aws_iam_policy" "post_activities" {
  name        = "${local.name}-post-activities"
  description = "Allows posting activities to the Podium deployment ${var.environment}."
  policy      = local.url_policies.ingest
  tags        = { stage = "ingest" }
}
