# Whoever is woken has to find out what to do: alarms, their words and the runbook are held together here.

mock_provider "aws" {
  # Known in the plan, so that the body of the dashboard is.
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:alarms" }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:one" }
  }
  mock_resource "aws_cloudwatch_composite_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:several" }
  }
}

variables {
  environment   = "test"
  functions_dir = "tests/functions"
}

run "alarms_say_what_to_do_and_reach_somebody" {
  command = plan

  assert {
    condition = alltrue([for alarm in local.every_alarm :
      alarm.alarm_actions == toset([aws_sns_topic.alarms.arn]) && alarm.ok_actions == toset([aws_sns_topic.alarms.arn])
    ])
    error_message = "Every alarm tells the topic when it rings and when it is over."
  }
  assert {
    condition = alltrue(flatten([for alarm in local.every_alarm :
      [for part in ["What users see: ", "Look: ", "Do: ", "Runbook: "] : strcontains(alarm.alarm_description, part)]
    ]))
    error_message = "Every description says what users see, where to look, what to do and where the runbook is."
  }
  assert {
    condition = alltrue([for name, alarm in local.every_alarm :
      alarm.alarm_name == "podium-test-${name}" && endswith(alarm.alarm_description, "Runbook: docs/RUNBOOK.md#${name}")
    ])
    error_message = "An alarm's name and the section that it links to are the same."
  }
  assert {
    condition     = length(local.every_alarm) == 27 && length(jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets[1].properties.alarms) == 27
    error_message = "There are 27 alarms, and the dashboard shows them all. Adapt the number when one comes or goes."
  }
}

run "every_alarm_has_a_section_in_the_runbook" {
  command = plan

  assert {
    condition = length(setsubtract(
      keys(local.every_alarm),
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
    )) == 0
    error_message = "Alarms without a heading \"### NAME\" in docs/RUNBOOK.md: ${join(", ", setsubtract(
      keys(local.every_alarm),
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
    ))}."
  }
  assert {
    condition = length(setsubtract(
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
      keys(local.every_alarm),
    )) == 0
    error_message = "Headings in docs/RUNBOOK.md that look like an alarm's, of which there is none: ${join(", ", setsubtract(
      [for heading in regexall("(?m)^### ([a-z0-9-]+)$", file("../docs/RUNBOOK.md")) : heading[0]],
      keys(local.every_alarm),
    ))}."
  }
}

run "a_board_that_is_not_published_is_noticed" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["not-published"].treat_missing_data == "breaching"
    error_message = "A snapshot that does not run measures nothing, and that must ring."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["not-published"].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.this["not-published"].threshold == 1 &&
      aws_cloudwatch_metric_alarm.this["not-published"].period == 60 &&
      aws_cloudwatch_metric_alarm.this["not-published"].evaluation_periods == 3
    )
    error_message = "Three minutes without a published board ring."
  }
  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this :
      name == "not-published" || alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "What is only reported when something happens must not ring when nothing does."
  }
}

run "periods_follow_the_snapshots" {
  command = plan

  variables {
    snapshot_every_minutes = 60
    stale                  = { after_snapshots = 1000, lag_seconds = 7, backlog = 8 }
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["not-published"].period == 3600 &&
      aws_cloudwatch_metric_alarm.this["not-published"].evaluation_periods == 24
    )
    error_message = "CloudWatch looks back for a day at most."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["lag"].threshold == 7 && aws_cloudwatch_metric_alarm.this["lag"].evaluation_periods == 1 &&
      aws_cloudwatch_metric_alarm.this["backlog"].threshold == 8 && aws_cloudwatch_metric_alarm.this["backlog"].period == 3600
    )
    error_message = "Lag and backlog ring where a board calls itself stale."
  }
}

run "the_composite_names_alarms_that_exist" {
  command = plan

  assert {
    condition = length(setsubtract(
      [for name in regexall("ALARM\\(\"([^\"]+)\"\\)", aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule) : name[0]],
      [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name],
    )) == 0
    error_message = "The rule names an alarm that there is not: ${aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule}"
  }
  assert {
    condition     = length(regexall("ALARM\\(", aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule)) == 5
    error_message = "A board is not to be trusted for five reasons: ${aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_rule}"
  }
}

run "metrics_are_what_the_functions_measure" {
  command = plan

  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.this :
      contains(keys(jsondecode(file("metrics.json")).metrics), alarm.metric_name) if alarm.namespace == "Podium"
    ])
    error_message = "An alarm is on a metric that no function measures."
  }
  assert {
    condition     = length([for alarm in aws_cloudwatch_metric_alarm.this : alarm if alarm.namespace == "Podium"]) == 4
    error_message = "Four alarms are on what the functions measure themselves."
  }
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) :
        contains(keys(jsondecode(file("metrics.json")).metrics), metric[1]) if metric[0] == "Podium"
      ]
    ]))
    error_message = "The dashboard shows a metric that no function measures."
  }
  assert {
    condition = length(setsubtract(
      # These are the same as what DynamoDB reports by table.
      setsubtract(keys(jsondecode(file("metrics.json")).metrics), ["ActivitiesWriteUnits", "DedupWriteUnits", "StandingsWriteUnits", "StandingsReadUnits", "SnapshotsWriteUnits"]),
      flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
          for metric in try(widget.properties.metrics, []) : metric[1] if metric[0] == "Podium"
        ]
      ]),
    )) == 0
    error_message = "The dashboard leaves out something that the functions measure."
  }
}

run "the_dashboard_is_one_that_cloudwatch_takes" {
  command = plan

  assert {
    condition = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets :
      widget.x + widget.width <= 24 && contains(["text", "metric", "alarm"], widget.type) && length(try(widget.properties.metrics, [])) <= 500
    ])
    error_message = "A widget is wider than the grid, of no known kind or of too many metrics."
  }
  assert {
    # A metric is a namespace, a name and pairs of dimensions; options come last. An expression stands alone.
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) : can(metric[0].expression) ? length(metric) == 1 : (
          length([for part in metric : part if can(tostring(part))]) % 2 == 0 && length([for part in metric : part if can(tostring(part))]) >= 4
        )
      ]
    ]))
    error_message = "A metric of a widget is not of the form that CloudWatch reads."
  }
}

run "without_an_address_nobody_is_written_to" {
  command = plan

  assert {
    condition     = length(aws_sns_topic_subscription.alarm_email) == 0 && length(aws_budgets_budget.monthly) == 0
    error_message = "Without an address there is neither a subscription nor a budget."
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
    condition = (
      aws_sns_topic_subscription.alarm_email[0].endpoint == "oncall@example.com" &&
      aws_sns_topic_subscription.alarm_email[0].topic_arn == aws_sns_topic.alarms.arn
    )
    error_message = "The address is subscribed to the topic."
  }
  assert {
    condition     = one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:environment$test"])
    error_message = "The budget is of this environment alone."
  }
  assert {
    condition = toset([for notice in aws_budgets_budget.monthly[0].notification :
      "${notice.notification_type} ${notice.threshold} ${join(" ", notice.subscriber_email_addresses)}"
    ]) == toset(["FORECASTED 80 oncall@example.com", "ACTUAL 100 oncall@example.com"])
    error_message = "The address hears of 80 % forecast and of 100 % spent."
  }
}

run "the_longest_descriptions_fit" {
  command = plan

  variables {
    project     = "podium-of-podium"
    environment = "an-environment-x"
    # 300 characters.
    runbook_url = join("", [for n in range(30) : "0123456789"])
  }

  assert {
    condition     = alltrue([for alarm in local.every_alarm : length(alarm.alarm_description) <= 1024])
    error_message = "CloudWatch takes 1,024 characters of description; too long: ${join(", ", [for name, alarm in local.every_alarm : name if length(alarm.alarm_description) > 1024])}."
  }
}

run "a_longer_address_of_the_runbook_is_refused" {
  command = plan

  variables {
    runbook_url = join("", concat(["x"], [for n in range(30) : "0123456789"]))
  }

  expect_failures = [var.runbook_url]
}
