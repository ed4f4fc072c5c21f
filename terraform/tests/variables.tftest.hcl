# Every validation rejects bad values. Each run tries one bad value of every variable that still has an untried one.
# The other files check that the defaults and allowed values pass.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  environment              = "test"
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "refused_1" {
  command = plan
  variables {
    environment                 = "Prod"
    project                     = "Podium"
    region                      = "Frankfurt"
    architecture                = "arm"
    time_zone                   = "Europe/Berlin "
    scoring_policy              = []
    max_activity_age_days       = 0
    standing_shards             = 0
    batching                    = "eager"
    snapshot_every_minutes      = 0
    listed_users                = 0
    program_boards              = 0
    stale                       = { after_snapshots = 1 }
    ingest_auth                 = "none"
    allowed_origin              = "intranet.example.com"
    function_concurrency        = { aggregator = 1 }
    function_memory_mb          = { ingest = 127 }
    log_level                   = "info"
    log_retention_days          = 10
    kms_key_arn                 = "alias/podium"
    alarm_email                 = "oncall"
    runbook_url                 = "https://example.com/runbook#top"
    role_propagation_seconds    = 301
    expected_standings          = 0
    expected_activities_per_day = 0
    permissions_boundary_arn    = "boundary"
    table_limits                = { queue = {} }
    alarm_email_now             = "pager"
    volume_alarms               = { requests_per_hour = 0 }
  }
  expect_failures = [
    var.environment,
    var.project,
    var.region,
    var.architecture,
    var.time_zone,
    var.scoring_policy,
    var.max_activity_age_days,
    var.standing_shards,
    var.batching,
    var.snapshot_every_minutes,
    var.listed_users,
    var.program_boards,
    var.stale,
    var.ingest_auth,
    var.allowed_origin,
    var.function_concurrency,
    var.function_memory_mb,
    var.log_level,
    var.log_retention_days,
    var.kms_key_arn,
    var.alarm_email,
    var.runbook_url,
    var.role_propagation_seconds,
    var.expected_standings,
    var.expected_activities_per_day,
    var.permissions_boundary_arn,
    var.table_limits,
    var.alarm_email_now,
    var.volume_alarms,
  ]
}

run "refused_2" {
  command = plan
  variables {
    environment            = "p"
    project                = "1podium"
    time_zone              = "UTC+1:00"
    scoring_policy         = [{ effective_from = "1970-01-01T00:00:00Z", points = {} }]
    max_activity_age_days  = 1.5
    standing_shards        = 1001
    snapshot_every_minutes = 61
    listed_users           = 1000001
    program_boards         = 2001
    stale                  = { lag_seconds = 0 }
    allowed_origin         = "https://intranet.example.com/board"
    function_concurrency   = { ingest = 0 }
    function_memory_mb     = { snapshot = 10241 }
    kms_key_arn            = "arn:aws:kms:us-east-1:111122223333:alias/podium"
    expected_standings     = 40000001
    table_limits           = { activities = { write_units = 0 } }
  }
  expect_failures = [
    var.environment,
    var.project,
    var.time_zone,
    var.scoring_policy,
    var.max_activity_age_days,
    var.standing_shards,
    var.snapshot_every_minutes,
    var.listed_users,
    var.program_boards,
    var.stale,
    var.allowed_origin,
    var.function_concurrency,
    var.function_memory_mb,
    var.kms_key_arn,
    var.expected_standings,
    var.table_limits,
  ]
}

run "refused_3" {
  command = plan
  variables {
    environment            = "prod-"
    time_zone              = ""
    scoring_policy         = [{ effective_from = "yesterday", points = { a = 1 } }]
    max_activity_age_days  = 36526
    standing_shards        = 1.5
    snapshot_every_minutes = 1.5
    stale                  = { backlog = 1.5 }
    function_concurrency   = { serve = 1001 }
  }
  expect_failures = [
    var.environment,
    var.time_zone,
    var.scoring_policy,
    var.max_activity_age_days,
    var.standing_shards,
    var.snapshot_every_minutes,
    var.stale,
    var.function_concurrency,
  ]
}

run "refused_4" {
  command = plan
  variables {
    environment    = "a-name-that-is-too-long"
    table_limits   = { activities = { read_units = 1.5 } }
    scoring_policy = [{ effective_from = "2026-07-01T00:00:00Z", points = { a = 1 } }, { effective_from = "2026-01-01T00:00:00Z", points = { a = 2 } }]
  }
  expect_failures = [
    var.environment,
    var.scoring_policy,
    var.table_limits,
  ]
}

# One character more than the name of the dashboard's bucket may have.
run "refused_5" {
  command = plan
  variables {
    project        = "engagement-board"
    environment    = "production-two"
    scoring_policy = [{ effective_from = "2026-01-01T00:00:00Z", points = { a = 1 } }, { effective_from = "2026-01-01T00:00:00Z", points = { a = 2 } }]
  }
  expect_failures = [
    var.dashboard,
    var.scoring_policy,
  ]
}

run "refused_6" {
  command = plan
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { Task = 1 } }]
  }
  expect_failures = [
    var.scoring_policy,
  ]
}

run "refused_7" {
  command = plan
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = -1 } }]
  }
  expect_failures = [
    var.scoring_policy,
  ]
}

run "refused_8" {
  command = plan
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1.5 } }]
  }
  expect_failures = [
    var.scoring_policy,
  ]
}

run "refused_9" {
  command = plan
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1000001 } }]
  }
  expect_failures = [
    var.scoring_policy,
  ]
}

run "refused_10" {
  command = plan
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { for n in range(200) : "kind_number_${n}" => n } }]
  }
  expect_failures = [
    var.scoring_policy,
  ]
}

run "a_dashboard_needs_public_boards" {
  command = plan
  variables {
    serve_auth = "AWS_IAM"
  }
  expect_failures = [var.dashboard]
}

run "boards_are_public_or_signed" {
  command = plan
  variables {
    serve_auth = "PUBLIC"
    dashboard  = false
  }
  expect_failures = [var.serve_auth]
}

# Ten million standings take two minutes with the memory that they need.
run "a_large_board_needs_time" {
  command = plan
  variables {
    expected_standings = 10000000
  }
  expect_failures = [aws_scheduler_schedule.snapshot]
}

run "a_budget_is_more_than_nothing" {
  command = plan
  variables {
    monthly_budget_usd = 0
    alarm_email        = "oncall@example.com"
  }
  expect_failures = [var.monthly_budget_usd]
}

run "a_budget_needs_someone_to_tell" {
  command = plan
  variables {
    monthly_budget_usd = 10
  }
  expect_failures = [var.monthly_budget_usd]
}

run "edges_are_allowed" {
  command = plan
  variables {
    # The name of the dashboard's bucket has 63 characters.
    project                = "engagement-board"
    environment            = "production-eu"
    table_limits           = { activities = { write_units = 500 }, snapshots = { read_units = -1 } }
    max_activity_age_days  = null
    standing_shards        = 1000
    snapshot_every_minutes = 60
    time_zone              = "America/Argentina/Buenos_Aires"
    allowed_origin         = "https://intranet.example.com:8443"
    function_concurrency   = { aggregator = 2 }
    scoring_policy = [
      { effective_from = "1970-01-01T00:00:00Z", points = { task_completed = 0 } },
      { effective_from = "2026-07-01T00:00:00+02:00", points = { task_completed = 1000000 } },
    ]
  }
  assert {
    condition     = length(aws_s3_bucket.dashboard[0].bucket) == 63
    error_message = "The longest name that is allowed must be the longest that S3 takes, not ${length(aws_s3_bucket.dashboard[0].bucket)} characters."
  }
  assert {
    condition     = one(aws_dynamodb_table.activities.on_demand_throughput).max_write_request_units == 500 && one(aws_dynamodb_table.snapshots.on_demand_throughput).max_read_request_units == -1
    error_message = "table_limits must limit the tables."
  }
}
