locals {
  # How each pipe reads the stream. Every number is set: on an update the provider sends unset ones as 0, which AWS
  # refuses.
  reading = {
    # LATEST would lose activities that are written before the pipe runs.
    starting_position = "TRIM_HORIZON"
    # SQS and SNS take at most ten messages per call; a larger batch would be split.
    batch_size                    = 10
    window_seconds                = 0
    parallelization_factor        = 1
    on_partial_batch_item_failure = "AUTOMATIC_BISECT"
    # Without limits, one record that fails would block its shard. The age is below the 24 hours for which a stream keeps
    # its records, so that a record the pipe gave up on can still be read. The attempts are the most that AWS takes, so
    # that the age decides: an outage must not use them up within minutes.
    retry_attempts     = 10000
    record_age_seconds = 20 * 3600
  }

  # The expiry of a heartbeat is a record, too.
  new_facts = jsonencode({ eventName = ["INSERT"] })

  read_stream = {
    Sid    = "ReadStream"
    Effect = "Allow"
    Action = [
      "dynamodb:DescribeStream",
      "dynamodb:GetRecords",
      "dynamodb:GetShardIterator",
      "dynamodb:ListStreams",
    ]
    Resource = [aws_dynamodb_table.activities.stream_arn]
  }
}

resource "aws_cloudwatch_log_group" "pipe" {
  #checkov:skip=CKV_AWS_158:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  #checkov:skip=CKV_AWS_338:The operator chooses the retention. The tables, not the logs, are the record.
  # AWS services can write to log groups with this prefix without an entry in the resource policy, whose size is limited.
  name              = "/aws/vendedlogs/pipes/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = { stage = "stream" }
}

resource "aws_iam_role" "pipe" {
  name                 = "${local.name}-pipe"
  assume_role_policy   = local.trust_policies["pipes"]
  permissions_boundary = var.permissions_boundary_arn
  tags                 = { stage = "stream" }
}

resource "aws_iam_role_policy" "pipe" {
  name = "pipe"
  role = aws_iam_role.pipe.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.read_stream,
        {
          Sid      = "Send"
          Effect   = "Allow"
          Action   = local.send_actions
          Resource = [aws_sqs_queue.activities.arn, aws_sqs_queue.pipe_dead_letters.arn]
        },
      ],
      local.kms_policy_statements.pipe,
    )
  })
}

# AWS checks the role's permissions when it creates or changes the pipe. A new or changed IAM policy can take more than a
# minute to propagate, and the provider does not try again: without this wait the first apply fails.
resource "terraform_data" "pipe_role_is_known" {
  triggers_replace = [aws_iam_role.pipe.unique_id, aws_iam_role_policy.pipe.policy]

  provisioner "local-exec" {
    command = "sleep ${var.role_propagation_seconds}"
  }
}

resource "aws_pipes_pipe" "activities" {
  name        = "${local.name}-activities"
  description = "Carries new activities from the table's stream to the queue."
  role_arn    = aws_iam_role.pipe.arn
  source      = aws_dynamodb_table.activities.stream_arn
  target      = aws_sqs_queue.activities.arn

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
        arn = aws_sqs_queue.pipe_dead_letters.arn
      }
    }
  }

  log_configuration {
    level = "ERROR"
    cloudwatch_logs_log_destination {
      log_group_arn = aws_cloudwatch_log_group.pipe.arn
    }
  }

  tags = { stage = "stream" }

  depends_on = [aws_iam_role_policy.pipe, terraform_data.pipe_role_is_known]
}
