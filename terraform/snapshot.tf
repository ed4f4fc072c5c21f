locals {
  snapshot_every_seconds = 60 * var.snapshot_every_minutes
  stale_age_seconds      = var.stale.after_snapshots * local.snapshot_every_seconds
}

module "snapshot" {
  source = "./modules/function"

  name                 = "${local.name}-snapshot"
  stage                = "snapshot"
  description          = "Ranks the standings and publishes every board."
  zip                  = "${var.functions_dir}/snapshot/bootstrap.zip"
  architecture         = var.architecture
  memory_mb            = var.function_memory_mb.snapshot
  timeout_seconds      = 60
  reserved_concurrency = var.reserve_concurrency ? 1 : -1
  kms_key_arn          = var.kms_key_arn
  log_level            = var.log_level
  log_retention_days   = var.log_retention_days
  alarm_topic_arn      = aws_sns_topic.alarms.arn
  alarm_descriptions = {
    errors    = local.alarm_descriptions["snapshot-errors"]
    throttles = local.alarm_descriptions["snapshot-throttles"]
  }

  environment = {
    ENVIRONMENT           = var.environment
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    STANDING_SHARDS       = var.standing_shards
    SNAPSHOTS_TABLE       = aws_dynamodb_table.snapshots.name
    TIME_ZONE             = var.time_zone
    LISTED_USERS          = var.listed_users
    QUEUE_URL             = aws_sqs_queue.activities.url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.activities_dead_letters.url
  }

  statements = concat(local.kms_statements, [
    {
      # Of the facts it may touch the heartbeats alone.
      sid       = "Heartbeats"
      actions   = ["dynamodb:PutItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.activities.arn]
      condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["~heartbeat"] } }
    },
    {
      sid       = "ReadStandings"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.standings.arn]
    },
    {
      sid       = "Publish"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
      resources = [aws_dynamodb_table.snapshots.arn]
    },
    {
      sid       = "MeasureBacklog"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.activities.arn, aws_sqs_queue.activities_dead_letters.arn]
    },
    {
      sid       = "ReportFailedRuns"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.snapshot_dead_letters.arn]
    },
  ])
}

# A run that failed is not repeated: the next one is as good, and soon.
resource "aws_lambda_function_event_invoke_config" "snapshot" {
  function_name                = module.snapshot.name
  qualifier                    = module.snapshot.alias_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60

  destination_config {
    on_failure {
      destination = aws_sqs_queue.snapshot_dead_letters.arn
    }
  }
}

resource "aws_iam_role" "snapshot_schedule" {
  name = "${local.name}-snapshot-schedule"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  tags = { stage = "snapshot" }
}

resource "aws_iam_role_policy" "snapshot_schedule" {
  name = "schedule"
  role = aws_iam_role.snapshot_schedule.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Invoke"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = [module.snapshot.alias_arn]
        },
        {
          Sid      = "ReportMissedRuns"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [aws_sqs_queue.snapshot_dead_letters.arn]
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

# The scheduler reports failures by group, so this deployment has one of its own.
resource "aws_scheduler_schedule_group" "snapshot" {
  name = "${local.name}-snapshot"
  tags = { stage = "snapshot" }
}

resource "aws_scheduler_schedule" "snapshot" {
  #checkov:skip=CKV_AWS_297:A schedule holds no data but the name of the function.
  name        = "${local.name}-snapshot"
  group_name  = aws_scheduler_schedule_group.snapshot.name
  description = "Publishes the boards."
  # AWS wants the unit in the singular for 1, and only then.
  schedule_expression = "rate(${var.snapshot_every_minutes} ${var.snapshot_every_minutes == 1 ? "minute" : "minutes"})"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.snapshot.alias_arn
    role_arn = aws_iam_role.snapshot_schedule.arn

    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 2
    }

    dead_letter_config {
      arn = aws_sqs_queue.snapshot_dead_letters.arn
    }
  }

  depends_on = [aws_iam_role_policy.snapshot_schedule]
}
