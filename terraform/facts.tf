# The facts as CloudEvents, where there are quests or other subscribers: stream -> pipe -> topic. A stream has two readers
# at most: this pipe, and that of counting. Neither waits for the other.

locals {
  has_facts_topic = var.facts_topic || local.has_quests
}

resource "aws_sns_topic" "facts" {
  count = local.has_facts_topic ? 1 : 0

  name              = "${local.name}-facts"
  kms_master_key_id = coalesce(var.kms_key_arn, "alias/aws/sns")
  tags              = { stage = "facts" }
}

# Who may publish and subscribe, IAM decides.
resource "aws_sns_topic_policy" "facts" {
  count = local.has_facts_topic ? 1 : 0

  arn = aws_sns_topic.facts[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(local.tls_only, {
      Action   = "sns:Publish"
      Resource = aws_sns_topic.facts[0].arn
    })]
  })
}

# Positions of the stream records that the pipe gave up.
resource "aws_sqs_queue" "facts_pipe_dead_letters" {
  count = local.has_facts_topic ? 1 : 0

  name                      = "${local.name}-facts-pipe-dlq"
  message_retention_seconds = local.message_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = { stage = "facts" }
}

resource "aws_iam_role" "facts_pipe" {
  count = local.has_facts_topic ? 1 : 0

  name                 = "${local.name}-facts-pipe"
  assume_role_policy   = local.trust_policies["pipes"]
  permissions_boundary = var.permissions_boundary_arn
  tags                 = { stage = "facts" }
}

resource "aws_iam_role_policy" "facts_pipe" {
  count = local.has_facts_topic ? 1 : 0

  name = "pipe"
  role = aws_iam_role.facts_pipe[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.read_stream,
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = local.publish_actions
          Resource = [aws_sns_topic.facts[0].arn]
        },
        {
          Sid      = "SendToDlq"
          Effect   = "Allow"
          Action   = local.send_actions
          Resource = [aws_sqs_queue.facts_pipe_dead_letters[0].arn]
        },
      ],
      local.kms_policy_statements.facts_pipe,
    )
  })
}

# As for the other pipe's role: see stream.tf.
resource "terraform_data" "facts_pipe_role_is_known" {
  count = local.has_facts_topic ? 1 : 0

  triggers_replace = [aws_iam_role.facts_pipe[0].unique_id, aws_iam_role_policy.facts_pipe[0].policy]

  provisioner "local-exec" {
    command = "sleep ${var.role_propagation_seconds}"
  }
}

resource "aws_pipes_pipe" "facts" {
  count = local.has_facts_topic ? 1 : 0

  name        = "${local.name}-facts"
  description = "Carries new facts from the table's stream to the topic."
  role_arn    = aws_iam_role.facts_pipe[0].arn
  source      = aws_dynamodb_table.activities.stream_arn
  target      = aws_sns_topic.facts[0].arn

  source_parameters {
    filter_criteria {
      filter {
        pattern = local.new_facts
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
        arn = aws_sqs_queue.facts_pipe_dead_letters[0].arn
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
        "source": "podium/activities",
        "type": "podium.fact.recorded",
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

  tags = { stage = "facts" }

  depends_on = [aws_iam_role_policy.facts_pipe, terraform_data.facts_pipe_role_is_known]
}
