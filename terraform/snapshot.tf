locals {
  snapshot_every_seconds = 60 * var.snapshot_every_minutes
  # With a shorter period, a run that always fails would never fail in two periods of three.
  snapshot_alarm_seconds = max(300, local.snapshot_every_seconds)

  # A run may take as long as the interval, up to the most that Lambda allows: the next one waits for it or, without
  # reserved concurrency, stops when it finds that another one was faster.
  snapshot_timeout_seconds = min(900, max(60, local.snapshot_every_seconds))

  # Measured by `podium bench`: 220 MB and 6 seconds of a CPU for a million standings. Lambda gives a whole CPU at 1,769
  # MB, and a share of it below. Twice the time leaves room for slow reads.
  snapshot_memory_mb       = coalesce(var.function_memory_mb.snapshot, max(512, 128 * ceil(var.expected_standings / 500000)))
  snapshot_seconds         = 2 * 6 * var.expected_standings / 1000000 / min(1, local.snapshot_memory_mb / 1769)
  snapshot_minutes_at_best = ceil(local.snapshot_seconds / 60)

  # The memory of every function.
  function_memory_mb = merge(var.function_memory_mb, { snapshot = local.snapshot_memory_mb })

  stale_age_seconds = var.stale.after_snapshots * local.snapshot_every_seconds
}

module "snapshot" {
  source = "./modules/function"

  stage                = "snapshot"
  description          = "Ranks the standings and publishes all boards."
  memory_mb            = local.snapshot_memory_mb
  timeout_seconds      = local.snapshot_timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? 1 : -1
  settings             = local.function_settings
  alarm_period_seconds = local.snapshot_alarm_seconds
  alarms               = local.function_alarm_targets.snapshot

  environment = {
    ACTIVITIES_TABLE      = aws_dynamodb_table.activities.name
    STANDINGS_TABLE       = aws_dynamodb_table.standings.name
    STANDING_SHARDS       = var.standing_shards
    SNAPSHOTS_TABLE       = aws_dynamodb_table.snapshots.name
    PEOPLE_TABLE          = aws_dynamodb_table.people.name
    TIME_ZONE             = var.time_zone
    SEASONS               = jsonencode(var.seasons)
    LISTED_USERS          = var.listed_users
    PROGRAM_BOARDS        = var.program_boards
    TEAM_BOARDS           = var.team_boards
    TEAM_SCORE            = var.team_score
    MIN_TEAM_SIZE         = var.min_team_size
    QUEUE_URL             = aws_sqs_queue.activities.url
    DEAD_LETTER_QUEUE_URL = aws_sqs_queue.activities_dead_letters.url
  }

  statements = concat(local.kms_statements.snapshot, [
    {
      # It may write heartbeats, but no user's activities.
      sid       = "SendHeartbeats"
      actions   = ["dynamodb:PutItem"]
      resources = [aws_dynamodb_table.activities.arn]
      condition = {
        "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["~heartbeat-*"] }
        # ForAllValues is also true of a request without keys.
        "Null" = { "dynamodb:LeadingKeys" = ["false"] }
      }
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
      # Scan tells whether there are any profiles.
      sid       = "ReadProfiles"
      actions   = ["dynamodb:Query", "dynamodb:Scan"]
      resources = [aws_dynamodb_table.people.arn]
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

# A failed run is not retried: the next one does the same work soon. A run that is throttled may start until the next one.
resource "aws_lambda_function_event_invoke_config" "snapshot" {
  function_name                = module.snapshot.name
  qualifier                    = module.snapshot.alias_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = local.snapshot_every_seconds

  destination_config {
    on_failure {
      destination = aws_sqs_queue.snapshot_dead_letters.arn
    }
  }
}

resource "aws_iam_role" "snapshot_schedule" {
  name                 = "${local.name}-snapshot-schedule"
  assume_role_policy   = local.trust_policies["scheduler"]
  permissions_boundary = var.permissions_boundary_arn
  tags                 = { stage = "snapshot" }
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
      local.kms_policy_statements.schedule,
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
      maximum_event_age_in_seconds = local.snapshot_every_seconds
      maximum_retry_attempts       = 2
    }

    dead_letter_config {
      arn = aws_sqs_queue.snapshot_dead_letters.arn
    }
  }

  depends_on = [aws_iam_role_policy.snapshot_schedule]

  lifecycle {
    precondition {
      condition     = var.snapshot_every_minutes >= local.snapshot_minutes_at_best
      error_message = "A snapshot of expected_standings = ${var.expected_standings} may take ${ceil(local.snapshot_seconds)} seconds with ${local.snapshot_memory_mb} MB, so snapshot_every_minutes must be at least ${local.snapshot_minutes_at_best}, but is ${var.snapshot_every_minutes}. Raise it, or raise function_memory_mb.snapshot: up to 1,769 MB make it faster."
    }
  }
}
