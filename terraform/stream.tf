resource "aws_cloudwatch_log_group" "pipe" {
  #checkov:skip=CKV_AWS_158:Encrypted with a key of the account's where kms_key_arn names one, and with AWS's own otherwise.
  #checkov:skip=CKV_AWS_338:How long logs are kept is the operator's choice; no log holds what is not in a table.
  # Below this prefix AWS lets its services write without a growing resource policy.
  name              = "/aws/vendedlogs/pipes/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = { stage = "stream" }
}

resource "aws_iam_role" "pipe" {
  name = "${local.name}-pipe"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pipes.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  tags = { stage = "stream" }
}

resource "aws_iam_role_policy" "pipe" {
  name = "pipe"
  role = aws_iam_role.pipe.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid    = "ReadStream"
          Effect = "Allow"
          Action = [
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
          ]
          Resource = [aws_dynamodb_table.activities.stream_arn]
        },
        {
          Sid      = "Send"
          Effect   = "Allow"
          Action   = local.send_actions
          Resource = [aws_sqs_queue.activities.arn, aws_sqs_queue.pipe_dead_letters.arn]
        },
      ],
      [for statement in local.kms_statements : {
        Sid      = statement.sid
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      }],
    )
  })
}

# A pipe is checked against its role when it is made. IAM needs some seconds until a new policy is known
# everywhere, and without them the first apply fails.
resource "terraform_data" "pipe_role_is_known" {
  triggers_replace = [aws_iam_role_policy.pipe.id]

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

  # Every number is set: the provider sends those that are not as 0 in an update, which AWS refuses.
  source_parameters {
    filter_criteria {
      filter {
        pattern = jsonencode({ eventName = ["INSERT"] })
      }
    }

    dynamodb_stream_parameters {
      # LATEST would lose what is written before the pipe runs.
      starting_position = "TRIM_HORIZON"
      # SQS takes ten messages at once; a larger batch would only be cut up.
      batch_size                         = 10
      maximum_batching_window_in_seconds = 0
      parallelization_factor             = 1
      on_partial_batch_item_failure      = "AUTOMATIC_BISECT"
      # Without a bound, one record that is refused would hold up its shard. The age is less than the 24 hours
      # that a stream keeps its records, so that what is given up is still there to be looked at.
      maximum_retry_attempts        = 100
      maximum_record_age_in_seconds = 20 * 3600

      dead_letter_config {
        arn = aws_sqs_queue.pipe_dead_letters.arn
      }
    }
  }

  target_parameters {
    sqs_queue_parameters {}
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
