# Activities that come by a queue, where anything sends to it: a rule of an EventBridge bus -> queue -> ingest. Posting over
# HTTP depends on none of it.

locals {
  # Whatever sends to the queue of events.
  has_event_queue = var.event_bus != null || local.has_bridge

  # As many as ingest takes over HTTP at once, and few invocations at a time, so that a burst of events leaves most of ingest's
  # concurrency to those who post. Two invocations store some thousand events a second.
  events = { batch_size = 100, window_seconds = 1, concurrency = 2 }
}

resource "aws_sqs_queue" "events" {
  count = local.has_event_queue ? 1 : 0

  name                      = "${local.name}-events"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  # Both as for the queue of the activities, for the same reasons: see queue.tf.
  visibility_timeout_seconds = 6 * local.aggregator_timeout_seconds
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.events_dead_letters[0].arn
    maxReceiveCount     = 1000
  })

  tags = { stage = "ingest" }
}

# What is no valid activity, and what the rule could not deliver.
resource "aws_sqs_queue" "events_dead_letters" {
  count = local.has_event_queue ? 1 : 0

  name                      = "${local.name}-events-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "ingest" }
}

resource "aws_sqs_queue_redrive_allow_policy" "events_dead_letters" {
  count = local.has_event_queue ? 1 : 0

  queue_url = aws_sqs_queue.events_dead_letters[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events[0].arn]
  })
}

resource "aws_lambda_event_source_mapping" "events" {
  count = local.has_event_queue ? 1 : 0

  event_source_arn                   = aws_sqs_queue.events[0].arn
  function_name                      = module.ingest.alias_arn
  batch_size                         = local.events.batch_size
  maximum_batching_window_in_seconds = local.events.window_seconds
  # Only the failed messages of a batch are redelivered.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = local.events.concurrency
  }

  tags = { stage = "ingest" }
}

resource "aws_cloudwatch_event_rule" "events" {
  count = var.event_bus == null ? 0 : 1

  name           = "${local.name}-events"
  description    = "Sends the events that become activities to the queue of ${local.name}."
  event_bus_name = var.event_bus.name
  event_pattern  = var.event_bus.pattern
  tags           = { stage = "ingest" }
}

resource "aws_cloudwatch_event_target" "events" {
  count = var.event_bus == null ? 0 : 1

  rule           = aws_cloudwatch_event_rule.events[0].name
  event_bus_name = var.event_bus.name
  arn            = aws_sqs_queue.events[0].arn

  # The longest that EventBridge tries.
  retry_policy {
    maximum_event_age_in_seconds = 24 * 3600
    maximum_retry_attempts       = 185
  }
  dead_letter_config {
    arn = aws_sqs_queue.events_dead_letters[0].arn
  }

  # EventBridge does not try again what the queue's policy forbids.
  depends_on = [aws_sqs_queue_policy.tls_only]
}
