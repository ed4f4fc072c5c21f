# The on-call engineer needs instructions: checks that alarms, their descriptions and the runbook match.

mock_provider "aws" {
  # Makes ARNs known in the plan, and with them the body of the dashboard.
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
    error_message = "Every alarm must notify the topic when it rings and when it recovers."
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
    condition     = length(local.every_alarm) == 27 && length(jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets[1].properties.alarms) == 27
    error_message = "There must be 27 alarms, all of them on the dashboard. Change the number here when you add or remove one."
  }
}

run "every_alarm_has_a_section_in_the_runbook" {
  command = plan

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
}

run "a_board_that_is_not_published_is_noticed" {
  command = plan

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
      name == "not-published" || alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "A metric that is only reported when something happens must not ring while nothing happens."
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
    error_message = "The periods must not exceed one day, the most that CloudWatch evaluates."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["lag"].threshold == 7 && aws_cloudwatch_metric_alarm.this["lag"].evaluation_periods == 1 &&
      aws_cloudwatch_metric_alarm.this["backlog"].threshold == 8 && aws_cloudwatch_metric_alarm.this["backlog"].period == 3600
    )
    error_message = "Lag and backlog must ring at the limits at which a board is stale."
  }
}

run "the_composite_names_alarms_that_exist" {
  command = plan

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
}

run "metrics_are_what_the_functions_measure" {
  command = plan

  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.this :
      contains(keys(jsondecode(file("metrics.json")).metrics), alarm.metric_name) if alarm.namespace == "Podium"
    ])
    error_message = "An alarm uses a metric that no function reports."
  }
  assert {
    condition     = length([for alarm in aws_cloudwatch_metric_alarm.this : alarm if alarm.namespace == "Podium"]) == 4
    error_message = "Four alarms must use metrics that the functions report themselves."
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
      setsubtract(keys(jsondecode(file("metrics.json")).metrics), ["ActivitiesWriteUnits", "DedupWriteUnits", "StandingsWriteUnits", "StandingsReadUnits", "SnapshotsWriteUnits"]),
      flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.podium.dashboard_body).widgets : [
          for metric in try(widget.properties.metrics, []) : metric[1] if metric[0] == "Podium"
        ]
      ]),
    )) == 0
    error_message = "The dashboard omits a metric that the functions report."
  }
}

run "the_dashboard_is_one_that_cloudwatch_takes" {
  command = plan

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
          length([for part in metric : part if can(tostring(part))]) % 2 == 0 && length([for part in metric : part if can(tostring(part))]) >= 4
        )
      ]
    ]))
    error_message = "A metric of a widget does not have the form that CloudWatch expects."
  }
}

run "without_an_address_nobody_is_written_to" {
  command = plan

  assert {
    condition     = length(aws_sns_topic_subscription.alarm_email) == 0 && length(aws_budgets_budget.monthly) == 0
    error_message = "Without an address there must be no subscription and no budget."
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
    error_message = "The address must be subscribed to the topic."
  }
  assert {
    condition     = one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:environment$test"])
    error_message = "The budget must count only this environment."
  }
  assert {
    condition = toset([for notice in aws_budgets_budget.monthly[0].notification :
      "${notice.notification_type} ${notice.threshold} ${join(" ", notice.subscriber_email_addresses)}"
    ]) == toset(["FORECASTED 80 oncall@example.com", "ACTUAL 100 oncall@example.com"])
    error_message = "The address must be notified at 80 % forecast and at 100 % spent."
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
    error_message = "CloudWatch limits a description to 1,024 characters. Too long: ${join(", ", [for name, alarm in local.every_alarm : name if length(alarm.alarm_description) > 1024])}."
  }
}

run "a_longer_address_of_the_runbook_is_refused" {
  command = plan

  variables {
    runbook_url = join("", concat(["x"], [for n in range(30) : "0123456789"]))
  }

  expect_failures = [var.runbook_url]
}
