# Coins for quests, where there are any: topic -> queue -> function. Counting and boards depend on none of it.

locals {
  has_quests = length(var.quests) > 0

  rewards_timeout_seconds = 30
}

# The functions read the quests from the table of coins: 200 of them do not fit into the environment of a function.
resource "aws_dynamodb_table_item" "quests" {
  count = local.has_quests ? 1 : 0

  table_name = aws_dynamodb_table.coins[0].name
  hash_key   = aws_dynamodb_table.coins[0].hash_key
  range_key  = aws_dynamodb_table.coins[0].range_key
  item = jsonencode({
    user_id = { S = "~quests" }
    coin_id = { S = "configured" }
    quests  = { B = base64gzip(jsonencode(var.quests)) }
  })
}

resource "aws_sqs_queue" "rewards" {
  count = local.has_quests ? 1 : 0

  name                      = "${local.name}-rewards"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  # Both as for the queue of the activities, for the same reasons: see queue.tf.
  visibility_timeout_seconds = 6 * local.rewards_timeout_seconds
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.rewards_dead_letters[0].arn
    maxReceiveCount     = 1000
  })

  tags = { stage = "rewards" }
}

# Messages that can never be processed, and those that the topic could not deliver.
resource "aws_sqs_queue" "rewards_dead_letters" {
  count = local.has_quests ? 1 : 0

  name                      = "${local.name}-rewards-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "rewards" }
}

resource "aws_sqs_queue_redrive_allow_policy" "rewards_dead_letters" {
  count = local.has_quests ? 1 : 0

  queue_url = aws_sqs_queue.rewards_dead_letters[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.rewards[0].arn]
  })
}

resource "aws_sns_topic_subscription" "rewards" {
  count = local.has_quests ? 1 : 0

  topic_arn            = aws_sns_topic.events["facts"].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.rewards[0].arn
  raw_message_delivery = true
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.rewards_dead_letters[0].arn })

  # The topic does not try again what the queue's policy forbids.
  depends_on = [aws_sqs_queue_policy.tls_only]
}

module "rewards" {
  source = "./modules/function"
  count  = local.has_quests ? 1 : 0

  stage                = "rewards"
  description          = "Gives people the coins of quests."
  memory_mb            = var.function_memory_mb.rewards
  timeout_seconds      = local.rewards_timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.rewards : -1
  settings             = local.function_settings
  # A process reads the quests when it starts.
  after  = aws_dynamodb_table_item.quests[0].item
  alarms = local.function_alarm_targets.rewards

  environment = {
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    COINS_TABLE           = aws_dynamodb_table.coins[0].name
    PROGRESS_TABLE        = aws_dynamodb_table.progress[0].name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    TIME_ZONE             = var.time_zone
    SCORING_POLICY        = local.scoring_policy
    FINAL_AFTER_SECONDS   = 60
    QUEUE_URL             = aws_sqs_queue.rewards[0].url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.rewards_dead_letters[0].url
    # Nothing reads this. It changes with the quests, so that Lambda starts new processes, which read them.
    QUESTS_SHA256 = sha256(jsonencode(var.quests))
  }

  statements = concat(local.kms_statements.rewards, [
    {
      # Query reads a person's facts for a proof, and Scan all facts to find out who was first.
      sid       = "ReadFacts"
      actions   = ["dynamodb:Query", "dynamodb:Scan"]
      resources = [aws_dynamodb_table.activities.arn]
    },
    {
      # A transaction checks that no supply is settled, and writes coins and progress. What a pass over the facts keeps
      # meanwhile is deleted at its end.
      sid = "KeepCoins"
      actions = [
        "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
      ]
      resources = [aws_dynamodb_table.coins[0].arn]
    },
    {
      sid       = "FindHolders"
      actions   = ["dynamodb:Query"]
      resources = ["${aws_dynamodb_table.coins[0].arn}/index/holders"]
    },
    {
      sid       = "KeepProgress"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
      resources = [aws_dynamodb_table.progress[0].arn]
    },
    {
      # The notes of who was erased.
      sid       = "ReadErasures"
      actions   = ["dynamodb:GetItem"]
      resources = [aws_dynamodb_table.standings.arn]
    },
    {
      sid = "TakeMessages"
      actions = concat(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        local.change_visibility_actions,
      )
      resources = [aws_sqs_queue.rewards[0].arn]
    },
    {
      sid       = "SendToDlq"
      actions   = local.send_actions
      resources = [aws_sqs_queue.rewards_dead_letters[0].arn]
    },
  ])
}

resource "aws_lambda_event_source_mapping" "rewards" {
  count = local.has_quests ? 1 : 0

  event_source_arn                   = aws_sqs_queue.rewards[0].arn
  function_name                      = module.rewards[0].alias_arn
  batch_size                         = local.batching.size
  maximum_batching_window_in_seconds = local.batching.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.function_concurrency.rewards
  }

  tags = { stage = "rewards" }
}
