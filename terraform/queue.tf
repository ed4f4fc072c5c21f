locals {
  # The maximum that SQS allows.
  message_retention_seconds = 14 * 24 * 3600

  # On AWS each of these also allows the batch call. The emulator needs the batch call by name.
  send_actions              = concat(["sqs:SendMessage"], var.emulated ? ["sqs:SendMessageBatch"] : [])
  publish_actions           = concat(["sns:Publish"], var.emulated ? ["sns:PublishBatch"] : [])
  change_visibility_actions = concat(["sqs:ChangeMessageVisibility"], var.emulated ? ["sqs:ChangeMessageVisibilityBatch"] : [])

  queues = merge(
    {
      activities              = aws_sqs_queue.activities
      activities_dead_letters = aws_sqs_queue.activities_dead_letters
      pipe_dead_letters       = aws_sqs_queue.pipe_dead_letters
      snapshot_dead_letters   = aws_sqs_queue.snapshot_dead_letters
    },
    { for name, queue in aws_sqs_queue.event_pipe_dead_letters : "${name}_pipe_dead_letters" => queue },
    { for name in ["rewards"] : name => aws_sqs_queue.rewards[0] if local.has_quests },
    { for name in ["rewards_dead_letters"] : name => aws_sqs_queue.rewards_dead_letters[0] if local.has_quests },
    { for name in ["bridge"] : name => aws_sqs_queue.bridge[0] if local.has_bridge },
    { for name in ["bridge_dead_letters"] : name => aws_sqs_queue.bridge_dead_letters[0] if local.has_bridge },
    { for name in ["events"] : name => aws_sqs_queue.events[0] if local.has_event_queue },
    { for name in ["events_dead_letters"] : name => aws_sqs_queue.events_dead_letters[0] if local.has_event_queue },
    aws_sqs_queue.notices,
    { for name, queue in aws_sqs_queue.notices_dead_letters : "${name}_dead_letters" => queue },
  )

  # Which topic delivers to which queues: to the first, and what it cannot deliver to the second.
  delivered = merge(
    { for name in ["rewards", "rewards_dead_letters", "bridge", "bridge_dead_letters"] : name => "facts" },
    { for name in keys(local.destinations) : name => "coins" },
    { for name in keys(local.destinations) : "${name}_dead_letters" => "coins" },
  )
}

resource "aws_sqs_queue" "activities" {
  name                      = "${local.name}-activities"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  # Six times the function's timeout, as AWS recommends, so that a message is not redelivered while a slow
  # invocation still processes it.
  visibility_timeout_seconds = 6 * local.aggregator_timeout_seconds

  # The aggregator sends a message that can never be counted to the DLQ at once. What keeps failing waits for an outage
  # to end, for as long as the queue keeps it: 1,000 receives, the most that SQS allows, with the aggregator's pauses take
  # 19 days. A message whose invocations crash returns after the visibility timeout, and uses them up in 50 hours.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.activities_dead_letters.arn
    maxReceiveCount     = 1000
  })

  tags = { stage = "queue" }
}

resource "aws_sqs_queue" "activities_dead_letters" {
  name                      = "${local.name}-activities-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "queue" }
}

# Positions of the stream records that the pipe gave up.
resource "aws_sqs_queue" "pipe_dead_letters" {
  name                      = "${local.name}-pipe-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "stream" }
}

# Snapshot runs that failed or that the scheduler could not start. The next run makes up for them, so one day is
# enough to find the cause.
resource "aws_sqs_queue" "snapshot_dead_letters" {
  name                      = "${local.name}-snapshot-dlq"
  message_retention_seconds = 24 * 3600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "snapshot" }
}

resource "aws_sqs_queue_redrive_allow_policy" "activities_dead_letters" {
  queue_url = aws_sqs_queue.activities_dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.activities.arn]
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "no_source" {
  for_each = {
    for name, queue in local.queues : name => queue
    if !contains(["activities_dead_letters", "rewards_dead_letters", "events_dead_letters", "bridge_dead_letters"], name) && !contains([for name in keys(local.destinations) : "${name}_dead_letters"], name)
  }

  queue_url            = each.value.id
  redrive_allow_policy = jsonencode({ redrivePermission = "denyAll" })
}

resource "aws_sqs_queue_policy" "tls_only" {
  for_each = local.queues

  queue_url = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [merge(local.tls_only, {
        Action   = "sqs:*"
        Resource = each.value.arn
      })],
      [
        for name, topic in aws_sns_topic.events : {
          Sid       = "Deliver"
          Effect    = "Allow"
          Principal = { Service = "sns.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = each.value.arn
          Condition = { ArnEquals = { "aws:SourceArn" = topic.arn } }
        } if try(local.delivered[each.key] == name, false)
      ],
      [
        for rule in aws_cloudwatch_event_rule.events : {
          Sid       = "Deliver"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = each.value.arn
          Condition = { ArnEquals = { "aws:SourceArn" = rule.arn } }
        } if contains(["events", "events_dead_letters"], each.key)
      ],
    )
  })
}
