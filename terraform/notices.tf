# Telling others of coins, where anyone is to be told: topic of coins -> a queue for each destination -> function -> webhook,
# or topic for mail. Each destination has a queue of its own, so that one that is down delays no other.

locals {
  has_notices = length(local.destinations) > 0

  # By the name of the queue.
  destinations = merge(
    { for id, webhook in var.webhooks : "webhook-${id}" => { id = id, to = { url = webhook.url, secret_id = webhook.secret_arn } } },
    { for id in ["mail"] : id => { id = id, to = { topic_arn = one(aws_sns_topic.coin_mail[*].arn) } } if local.has_coin_mail },
  )
  has_coin_mail = length(var.coin_mail) > 0

  notifier_timeout_seconds = 30
}

resource "aws_sqs_queue" "notices" {
  for_each = local.destinations

  name                      = "${local.name}-${each.key}"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  # As for the queue of the activities: see queue.tf. The function gives an event up after three days, with its reason.
  visibility_timeout_seconds = 6 * local.notifier_timeout_seconds
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.notices_dead_letters[each.key].arn
    maxReceiveCount     = 1000
  })

  tags = { stage = "notices" }
}

# Events that could not be sent, and those that the topic could not deliver.
resource "aws_sqs_queue" "notices_dead_letters" {
  for_each = local.destinations

  name                      = "${local.name}-${each.key}-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "notices" }
}

resource "aws_sqs_queue_redrive_allow_policy" "notices_dead_letters" {
  for_each = local.destinations

  queue_url = aws_sqs_queue.notices_dead_letters[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.notices[each.key].arn]
  })
}

resource "aws_sns_topic_subscription" "notices" {
  for_each = local.destinations

  topic_arn            = aws_sns_topic.events["coins"].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.notices[each.key].arn
  raw_message_delivery = true
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.notices_dead_letters[each.key].arn })

  # The topic does not try again what the queue's policy forbids.
  depends_on = [aws_sqs_queue_policy.tls_only]
}

# The topic for people, who get one mail for each coin that is issued or revoked. Each of them confirms a first mail.
resource "aws_sns_topic" "coin_mail" {
  count = local.has_coin_mail ? 1 : 0

  name              = "${local.name}-coin-mail"
  display_name      = "Podium"
  kms_master_key_id = coalesce(var.kms_key_arn, "alias/aws/sns")
  tags              = { stage = "notices" }
}

resource "aws_sns_topic_policy" "coin_mail" {
  count = local.has_coin_mail ? 1 : 0

  arn = aws_sns_topic.coin_mail[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(local.tls_only, {
      Action   = "sns:Publish"
      Resource = aws_sns_topic.coin_mail[0].arn
    })]
  })
}

resource "aws_sns_topic_subscription" "coin_mail" {
  for_each = toset(var.coin_mail)

  topic_arn = aws_sns_topic.coin_mail[0].arn
  protocol  = "email"
  endpoint  = each.key
}

module "notifier" {
  source = "./modules/function"
  count  = local.has_notices ? 1 : 0

  stage                = "notifier"
  description          = "Tells others of coins, by webhooks and by mail."
  memory_mb            = var.function_memory_mb.notifier
  timeout_seconds      = local.notifier_timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.notifier * length(local.destinations) : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.notifier

  environment = {
    NOTICES_TABLE         = aws_dynamodb_table.notices[0].name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    GIVE_UP_AFTER_SECONDS = 3 * 24 * 3600
    ALLOW_LOOPBACK        = false
    DESTINATIONS = jsonencode([
      for name, destination in local.destinations : merge(destination.to, {
        id                    = destination.id
        queue_url             = aws_sqs_queue.notices[name].url
        dead_letter_queue_url = aws_sqs_queue.notices_dead_letters[name].url
      })
    ])
  }

  statements = concat(
    local.kms_statements.notifier,
    [
      {
        sid       = "KeepWhatWasSent"
        actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
        resources = [aws_dynamodb_table.notices[0].arn]
      },
      {
        # The notes of who was erased.
        sid       = "ReadErasures"
        actions   = ["dynamodb:GetItem"]
        resources = [aws_dynamodb_table.standings.arn]
      },
      {
        sid       = "TakeMessages"
        actions   = concat(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], local.change_visibility_actions)
        resources = [for queue in aws_sqs_queue.notices : queue.arn]
      },
      {
        sid       = "SendToDlq"
        actions   = local.send_actions
        resources = [for queue in aws_sqs_queue.notices_dead_letters : queue.arn]
      },
    ],
    [
      for arns in [values(var.webhooks)[*].secret_arn] : {
        sid       = "ReadSecrets"
        actions   = ["secretsmanager:GetSecretValue"]
        resources = arns
      } if length(arns) > 0
    ],
    [
      for topic in aws_sns_topic.coin_mail : {
        sid       = "Mail"
        actions   = ["sns:Publish"]
        resources = [topic.arn]
      }
    ],
  )
}

resource "aws_lambda_event_source_mapping" "notices" {
  for_each = local.destinations

  event_source_arn = aws_sqs_queue.notices[each.key].arn
  function_name    = module.notifier[0].alias_arn
  # Each message is a call, so there is nothing to wait for.
  batch_size                         = 10
  maximum_batching_window_in_seconds = 0
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.function_concurrency.notifier
  }

  tags = { stage = "notices" }
}
