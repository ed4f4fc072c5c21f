locals {
  aggregator_timeout_seconds = 30

  batching = {
    prompt  = { size = 10, window_seconds = 0 }
    thrifty = { size = 500, window_seconds = 1 }
  }[var.batching]
}

module "aggregator" {
  source = "./modules/function"

  stage                = "aggregator"
  description          = "Counts each activity exactly once."
  memory_mb            = var.function_memory_mb.aggregator
  timeout_seconds      = local.aggregator_timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.aggregator : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.aggregator

  environment = {
    DEDUP_TABLE           = aws_dynamodb_table.dedup.name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    STANDING_SHARDS       = var.standing_shards
    TIME_ZONE             = var.time_zone
    SEASONS               = jsonencode(var.seasons)
    SCORING_POLICY        = local.scoring_policy
    PERIOD_GRACE_HOURS    = var.period_grace_hours
    TIE_BREAK             = var.tie_break
    QUEUE_URL             = aws_sqs_queue.activities.url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.activities_dead_letters.url
  }

  statements = concat(local.kms_statements.aggregator, [
    {
      # PutItem writes a day's sum of a kind with max_per_day, in one transaction with the standing.
      sid       = "FindAndSpillKeys"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:PutItem"]
      resources = [aws_dynamodb_table.dedup.arn]
    },
    {
      # Statements write the standings, and UpdateItem those in a transaction. GetItem reads which generations to
      # count into, and UpdateItem also writes their rules and the counted heartbeats.
      sid = "Count"
      actions = [
        "dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
        "dynamodb:GetItem", "dynamodb:UpdateItem",
      ]
      resources = [aws_dynamodb_table.standings.arn]
    },
    {
      sid = "TakeMessages"
      actions = concat(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        local.change_visibility_actions,
      )
      resources = [aws_sqs_queue.activities.arn]
    },
    {
      sid       = "SendToDlq"
      actions   = local.send_actions
      resources = [aws_sqs_queue.activities_dead_letters.arn]
    },
  ])
}

resource "aws_lambda_event_source_mapping" "activities" {
  event_source_arn                   = aws_sqs_queue.activities.arn
  function_name                      = module.aggregator.alias_arn
  batch_size                         = local.batching.size
  maximum_batching_window_in_seconds = local.batching.window_seconds
  # Only the failed messages of a batch are redelivered.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.function_concurrency.aggregator
  }

  tags = { stage = "aggregator" }
}
