# What somebody has to be told. Each alarm says when it rings, and in words: what users see, where to look and what
# to do. The words stand in the mail. An alarm's name is a heading in docs/RUNBOOK.md, which says the same at length.

locals {
  # Whoever meets one failure repeats it. What goes on in three of five minutes is not chance.
  lasting = { statistic = "Sum", period = 60, evaluation_periods = 5, datapoints = 3, threshold = 0 }

  # For what may fail only now and then, because it is tried only now and then.
  repeated = { statistic = "Sum", period = 300, evaluation_periods = 3, datapoints = 2, threshold = 0 }

  # For what should not be there at all.
  present = { statistic = "Maximum", period = 60, evaluation_periods = 1, datapoints = 1, threshold = 0 }

  # What a snapshot measures comes as often as the snapshot. Three minutes of it, so that a burst which is worked
  # off at once wakes nobody.
  published_periods = max(1, ceil(3 / var.snapshot_every_minutes))
  measured = {
    statistic          = "Maximum"
    period             = local.snapshot_every_seconds
    evaluation_periods = local.published_periods
    datapoints         = local.published_periods
  }

  alarms = merge(local.request_alarms, local.way_alarms, local.board_alarms, local.table_alarms)

  # Of those who post and those who read.
  request_alarms = {
    ingest-5xx = merge(local.lasting, {
      severity   = "now"
      namespace  = "AWS/Lambda"
      metrics    = ["Url5xxCount"]
      dimensions = { FunctionName = module.ingest.name }
      sees       = "Posting activities fails with 502 or 503. What was answered as accepted is safe."
      look       = "Logs Insights on ${module.ingest.log_group}; the alarms ingest-errors and activities-table-throttled."
      do         = "Roll back ingest if it began with a deployment; otherwise see to the table. Clients send again."
    })
    ingest-latency = {
      severity           = "today"
      namespace          = "AWS/Lambda"
      metrics            = ["UrlRequestLatency"]
      dimensions         = { FunctionName = module.ingest.name }
      statistic          = "p99"
      period             = 300
      evaluation_periods = 1
      datapoints         = 1
      # A put takes milliseconds and a cold start some tenths of a second. In milliseconds.
      threshold = 1000
      sees      = "One post in a hundred takes longer than a second; clients may run into their timeouts."
      look      = "On the dashboard, ingest: is it the function's own duration, or does it wait to be started?"
      do        = "Cold starts: nothing, or more memory. Its own duration: see to the table of activities."
    }
    ingest-unavailable = merge(local.lasting, {
      severity   = "now"
      namespace  = local.metric_namespace
      metrics    = [local.metric["Unavailable"]]
      dimensions = local.metric_dimensions.ingest
      sees       = "Some activities are answered with 503 and Retry-After. None is lost while clients send them again."
      look       = "The errors in ${module.ingest.log_group} name what DynamoDB answered."
      do         = "Throttled: wait, or raise the account's quota. Denied or not found: restore the role or the table."
    })
    serve-5xx = merge(local.lasting, {
      severity   = "now"
      namespace  = "AWS/Lambda"
      metrics    = ["Url5xxCount"]
      dimensions = { FunctionName = module.serve.name }
      sees       = "Boards and the dashboard do not load. Nothing is lost: posting and counting go on."
      look       = "Logs Insights on ${module.serve.log_group}; the alarms serve-errors and snapshots-table-throttled."
      do         = "Roll back serve if it began with a deployment; otherwise see to the tables that it reads."
    })
    serve-latency = {
      severity           = "today"
      namespace          = "AWS/Lambda"
      metrics            = ["UrlRequestLatency"]
      dimensions         = { FunctionName = module.serve.name }
      statistic          = "p99"
      period             = 300
      evaluation_periods = 1
      datapoints         = 1
      # A page is one or two reads, and a cold start some tenths of a second. In milliseconds.
      threshold = 1000
      sees      = "One board in a hundred takes longer than a second to load."
      look      = "On the dashboard, serve: is it the function's own duration, or does it wait to be started?"
      do        = "Cold starts: nothing, or more memory. Its own duration: see to the table of snapshots."
    }
  }

  # Of the way from the table to the standings.
  way_alarms = {
    pipe-failing = merge(local.repeated, {
      severity   = "now"
      namespace  = "AWS/EventBridge/Pipes"
      metrics    = ["ExecutionFailed", "ExecutionPartiallyFailed", "ExecutionThrottled", "ExecutionTimeout"]
      dimensions = { PipeName = aws_pipes_pipe.activities.name }
      sees       = "Nothing at first; then new activities do not appear, and boards say that they are stale."
      look       = "The errors in ${aws_cloudwatch_log_group.pipe.name}, and the pipe's state."
      do         = "Mend the pipe's role, key or queue within 20 hours: until then it tries again by itself."
    })
    queue-age = {
      severity           = "today"
      namespace          = "AWS/SQS"
      metrics            = ["ApproximateAgeOfOldestMessage"]
      dimensions         = { QueueName = aws_sqs_queue.activities.name }
      statistic          = "Maximum"
      period             = 60
      evaluation_periods = 3
      datapoints         = 3
      # A message is counted within seconds, and comes back after at most three minutes from an invocation that
      # died. What is older was put off more than once.
      threshold = 300
      sees      = "Some people's latest activities are missing, for minutes. The rest of the board is right."
      look      = "Warnings in ${module.aggregator.log_group}: what was put off, and why."
      do        = "Mend what they name. Nothing is lost: messages come back by themselves, up to 20 times."
    }
    activities-dead-letters = merge(local.present, {
      severity   = "today"
      namespace  = "AWS/SQS"
      metrics    = ["ApproximateNumberOfMessagesVisible"]
      dimensions = { QueueName = aws_sqs_queue.activities_dead_letters.name }
      sees       = "Points are missing from the boards, and stay missing until somebody sees to it."
      look       = "Receive a message of the queue ${aws_sqs_queue.activities_dead_letters.name}: its attributes name the reason."
      do         = "Mend the reason, then redrive within 14 days. What was counted already is not counted again."
    })
    pipe-dead-letters = merge(local.present, {
      severity   = "today"
      namespace  = "AWS/SQS"
      metrics    = ["ApproximateNumberOfMessagesVisible"]
      dimensions = { QueueName = aws_sqs_queue.pipe_dead_letters.name }
      sees       = "Points are missing from the boards: activities are kept, but they never got into the queue."
      look       = "Receive a message of the queue ${aws_sqs_queue.pipe_dead_letters.name}: it names a position in the stream."
      do         = "Read the records there and send them to the queue; the stream keeps them for 24 hours only."
    })
    snapshot-dead-letters = merge(local.present, {
      severity   = "today"
      namespace  = "AWS/SQS"
      metrics    = ["ApproximateNumberOfMessagesVisible"]
      dimensions = { QueueName = aws_sqs_queue.snapshot_dead_letters.name }
      sees       = "Boards were once renewed later than usual. The next run makes up for it."
      look       = "Receive a message of the queue ${aws_sqs_queue.snapshot_dead_letters.name}: it holds the error."
      do         = "Mend it if it comes again; then purge the queue. Do not redrive: an old run is worth nothing."
    })
    scheduler-failing = merge(local.repeated, {
      severity   = "today"
      namespace  = "AWS/Scheduler"
      metrics    = ["TargetErrorCount", "TargetErrorThrottledCount", "InvocationDroppedCount"]
      dimensions = { ScheduleGroup = aws_scheduler_schedule_group.snapshot.name }
      sees       = "Boards are renewed later than usual, or not at all; then not-published tells so, too."
      look       = "Messages of the queue ${aws_sqs_queue.snapshot_dead_letters.name}; the schedule's role."
      do         = "Restore the role's permission to invoke the alias live. Meanwhile invoke the snapshot by hand."
    })
  }

  # Of what readers are shown.
  board_alarms = {
    not-published = {
      severity   = "now"
      namespace  = local.metric_namespace
      metrics    = [local.metric["Published"]]
      dimensions = local.metric_dimensions.snapshot
      statistic  = "Sum"
      period     = local.snapshot_every_seconds
      # As many as make a board stale. CloudWatch looks back for a day at most.
      evaluation_periods = min(var.stale.after_snapshots, floor(24 * 3600 / local.snapshot_every_seconds))
      datapoints         = min(var.stale.after_snapshots, floor(24 * 3600 / local.snapshot_every_seconds))
      comparison         = "LessThanThreshold"
      threshold          = 1
      # Who does not run does not say so.
      missing = "breaching"
      sees    = "Boards stand still and say stale: age. Posting and counting go on, and nothing is lost."
      look    = "Logs Insights on ${module.snapshot.log_group}; the alarms snapshot-errors and scheduler-failing."
      do      = "Invoke the snapshot by hand and read its answer; roll it back if it began with a deployment."
    }
    lag = merge(local.measured, {
      severity   = "now"
      namespace  = local.metric_namespace
      metrics    = [local.metric["Lag"]]
      dimensions = local.metric_dimensions.snapshot
      threshold  = var.stale.lag_seconds
      sees       = "What people do appears late, and boards say stale: lag. Nothing is lost."
      look       = "Where it stands still, on the dashboard from left to right: pipe, queue, aggregator."
      do         = "See to the first stage that has input and no output; its own alarm says how."
    })
    backlog = merge(local.measured, {
      severity   = "now"
      namespace  = local.metric_namespace
      metrics    = [local.metric["Backlog"]]
      dimensions = local.metric_dimensions.snapshot
      threshold  = var.stale.backlog
      sees       = "Recent activities are missing, and boards say stale: backlog. Nothing is lost for 14 days."
      look       = "Does the queue grow or shrink? Is the aggregator failing, or only at its bound?"
      do         = "Shrinking: wait. Growing without errors: raise function_concurrency.aggregator."
    })
  }

  # DynamoDB reports these by table, and only when there are any.
  table_alarms = {
    for table, sees in {
      activities = "Posts take longer or are answered with 503, and clients send again."
      dedup      = "New points appear late. The aggregator tries again, and nothing is lost."
      standings  = "New points appear late, or boards are renewed late. Both are tried again, and nothing is lost."
      snapshots  = "Boards load slowly or with 503, or are renewed late."
      } : "${table}-table-throttled" => merge(local.lasting, {
        severity   = "today"
        namespace  = "AWS/DynamoDB"
        metrics    = ["ReadThrottleEvents", "WriteThrottleEvents"]
        dimensions = { TableName = local.tables[table] }
        sees       = sees
        look       = "The table's throttling metrics by cause in CloudWatch: key range, account, or on-demand maximum."
        do         = "A key range splits by itself within minutes. For an account's limit, ask AWS for a higher quota."
    })
  }

  # Of the functions themselves; the alarms are in their module.
  function_alarms = {
    errors = {
      for stage, sees in {
        ingest     = "Some posts are answered with 502, and clients send them again."
        aggregator = "New points appear late. The messages come back, and nothing is lost or counted twice."
        snapshot   = "Boards are renewed late, with the next run that succeeds."
        serve      = "Some boards do not load, with 502."
        } : stage => {
        severity = "today"
        sees     = sees
        look     = "Logs Insights on /aws/lambda/${local.name}-${stage}: the last errors, timeouts, exhausted memory."
        do       = "Roll back to the previous version if it began with a deployment."
      }
    }
    throttles = {
      for stage, sees in {
        ingest     = "Some posts are answered with 429, and clients send them again."
        aggregator = "New points appear late. The messages come back, and nothing is lost."
        snapshot   = "Boards are renewed late: a run does not end before the next one, or the account is at its limit."
        serve      = "Some boards do not load, with 429."
        } : stage => {
        severity = "today"
        sees     = sees
        look     = "The function's ConcurrentExecutions beside its bound, and the account's beside its quota."
        do       = "Raise the bound in the variables, or ask AWS for a higher quota of concurrent executions."
      }
    }
  }

  # Anything after which a board is old or lacks points, so that nobody should act on it. Not in it: what readers
  # cannot see at all (serve), what clients know and repeat (ingest), and what only may become one of these.
  distrust = {
    board-not-to-be-trusted = {
      severity = "now"
      because  = ["not-published", "lag", "backlog", "activities-dead-letters", "pipe-dead-letters"]
      sees     = "Boards that are old, behind, or lack points. Do not pay out or announce anything by them."
      look     = "Which of these is in alarm: not published, lag, backlog, dead letters of the queue or of the pipe."
      do       = "What that one's own section says. Tell those who use the boards until it is over."
    }
  }

  severities = {
    now   = "Act now."
    today = "Look at it today."
  }

  alarm_descriptions = {
    for name, alarm in merge(
      local.alarms,
      { for stage, alarm in local.function_alarms.errors : "${stage}-errors" => alarm },
      { for stage, alarm in local.function_alarms.throttles : "${stage}-throttles" => alarm },
      local.distrust,
    ) :
    name => "${local.severities[alarm.severity]} What users see: ${alarm.sees} Look: ${alarm.look} Do: ${alarm.do} Runbook: ${var.runbook_url}#${name}"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = {
    for name, alarm in local.alarms : name => merge(alarm, {
      is_sum        = length(alarm.metrics) > 1
      is_percentile = startswith(alarm.statistic, "p")
    })
  }

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = local.alarm_descriptions[each.key]
  comparison_operator = try(each.value.comparison, "GreaterThanThreshold")
  threshold           = each.value.threshold
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints
  # Most of these are only reported when there is something to report.
  treat_missing_data = try(each.value.missing, "notBreaching")
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]

  # Either one metric ...
  namespace          = each.value.is_sum ? null : each.value.namespace
  metric_name        = each.value.is_sum ? null : each.value.metrics[0]
  dimensions         = each.value.is_sum ? null : each.value.dimensions
  period             = each.value.is_sum ? null : each.value.period
  statistic          = each.value.is_sum || each.value.is_percentile ? null : each.value.statistic
  extended_statistic = each.value.is_percentile ? each.value.statistic : null
  # A percentile of three requests says nothing.
  evaluate_low_sample_count_percentiles = each.value.is_percentile ? "ignore" : null

  # ... or the sum of several. One that is not reported in a period counts as 0.
  dynamic "metric_query" {
    for_each = each.value.is_sum ? [range(length(each.value.metrics))] : []
    content {
      id          = "sum"
      label       = each.key
      expression  = "SUM([${join(", ", [for at in metric_query.value : "FILL(m${at}, 0)"])}])"
      return_data = true
    }
  }
  dynamic "metric_query" {
    for_each = each.value.is_sum ? each.value.metrics : []
    content {
      id = "m${metric_query.key}"
      metric {
        namespace   = each.value.namespace
        metric_name = metric_query.value
        dimensions  = each.value.dimensions
        period      = each.value.period
        stat        = each.value.statistic
      }
    }
  }

  tags = { stage = "observability" }
}

resource "aws_cloudwatch_composite_alarm" "board_not_to_be_trusted" {
  alarm_name        = "${local.name}-board-not-to-be-trusted"
  alarm_description = local.alarm_descriptions["board-not-to-be-trusted"]
  alarm_rule = join(" OR ", [
    for name in local.distrust.board-not-to-be-trusted.because : "ALARM(\"${aws_cloudwatch_metric_alarm.this[name].alarm_name}\")"
  ])
  alarm_actions = [aws_sns_topic.alarms.arn]
  ok_actions    = [aws_sns_topic.alarms.arn]
  tags          = { stage = "observability" }
}

locals {
  every_alarm = merge(
    aws_cloudwatch_metric_alarm.this,
    merge([
      for stage, alarms in {
        ingest     = module.ingest.alarms
        aggregator = module.aggregator.alarms
        snapshot   = module.snapshot.alarms
        serve      = module.serve.alarms
      } : { for about, alarm in alarms : "${stage}-${about}" => alarm }
    ]...),
    { board-not-to-be-trusted = aws_cloudwatch_composite_alarm.board_not_to_be_trusted },
  )
}
