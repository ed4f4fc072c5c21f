# Events for subscribers, as CloudEvents: stream -> pipe -> topic. Of facts where there are quests or other subscribers, and
# of coins where someone is told of them. A stream has two readers at most: the pipe of facts, and that of counting.
# Neither waits for the other.

locals {
  has_facts_topic = var.facts_topic || local.has_quests || local.has_bridge

  # What each pipe reads, and what it makes of it.
  event_streams = {
    for name, stream in {
      facts = {
        is_needed   = local.has_facts_topic
        description = "Carries new facts from the table's stream to the topic."
        stream_arn  = aws_dynamodb_table.activities.stream_arn
        pattern     = local.new_facts
        source      = "podium/activities"
        type        = "podium.fact.recorded"
      }
      coins = {
        is_needed   = local.has_notices
        description = "Carries changes of coins from the table's stream to the topic."
        stream_arn  = one(aws_dynamodb_table.coins[*].stream_arn)
        # Nobody has a provisional coin yet. An erasure deletes coins, of which nobody is told.
        pattern = jsonencode({ eventName = ["INSERT", "MODIFY"], dynamodb = { NewImage = { state = { S = ["issued", "revoked"] } } } })
        source  = "podium/coins"
        type    = "podium.coin.changed"
      }
    } : name => stream if stream.is_needed
  }
}

resource "aws_sns_topic" "events" {
  for_each = local.event_streams

  name              = "${local.name}-${each.key}"
  kms_master_key_id = coalesce(var.kms_key_arn, "alias/aws/sns")
  tags              = { stage = each.key }
}

# Who may publish and subscribe, IAM decides.
resource "aws_sns_topic_policy" "events" {
  for_each = local.event_streams

  arn = aws_sns_topic.events[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(local.tls_only, {
      Action   = "sns:Publish"
      Resource = aws_sns_topic.events[each.key].arn
    })]
  })
}

# Positions of the stream records that the pipe gave up.
resource "aws_sqs_queue" "event_pipe_dead_letters" {
  for_each = local.event_streams

  name                      = "${local.name}-${each.key}-pipe-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = each.key }
}

resource "aws_iam_role" "event_pipe" {
  for_each = local.event_streams

  name                 = "${local.name}-${each.key}-pipe"
  assume_role_policy   = local.trust_policies["pipes"]
  permissions_boundary = var.permissions_boundary_arn
  tags                 = { stage = each.key }
}

resource "aws_iam_role_policy" "event_pipe" {
  for_each = local.event_streams

  name = "pipe"
  role = aws_iam_role.event_pipe[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        merge(local.read_stream, { Resource = [each.value.stream_arn] }),
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = local.publish_actions
          Resource = [aws_sns_topic.events[each.key].arn]
        },
        {
          Sid      = "SendToDlq"
          Effect   = "Allow"
          Action   = local.send_actions
          Resource = [aws_sqs_queue.event_pipe_dead_letters[each.key].arn]
        },
      ],
      local.kms_policy_statements["${each.key}_pipe"],
    )
  })
}

# As for the other pipe's role: see stream.tf.
resource "terraform_data" "event_pipe_role_is_known" {
  for_each = local.event_streams

  triggers_replace = [aws_iam_role.event_pipe[each.key].unique_id, aws_iam_role_policy.event_pipe[each.key].policy]

  provisioner "local-exec" {
    command = "sleep ${var.role_propagation_seconds}"
  }
}

resource "aws_pipes_pipe" "events" {
  for_each = local.event_streams

  name        = "${local.name}-${each.key}"
  description = each.value.description
  role_arn    = aws_iam_role.event_pipe[each.key].arn
  source      = each.value.stream_arn
  target      = aws_sns_topic.events[each.key].arn

  source_parameters {
    filter_criteria {
      filter {
        pattern = each.value.pattern
      }
    }

    dynamodb_stream_parameters {
      starting_position                  = local.reading.starting_position
      batch_size                         = local.reading.batch_size
      maximum_batching_window_in_seconds = local.reading.window_seconds
      parallelization_factor             = local.reading.parallelization_factor
      on_partial_batch_item_failure      = local.reading.on_partial_batch_item_failure
      maximum_retry_attempts             = local.reading.retry_attempts
      maximum_record_age_in_seconds      = local.reading.record_age_seconds

      dead_letter_config {
        arn = aws_sqs_queue.event_pipe_dead_letters[each.key].arn
      }
    }
  }

  target_parameters {
    # What crates/store/src/stream.rs makes of a record in the local stack. A text stands in quotes, and an object in none.
    # jsonencode would escape the angle brackets.
    input_template = <<-EOT
      {
        "specversion": "1.0",
        "id": "<$.eventID>",
        "source": "${each.value.source}",
        "type": "${each.value.type}",
        "data": <$.dynamodb.NewImage>
      }
    EOT
  }

  log_configuration {
    level = "ERROR"
    cloudwatch_logs_log_destination {
      log_group_arn = aws_cloudwatch_log_group.pipe.arn
    }
  }

  tags = { stage = each.key }

  depends_on = [aws_iam_role_policy.event_pipe, terraform_data.event_pipe_role_is_known]
}

moved {
  from = aws_sns_topic.facts[0]
  to   = aws_sns_topic.events["facts"]
}
moved {
  from = aws_sns_topic_policy.facts[0]
  to   = aws_sns_topic_policy.events["facts"]
}
moved {
  from = aws_sqs_queue.facts_pipe_dead_letters[0]
  to   = aws_sqs_queue.event_pipe_dead_letters["facts"]
}
moved {
  from = aws_iam_role.facts_pipe[0]
  to   = aws_iam_role.event_pipe["facts"]
}
moved {
  from = aws_iam_role_policy.facts_pipe[0]
  to   = aws_iam_role_policy.event_pipe["facts"]
}
moved {
  from = terraform_data.facts_pipe_role_is_known[0]
  to   = terraform_data.event_pipe_role_is_known["facts"]
}
moved {
  from = aws_pipes_pipe.facts[0]
  to   = aws_pipes_pipe.events["facts"]
}
