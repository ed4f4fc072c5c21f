locals {
  snapshot_every_seconds = 60 * var.snapshot_every_minutes
  stale_age_seconds      = var.stale.after_snapshots * local.snapshot_every_seconds
}

module "snapshot" {
  source = "./modules/function"

  stage                = "snapshot"
  description          = "Ranks the standings and publishes all boards."
  memory_mb            = var.function_memory_mb.snapshot
  timeout_seconds      = 60
  reserved_concurrency = var.reserve_concurrency ? 1 : -1
  settings             = local.function_settings
  alarm_topic_arn      = aws_sns_topic.alarms.arn
  alarm_descriptions   = local.function_alarm_descriptions.snapshot

  environment = {
    ENVIRONMENT           = var.environment
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    STANDING_SHARDS       = var.standing_shards
    SNAPSHOTS_TABLE       = aws_dynamodb_table.snapshots.name
    TIME_ZONE             = var.time_zone
    LISTED_USERS          = var.listed_users
    PROGRAM_BOARDS        = var.program_boards
    QUEUE_URL             = aws_sqs_queue.activities.url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.activities_dead_letters.url
  }

  statements = concat(local.kms_statements, [
    {
      # It may write heartbeats, but no user's activities.
      sid       = "SendHeartbeats"
      actions   = ["dynamodb:PutItem"]
      resources = [aws_dynamodb_table.activities.arn]
      condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["~heartbeat"] } }
    },
    {
      # Heartbeats, and the past of the first users of each board.
      sid       = "ReadActivities"
      actions   = ["dynamodb:Query"]
      resources = [aws_dynamodb_table.activities.arn]
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

# A failed run is not retried: the next one does the same work soon.
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
  name               = "${local.name}-snapshot-schedule"
  assume_role_policy = local.trust_policies["scheduler"]
  tags               = { stage = "snapshot" }
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
      local.kms_policy_statements,
    )
  })
}

# The scheduler reports failures per group, so each deployment needs its own.
resource "aws_scheduler_schedule_group" "snapshot" {
  name = "${local.name}-snapshot"
  tags = { stage = "snapshot" }
}

resource "aws_scheduler_schedule" "snapshot" {
  #checkov:skip=CKV_AWS_297:A schedule holds no data except the function's name.
  name        = "${local.name}-snapshot"
  group_name  = aws_scheduler_schedule_group.snapshot.name
  description = "Starts a snapshot, which publishes all boards."
  # AWS requires the singular for 1, and the plural otherwise.
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
