# Every validation rejects bad values. Each run tries one bad value of every variable that still has an untried one.
# The other files check that the defaults and allowed values pass.

mock_provider "aws" {
  source = "./tests/aws"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/aws"
}

variables {
  environment              = "test"
  readers                  = "public"
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "refused_1" {
  command = plan
  variables {
    oidc                        = { issuer = "http://id.example.com", audiences = ["podium"] }
    throttle                    = { requests_per_second = 0 }
    environment                 = "Prod"
    project                     = "Podium"
    region                      = "Frankfurt"
    architecture                = "arm"
    time_zone                   = "Europe/Berlin "
    scoring_policy              = []
    period_grace_hours          = -1
    max_activity_age_days       = 0
    standing_shards             = 0
    batching                    = "eager"
    snapshot_every_minutes      = 0
    listed_users                = 0
    program_boards              = 0
    team_boards                 = 0
    team_score                  = "top:0"
    min_team_size               = 0
    stale                       = { after_snapshots = 1 }
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
    var.oidc,
    var.throttle,
    var.environment,
    var.project,
    var.region,
    var.architecture,
    var.time_zone,
    var.scoring_policy,
    var.period_grace_hours,
    var.max_activity_age_days,
    var.standing_shards,
    var.batching,
    var.snapshot_every_minutes,
    var.listed_users,
    var.program_boards,
    var.team_boards,
    var.team_score,
    var.min_team_size,
    var.stale,
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
    oidc                   = { issuer = "https://id.example.com?tenant=1", audiences = ["podium"] }
    throttle               = { burst = 5001 }
    environment            = "p"
    project                = "1podium"
    time_zone              = "UTC+1:00"
    scoring_policy         = [{ effective_from = "1970-01-01T00:00:00Z", points = {} }]
    period_grace_hours     = 745
    max_activity_age_days  = 1.5
    standing_shards        = 1001
    snapshot_every_minutes = 61
    listed_users           = 1000001
    program_boards         = 2001
    team_boards            = 2001
    team_score             = "top:101"
    min_team_size          = 10001
    stale                  = { lag_seconds = 0 }
    function_concurrency   = { ingest = 0 }
    function_memory_mb     = { snapshot = 10241 }
    kms_key_arn            = "arn:aws:kms:us-east-1:111122223333:alias/podium"
    expected_standings     = 40000001
    table_limits           = { activities = { write_units = 0 } }
  }
  expect_failures = [
    var.oidc,
    var.throttle,
    var.environment,
    var.project,
    var.time_zone,
    var.scoring_policy,
    var.period_grace_hours,
    var.max_activity_age_days,
    var.standing_shards,
    var.snapshot_every_minutes,
    var.listed_users,
    var.program_boards,
    var.team_boards,
    var.team_score,
    var.min_team_size,
    var.stale,
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
    oidc                   = { issuer = "https://id.example.com ", audiences = ["podium"] }
    throttle               = { admin_requests_per_second = 1.5 }
    environment            = "prod-"
    time_zone              = ""
    scoring_policy         = [{ effective_from = "yesterday", points = { a = 1 } }]
    period_grace_hours     = 1.5
    max_activity_age_days  = 36526
    standing_shards        = 1.5
    snapshot_every_minutes = 1.5
    stale                  = { backlog = 1.5 }
    function_concurrency   = { serve = 1001 }
    function_memory_mb     = { directory = 127.5 }
  }
  expect_failures = [
    var.oidc,
    var.throttle,
    var.environment,
    var.time_zone,
    var.scoring_policy,
    var.period_grace_hours,
    var.max_activity_age_days,
    var.standing_shards,
    var.snapshot_every_minutes,
    var.stale,
    var.function_concurrency,
    var.function_memory_mb,
  ]
}

run "refused_4" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = [] }
    throttle       = { admin_burst = 0 }
    environment    = "a-name-that-is-too-long"
    table_limits   = { activities = { read_units = 1.5 } }
    scoring_policy = [{ effective_from = "2026-07-01T00:00:00Z", points = { a = 1 } }, { effective_from = "2026-01-01T00:00:00Z", points = { a = 2 } }]
  }
  expect_failures = [
    var.oidc,
    var.throttle,
    var.environment,
    var.scoring_policy,
    var.table_limits,
  ]
}

# One character more than the name of the dashboard's bucket may have.
run "refused_5" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = [for n in range(11) : "audience-${n}"] }
    project        = "engagement-board"
    environment    = "production-two"
    scoring_policy = [{ effective_from = "2026-01-01T00:00:00Z", points = { a = 1 } }, { effective_from = "2026-01-01T00:00:00Z", points = { a = 2 } }]
  }
  expect_failures = [
    var.oidc,
    var.edge,
    var.scoring_policy,
  ]
}

run "refused_6" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = ["podium"], client_id = "a page" }
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { Task = 1 } }]
  }
  expect_failures = [
    var.oidc,
    var.scoring_policy,
  ]
}

run "refused_7" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = ["podium"], scope = "openid  email" }
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = -1 } }]
  }
  expect_failures = [
    var.oidc,
    var.scoring_policy,
  ]
}

run "refused_8" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = ["podium"], parameters = { state = "fixed" } }
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1.5 } }]
  }
  expect_failures = [
    var.oidc,
    var.scoring_policy,
  ]
}

run "refused_9" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = ["podium"], user_claim = "" }
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1000001 } }]
  }
  expect_failures = [
    var.oidc,
    var.scoring_policy,
  ]
}

run "refused_10" {
  command = plan
  variables {
    oidc           = { issuer = "https://id.example.com", audiences = ["podium"], write_scope = "podium write" }
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { for n in range(200) : "kind_number_${n}" => n } }]
  }
  expect_failures = [
    var.oidc,
    var.scoring_policy,
  ]
}

run "refused_11" {
  command = plan
  variables {
    oidc = { issuer = "https://id.example.com", audiences = ["podium"], write_scope = "podium:admin" }
  }
  expect_failures = [var.oidc]
}

run "refused_12" {
  command = plan
  variables {
    oidc = { issuer = "https://id.example.com", audiences = ["podium"], connect_origins = ["https://login.example.com/token"] }
  }
  expect_failures = [var.oidc]
}

run "refused_13" {
  command = plan
  variables {
    oidc = { issuer = "https://id.example.com#top", audiences = ["pod ium"] }
  }
  expect_failures = [var.oidc]
}

# Whether these are valid depends on other variables, which are valid here.

run "refused_at_the_edge_1" {
  command = plan
  variables {
    frame_ancestors = ["http://intranet.example.com"]
    domain          = { name = "https://podium.example.com", certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1" }
    waf             = { requests_per_5_minutes = 9 }
    readers         = "everyone"
  }
  expect_failures = [
    var.frame_ancestors,
    var.domain,
    var.waf,
    var.readers,
  ]
}

run "refused_at_the_edge_2" {
  command = plan
  variables {
    frame_ancestors = ["https://intranet.example.com/"]
    domain          = { name = "podium.example.com" }
    waf             = { requests_per_5_minutes = 10.5 }
  }
  expect_failures = [
    var.frame_ancestors,
    var.domain,
    var.waf,
  ]
}

run "refused_at_the_edge_3" {
  command = plan
  variables {
    frame_ancestors = ["*"]
    domain          = { name = "podium.example.com", zone_id = "Z0123456789", certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1" }
  }
  expect_failures = [
    var.frame_ancestors,
    var.domain,
  ]
}

run "refused_at_the_edge_4" {
  command = plan
  variables {
    frame_ancestors = [for n in range(11) : "https://intranet-${n}.example.com"]
    domain          = { name = "podium.example.com", zone_id = "example.com" }
  }
  expect_failures = [
    var.frame_ancestors,
    var.domain,
  ]
}

run "refused_at_the_edge_5" {
  command = plan
  variables {
    domain = { name = "podium.example.com", certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1" }
  }
  expect_failures = [
    var.domain,
  ]
}

run "refused_at_the_edge_6" {
  command = plan
  variables {
    domain = { name = "Podium.example.com", zone_id = "Z0123456789" }
  }
  expect_failures = [
    var.domain,
  ]
}

run "login_needs_a_provider" {
  command = plan
  variables {
    readers        = "login"
    self_reporting = true
  }
  expect_failures = [var.readers, var.self_reporting]
}

run "domain_firewall_and_frames_need_the_edge" {
  command = plan
  variables {
    edge            = false
    domain          = { name = "podium.example.com", zone_id = "Z0123456789" }
    waf             = {}
    frame_ancestors = ["https://intranet.example.com"]
  }
  expect_failures = [var.domain, var.waf, var.frame_ancestors]
}

# Nobody shows a company's boards to everyone by not choosing.
run "readers_must_be_chosen" {
  command = plan
  variables {
    environment = "prod"
    readers     = null
  }
  expect_failures = [var.readers]
}

run "also_in_environments_of_ones_own" {
  command = plan
  variables {
    environment = "team-dev"
    readers     = null
  }
  expect_failures = [var.readers]
}

run "experiments_are_public_unless_they_choose" {
  command = plan
  variables {
    environment = "dev-ann"
    readers     = null
  }
  assert {
    condition     = local.readers == "public"
    error_message = "In an environment for development, boards must be public by default."
  }
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
    readers         = "login"
    self_reporting  = true
    throttle        = { requests_per_second = 10000, burst = 5000, admin_requests_per_second = 1, admin_burst = 1 }
    waf             = { requests_per_5_minutes = 10, common_rules = false }
    frame_ancestors = [for n in range(10) : "https://*.team-${n}.example.com:8443"]
    # Auth0's issuers end with a slash, Entra's have a path. Cognito's scopes have one, too.
    oidc = {
      issuer          = "https://login.example.com:8443/5f7c/v2.0/"
      audiences       = [for n in range(10) : "https://podium.example.com/${n}"]
      client_id       = "podium|page"
      scope           = "openid https://podium.example.com/read"
      parameters      = { audience = "https://podium.example.com", resource = "" }
      user_claim      = "https://example.com/employee"
      write_scope     = "podium/write"
      admin_scope     = "podium/admin"
      connect_origins = ["https://token.example.com:8443"]
    }
    # The name of the dashboard's bucket has 63 characters.
    project                = "engagement-board"
    environment            = "production-eu"
    table_limits           = { activities = { write_units = 500 }, snapshots = { read_units = -1 }, people = { read_units = 5, write_units = 1 } }
    period_grace_hours     = 744
    max_activity_age_days  = null
    standing_shards        = 1000
    snapshot_every_minutes = 60
    time_zone              = "America/Argentina/Buenos_Aires"
    function_concurrency   = { aggregator = 2 }
    tie_break              = "earlier"
    # Not in order of time, and one right after the other.
    seasons = [
      { id = "winter", first_day = "2026-12-01", last_day = "2027-02-28" },
      { id = "autumn_2026-x", title = "Autumn 🍂", first_day = "2026-09-01", last_day = "2026-11-30" },
      { id = "1", first_day = "2028-02-29", last_day = "2028-02-29" },
    ]
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
    condition     = one(aws_dynamodb_table.activities.on_demand_throughput).max_write_request_units == 500 && one(aws_dynamodb_table.snapshots.on_demand_throughput).max_read_request_units == -1 && one(aws_dynamodb_table.people.on_demand_throughput).max_write_request_units == 1
    error_message = "table_limits must limit the tables."
  }
}

run "an_id_of_a_season_is_no_window" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "week", first_day = "2026-09-01", last_day = "2026-11-30" }]
  }
  expect_failures = [var.seasons]
}

run "an_id_of_a_season_is_lower_case" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "Autumn", first_day = "2026-09-01", last_day = "2026-11-30" }]
  }
  expect_failures = [var.seasons]
}

run "a_season_has_an_id_of_its_own" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "a", first_day = "2026-09-01", last_day = "2026-09-02" }, { id = "a", first_day = "2026-10-01", last_day = "2026-10-02" }]
  }
  expect_failures = [var.seasons]
}

run "a_title_of_a_season_is_not_blank" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "a", title = " ", first_day = "2026-09-01", last_day = "2026-09-02" }]
  }
  expect_failures = [var.seasons]
}

run "days_of_a_season_exist" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "a", first_day = "2026-09-01", last_day = "2026-09-31" }]
  }
  expect_failures = [var.seasons]
}

run "a_season_ends_after_it_begins" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "a", first_day = "2026-09-02", last_day = "2026-09-01" }]
  }
  expect_failures = [var.seasons]
}

run "seasons_do_not_overlap" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [{ id = "b", first_day = "2026-09-30", last_day = "2026-10-30" }, { id = "a", first_day = "2026-09-01", last_day = "2026-09-30" }]
  }
  expect_failures = [var.seasons]
}

run "there_are_at_most_20_seasons" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    seasons = [for n in range(21) : { id = "s${n}", first_day = "${2000 + n}-09-01", last_day = "${2000 + n}-09-30" }]
  }
  expect_failures = [var.seasons]
}

run "a_tie_is_broken_in_a_known_way" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    tie_break = "id"
  }
  expect_failures = [var.tie_break]
}
