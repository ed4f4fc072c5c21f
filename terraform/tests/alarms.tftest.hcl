# The on-call engineer needs instructions: checks that alarms, their descriptions and the runbook match.

mock_provider "aws" {
  # Makes ARNs known in the plan, and with them the body of the dashboard.
  override_during = plan

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:one" }
  }
  mock_resource "aws_cloudwatch_composite_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:several" }
  }
}

# Alarms have nothing to do with what is in this region.
mock_provider "aws" {
  alias           = "us_east_1"
  override_during = plan
}

# The topics differ, so that a test can tell which one an alarm notifies.
override_resource {
  target          = aws_sns_topic.alarms["now"]
  override_during = plan
  values          = { arn = "arn:aws:sns:us-east-1:123456789012:now" }
}

override_resource {
  target          = aws_sns_topic.alarms["today"]
  override_during = plan
  values          = { arn = "arn:aws:sns:us-east-1:123456789012:today" }
}

# Ids are not known in the plan otherwise.
override_resource {
  target          = aws_cloudfront_distribution.edge[0]
  override_during = plan
  values          = { id = "E1", arn = "arn:aws:cloudfront::123456789012:distribution/E1" }
}

override_resource {
  target          = aws_apigatewayv2_api.this[0]
  override_during = plan
  values          = { id = "api1", execution_arn = "arn:aws:execute-api:us-east-1:123456789012:api1" }
}

variables {
  environment   = "test"
  readers       = "public"
  functions_dir = "tests/functions"
}

# With login, quests and who is told of coins, so that the alarms of the HTTP API, of rewards and of notices are there.
run "default" {
  command = plan

  variables {
    oidc = { issuer = "https://id.example.com", audiences = ["podium"] }
    quests = [{
      id   = "first", version = 1, title = "First task", coin = { name = "Seed", value = 1 }, per = "once"
      rule = { count = { of = {}, at_least = 1 } }
    }]
    webhooks  = { crm = { url = "https://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" } }
    coin_mail = ["rewards@example.com"]
    event_bus = { name = "learning", pattern = "{\"source\":[\"com.example.lms\"]}" }
    legacy    = { prefix = "edl", stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities/stream/2026-01-01T00:00:00.000" }
  }

  assert {
    condition = alltrue([for alarm in local.every_alarm :
      alarm.alarm_actions == alarm.ok_actions && one(alarm.alarm_actions) == (
        startswith(alarm.alarm_description, "Act now.") ? "arn:aws:sns:us-east-1:123456789012:now" : "arn:aws:sns:us-east-1:123456789012:today"
      )
    ])
    error_message = "Every alarm must notify the topic of its severity, when it rings and when it recovers."
  }
  assert {
    condition = toset([for name, alarm in local.every_alarm : name if startswith(alarm.alarm_description, "Act now.")]) == toset([
      "api-5xx", "backlog", "board-not-to-be-trusted", "ingest-5xx", "ingest-unavailable", "lag", "not-published", "pipe-failing", "serve-5xx",
    ])
    error_message = "Only what users notice, or will within hours, may be urgent."
  }
  assert {
    condition = alltrue(flatten([for alarm in local.every_alarm :
      [for part in ["What users see: ", "Check: ", "Do: ", "Runbook: "] : strcontains(alarm.alarm_description, part)]
    ]))
    error_message = "Every description must say what users see, what to check, what to do and where the runbook is."
  }
  assert {
    condition = alltrue([for name, alarm in local.every_alarm :
      alarm.alarm_name == "podium-test-${name}" && endswith(alarm.alarm_description, "Runbook: docs/RUNBOOK.md#${name}")
    ])
    error_message = "An alarm must link to the runbook section of its own name."
  }
  assert {
    condition     = length(local.every_alarm) == 64 && length(jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets[1].properties.alarms) == 64
    error_message = "There must be 64 alarms, all of them on the dashboard. Change the number here when you add or remove one."
  }

  # Every alarm has a section in the runbook.

  assert {
    condition = length(setsubtract(
      keys(local.every_alarm),
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
    )) == 0
    error_message = "Add a heading \"### NAME\" to docs/RUNBOOK.md for each of these alarms: ${join(", ", setsubtract(
      keys(local.every_alarm),
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
    ))}."
  }
  assert {
    condition = length(setsubtract(
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
      keys(local.every_alarm),
    )) == 0
    error_message = "Remove or rename these headings in docs/RUNBOOK.md, which name no alarm: ${join(", ", setsubtract(
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
      keys(local.every_alarm),
    ))}."
  }

  # A board that is not published is noticed.

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["not-published"].treat_missing_data == "breaching"
    error_message = "A snapshot that does not run reports no data, and missing data must ring."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["not-published"].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.this["not-published"].threshold == 1 &&
      aws_cloudwatch_metric_alarm.this["not-published"].period == 60 &&
      aws_cloudwatch_metric_alarm.this["not-published"].evaluation_periods == 3
    )
    error_message = "Three minutes without a published board must ring."
  }
  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this :
      contains(["not-published", "rewards-lag"], name) ? alarm.treat_missing_data == "breaching" : alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "A metric that is only reported when something happens must not ring while nothing happens. Heartbeats are always there."
  }

  # The composite alarm names alarms that exist.

  assert {
    condition = length(setsubtract(
      [for name in regexall("ALARM\\(\"([^\"]+)\"\\)", aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule) : name[0]],
      [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name],
    )) == 0
    error_message = "The composite rule names an alarm that does not exist: ${aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule}"
  }
  assert {
    condition     = length(regexall("ALARM\\(", aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule)) == 5
    error_message = "The composite rule must name five alarms: ${aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule}"
  }

  # Metrics are what the functions measure, under the name of this deployment.
  assert {
    condition = alltrue(concat(
      [for alarm in aws_cloudwatch_metric_alarm.this : alarm.dimensions["Environment"] == "podium-test" if alarm.namespace == "Podium"],
      flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
          for metric in try(widget.properties.metrics, []) : slice(metric, 2, 4) == ["Environment", "podium-test"] if metric[0] == "Podium"
        ]
      ]),
    ))
    error_message = "Metrics must be those of this project and environment: another project's may have the same environment."
  }
  assert {
    condition = alltrue([for command in ["describe-pipe", "start-pipe"] :
      strcontains(aws_cloudwatch_metric_alarm.this["pipe-failing"].alarm_description, "aws pipes ${command} --name podium-test-activities")
    ])
    error_message = "The alarm must say how to find out whether AWS stopped the pipe, and how to start it again."
  }

  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.this :
      contains(keys(jsondecode(file("metrics.json")).metrics), alarm.metric_name) if alarm.namespace == "Podium"
    ])
    error_message = "An alarm uses a metric that no function reports."
  }
  assert {
    condition     = length([for alarm in aws_cloudwatch_metric_alarm.this : alarm if alarm.namespace == "Podium"]) == 11
    error_message = "Eleven alarms must use metrics that the functions report themselves."
  }
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) :
        contains(keys(jsondecode(file("metrics.json")).metrics), metric[1]) if metric[0] == "Podium"
      ]
    ]))
    error_message = "The dashboard shows a metric that no function reports."
  }
  assert {
    condition = length(setsubtract(
      # DynamoDB reports the same per table.
      setsubtract(keys(jsondecode(file("metrics.json")).metrics), ["ActivitiesWriteUnits", "DedupReadUnits", "DedupWriteUnits", "StandingsWriteUnits", "StandingsReadUnits", "PeopleReadUnits", "SnapshotsWriteUnits", "CoinsWriteUnits"]),
      flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
          for metric in try(widget.properties.metrics, []) : metric[1] if metric[0] == "Podium"
        ]
      ]),
    )) == 0
    error_message = "The dashboard omits a metric that the functions report."
  }

  # The dashboard is one that CloudWatch takes.

  assert {
    condition = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets :
      widget.x + widget.width <= 24 && contains(["text", "metric", "alarm"], widget.type) && length(try(widget.properties.metrics, [])) <= 500
    ])
    error_message = "A widget is wider than the grid, has an unknown type or has too many metrics."
  }
  assert {
    # A metric is a namespace, a name, pairs of dimension and value, and then options. An expression has no other parts.
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) : can(metric[0].expression) ? length(metric) == 1 : (
          length([for part in metric : part if can(tostring(part))]) % 2 == 0 && length([for part in metric : part if can(tostring(part))]) >= (metric[0] == "Podium/podium-test" ? 2 : 4)
        )
      ]
    ]))
    error_message = "A metric of a widget does not have the form that CloudWatch expects."
  }

  # Without an address nobody is written to.

  assert {
    condition     = length(aws_sns_topic_subscription.alarm_email) == 0 && length(aws_budgets_budget.monthly) == 0
    error_message = "Without an address there must be no subscription and no budget."
  }
}

run "periods_follow_the_snapshots" {
  command = plan

  variables {
    region                 = "eu-central-1"
    snapshot_every_minutes = 60
    expected_standings     = 10000000
    volume_alarms          = { requests_per_hour = 1200, egress_gb_per_hour = 1 }
    stale                  = { after_snapshots = 1000, lag_seconds = 7, backlog = 8 }
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["not-published"].period == 3600 &&
      aws_cloudwatch_metric_alarm.this["not-published"].evaluation_periods == 24
    )
    error_message = "The periods must not exceed one day, the most that CloudWatch evaluates."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["lag"].threshold == 7 && aws_cloudwatch_metric_alarm.this["lag"].evaluation_periods == 1 &&
      aws_cloudwatch_metric_alarm.this["backlog"].threshold == 8 && aws_cloudwatch_metric_alarm.this["backlog"].period == 3600
    )
    error_message = "Lag and backlog must ring at the limits at which a board is stale."
  }
  assert {
    condition     = local.every_alarm["snapshot-errors"].period == 3600 && local.every_alarm["serve-errors"].period == 300 && alltrue([for query in aws_cloudwatch_metric_alarm.this["scheduler-failing"].metric_query : one(query.metric).period == 3600 if length(query.metric) > 0])
    error_message = "A snapshot that fails every hour must ring, so the period must be as long as the interval."
  }
  assert {
    condition     = local.snapshot_timeout_seconds == 900 && local.snapshot_memory_mb == 2560
    error_message = "The snapshot must have up to 15 minutes, and memory for the standings that are expected."
  }
  assert {
    condition = (
      aws_lambda_function_event_invoke_config.snapshot.maximum_event_age_in_seconds == 3600 &&
      aws_scheduler_schedule.snapshot.target[0].retry_policy[0].maximum_event_age_in_seconds == 3600
    )
    error_message = "A run that cannot start at once must be able to start until the next one."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["serve-volume"].threshold == 100 && !contains(keys(aws_cloudwatch_metric_alarm.this), "page-egress")
    error_message = "Volumes are per hour and counted in five minutes; CloudFront reports to us-east-1 only."
  }
}

run "a_budget_without_an_address_is_refused" {
  command = plan

  variables {
    monthly_budget_usd = 100
  }

  expect_failures = [var.monthly_budget_usd]
}

run "alarms_and_budget_are_mailed" {
  command = plan

  variables {
    alarm_email        = "oncall@example.com"
    monthly_budget_usd = 100
  }

  assert {
    condition = { for severity, subscription in aws_sns_topic_subscription.alarm_email : subscription.topic_arn => subscription.endpoint } == {
      "arn:aws:sns:us-east-1:123456789012:now"   = "oncall@example.com"
      "arn:aws:sns:us-east-1:123456789012:today" = "oncall@example.com"
    }
    error_message = "A single address must be subscribed to both topics."
  }
  assert {
    condition     = one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:deployment$podium-test"])
    error_message = "The budget must count only this deployment: another project may have the same environment."
  }
  assert {
    condition = toset([for notice in aws_budgets_budget.monthly[0].notification :
      "${notice.notification_type} ${notice.threshold} ${join(" ", notice.subscriber_email_addresses)}"
    ]) == toset(["FORECASTED 80 oncall@example.com", "ACTUAL 100 oncall@example.com"])
    error_message = "The address must be notified at 80 % forecast and at 100 % spent."
  }
}

run "without_login_and_quests_neither_is_watched" {
  command = plan

  assert {
    condition = length([for name in keys(local.every_alarm) : name if can(regex("reward|fact|coin|progress|notice|notifier|bridge", name))]) == 0 && (
      !strcontains(aws_cloudwatch_dashboard.podium.dashboard_body, "podium-test-rewards") && !strcontains(aws_cloudwatch_dashboard.podium.dashboard_body, "podium-test-facts")
    )
    error_message = "Without quests there are no rewards, so they must have no alarms and no graphs."
  }
  assert {
    condition     = length(local.every_alarm) == 34 && length([for name, alarm in local.every_alarm : name if startswith(name, "api-")]) == 0
    error_message = "Without login there is no HTTP API, so it must have no alarms."
  }
}

# Everything as long as it may be. The dashboard's bucket has the longest name; without it, the others must still fit.
run "the_longest_names_and_descriptions_fit" {
  command = plan

  variables {
    project         = "podium-of-podium"
    environment     = "an-environment-x"
    edge            = false
    oidc            = { issuer = "https://id.example.com", audiences = ["podium"] }
    quests          = [{ id = "first", version = 1, title = "First task", coin = { name = "Seed", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
    webhooks        = { abcdefghij-abcdefghi = { url = "https://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" } }
    coin_mail       = ["rewards@example.com"]
    alarm_email     = "team@example.com"
    alarm_email_now = "oncall@example.com"
    # 300 characters.
    runbook_url = join("", [for n in range(30) : "0123456789"])
  }

  assert {
    condition     = alltrue([for alarm in local.every_alarm : length(alarm.alarm_description) <= 1024])
    error_message = "CloudWatch limits a description to 1,024 characters. Too long: ${join(", ", [for name, alarm in local.every_alarm : name if length(alarm.alarm_description) > 1024])}."
  }
  assert {
    condition = alltrue([for limited in [
      { limit = 64, names = concat(values(local.function_names), [aws_iam_role.pipe.name, aws_iam_role.event_pipe["facts"].name, aws_iam_role.event_pipe["coins"].name, aws_iam_role.snapshot_schedule.name, aws_pipes_pipe.activities.name, aws_pipes_pipe.events["facts"].name, aws_scheduler_schedule.snapshot.name, aws_scheduler_schedule_group.snapshot.name]) },
      { limit = 80, names = [for queue in local.queues : queue.name] },
      { limit = 100, names = concat(values(local.alarm_topic_names), values(local.tables), [aws_sns_topic.events["facts"].name, aws_sns_topic.coin_mail[0].name, aws_iam_policy.post_activities.name, aws_iam_policy.read_boards.name]) },
      { limit = 255, names = [for alarm in local.every_alarm : alarm.alarm_name] },
    ] : alltrue([for name in limited.names : length(name) <= limited.limit])])
    error_message = "A name is longer than AWS allows: 64 characters for functions, roles, pipes and schedules, and 80 for queues."
  }
  assert {
    condition     = aws_sns_topic_subscription.alarm_email["now"].endpoint == "oncall@example.com" && aws_sns_topic_subscription.alarm_email["today"].endpoint == "team@example.com"
    error_message = "Alarms to act on at once must go to alarm_email_now."
  }
}

run "a_longer_address_of_the_runbook_is_refused" {
  command = plan

  variables {
    runbook_url = join("", concat(["x"], [for n in range(30) : "0123456789"]))
  }

  expect_failures = [var.runbook_url]
}
