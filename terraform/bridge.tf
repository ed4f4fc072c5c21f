# Moving in from another system, while that is under way: its stream -> function -> queue of events, and topic of facts ->
# queue -> function -> its table. Neither counting nor posting depends on any of it.

locals {
  has_bridge = var.legacy != null

  bridge_timeout_seconds = 30

  # The stream's ARN is that of its table, with a suffix.
  legacy_table_arn = local.has_bridge ? split("/stream/", var.legacy.stream_arn)[0] : null

  # What crates/bridge/src/mapping.rs has for the published system.
  legacy_mapping = local.has_bridge ? coalesce(var.legacy.mapping, jsonencode({
    table = "${var.legacy.prefix}-Activities"
    map = {
      activity_id = "event_id"
      user_id     = "employee_id"
      program_id  = "program_id"
      kind        = "activity_type"
      occurred_at = "ts"
      points      = "points_awarded"
    }
    joined = { ts_event = ["ts", "event_id"] }
  })) : null
}

# Facts to carry back.
resource "aws_sqs_queue" "bridge" {
  count = local.has_bridge ? 1 : 0

  name                      = "${local.name}-bridge"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  # Both as for the queue of the activities, for the same reasons: see queue.tf.
  visibility_timeout_seconds = 6 * local.bridge_timeout_seconds
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.bridge_dead_letters[0].arn
    maxReceiveCount     = 1000
  })

  tags = { stage = "bridge" }
}

# Items that are no activities, facts that cannot be carried back, and positions of the stream that the mapping gave up.
resource "aws_sqs_queue" "bridge_dead_letters" {
  count = local.has_bridge ? 1 : 0

  name                      = "${local.name}-bridge-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "bridge" }
}

resource "aws_sqs_queue_redrive_allow_policy" "bridge_dead_letters" {
  count = local.has_bridge ? 1 : 0

  queue_url = aws_sqs_queue.bridge_dead_letters[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.bridge[0].arn]
  })
}

resource "aws_sns_topic_subscription" "bridge" {
  count = local.has_bridge ? 1 : 0

  topic_arn            = aws_sns_topic.events["facts"].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.bridge[0].arn
  raw_message_delivery = true
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.bridge_dead_letters[0].arn })

  # The topic does not try again what the queue's policy forbids.
  depends_on = [aws_sqs_queue_policy.tls_only]
}

module "bridge" {
  source = "./modules/function"
  count  = local.has_bridge ? 1 : 0

  stage                = "bridge"
  description          = "Carries activities over from another system's table, and back into it."
  memory_mb            = var.function_memory_mb.bridge
  timeout_seconds      = local.bridge_timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.bridge : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.bridge

  environment = {
    LEGACY_MAPPING        = local.legacy_mapping
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    EVENT_QUEUE_URL       = aws_sqs_queue.events[0].url
    QUEUE_URL             = aws_sqs_queue.bridge[0].url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.bridge_dead_letters[0].url
  }

  statements = concat(local.kms_statements.bridge, [
    {
      sid       = "ReadStream"
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
      resources = [var.legacy.stream_arn]
    },
    {
      sid       = "CarryBack"
      actions   = ["dynamodb:PutItem"]
      resources = [local.legacy_table_arn]
    },
    {
      # The scoring policy, and the notes of who was erased.
      sid       = "ReadRules"
      actions   = ["dynamodb:GetItem"]
      resources = [aws_dynamodb_table.standings.arn]
    },
    {
      sid = "TakeMessages"
      actions = concat(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        local.change_visibility_actions,
      )
      resources = [aws_sqs_queue.bridge[0].arn]
    },
    {
      sid       = "SendOver"
      actions   = local.send_actions
      resources = [aws_sqs_queue.events[0].arn, aws_sqs_queue.bridge_dead_letters[0].arn]
    },
  ])
}

# What was written before is carried over by podium migrate backfill; the overlap counts once.
resource "aws_lambda_event_source_mapping" "legacy" {
  count = local.has_bridge ? 1 : 0

  event_source_arn                   = var.legacy.stream_arn
  function_name                      = module.bridge[0].alias_arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 0
  bisect_batch_on_function_error     = true
  # As for the pipe: see stream.tf.
  maximum_retry_attempts        = local.reading.retry_attempts
  maximum_record_age_in_seconds = local.reading.record_age_seconds
  function_response_types       = ["ReportBatchItemFailures"]

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.bridge_dead_letters[0].arn
    }
  }

  tags = { stage = "bridge" }
}

resource "aws_lambda_event_source_mapping" "bridge" {
  count = local.has_bridge ? 1 : 0

  event_source_arn                   = aws_sqs_queue.bridge[0].arn
  function_name                      = module.bridge[0].alias_arn
  batch_size                         = 10
  maximum_batching_window_in_seconds = 0
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.function_concurrency.bridge
  }

  tags = { stage = "bridge" }
}
