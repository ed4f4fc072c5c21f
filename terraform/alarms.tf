# Every alarm and its description. A description says what users see, what to check first and what to do, because the
# on-call engineer may see nothing but the mail. An alarm's name is also a heading in docs/RUNBOOK.md, which has the
# details.

locals {
  # Options of `podium` that select this deployment.
  cli_options = "${var.project == "podium" ? "" : "--project ${var.project} "}--environment ${var.environment}"

  # Clients retry a single failure, so only failures in three of five minutes fire.
  sustained = { statistic = "Sum", period = 60, evaluation_periods = 5, datapoints = 3, threshold = 0 }

  # For rare attempts: a failure in two of three periods of five minutes (or one run, if that is longer) rings.
  recurring = { statistic = "Sum", period = 300, evaluation_periods = 3, datapoints = 2, threshold = 0 }

  server_errors = merge(local.sustained, {
    severity  = "now"
    namespace = "AWS/Lambda"
    metrics   = ["Url5xxCount"]
  })

  # A request takes one or two calls to DynamoDB, which take milliseconds; a cold start takes some tenths of a second.
  slow_requests = {
    severity           = "today"
    namespace          = "AWS/Lambda"
    metrics            = ["UrlRequestLatency"]
    statistic          = "p99"
    period             = 300
    evaluation_periods = 1
    datapoints         = 1
    threshold          = 1000 # milliseconds
  }

  # More requests than expected, for a quarter of an hour. Each one costs money.
  many_requests = {
    severity           = "today"
    namespace          = "AWS/Lambda"
    metrics            = ["UrlRequestCount"]
    statistic          = "Sum"
    period             = 300
    evaluation_periods = 3
    datapoints         = 3
    threshold          = var.volume_alarms.requests_per_hour / 12
  }

  # A DLQ should be empty, so one message rings.
  dead_letters = {
    severity           = "today"
    namespace          = "AWS/SQS"
    metrics            = ["ApproximateNumberOfMessagesVisible"]
    statistic          = "Maximum"
    period             = 60
    evaluation_periods = 1
    datapoints         = 1
    threshold          = 0
  }

  pipe_failing = merge(local.recurring, {
    namespace = "AWS/EventBridge/Pipes"
    metrics   = ["ExecutionFailed", "ExecutionPartiallyFailed", "ExecutionThrottled", "ExecutionTimeout"]
  })

  queue_age = {
    severity           = "today"
    namespace          = "AWS/SQS"
    metrics            = ["ApproximateAgeOfOldestMessage"]
    statistic          = "Maximum"
    period             = 60
    evaluation_periods = 3
    datapoints         = 3
    # A message is processed within seconds, or redelivered within three minutes if its invocation dies. An older one was
    # deferred more than once.
    threshold = 300
  }

  deferred = {
    severity           = "today"
    namespace          = local.metric_namespace
    metrics            = [local.metric["Deferred"]]
    statistic          = "Sum"
    period             = 3600
    evaluation_periods = 3
    datapoints         = 3
    # The age of the oldest message leaves out one that was received three times. The pauses are at most an hour, so a
    # message that keeps failing is deferred in every hour.
    threshold = 0
  }

  # One event that is not sent rings.
  notices_sum = {
    severity           = "today"
    namespace          = local.metric_namespace
    statistic          = "Sum"
    period             = 300
    evaluation_periods = 1
    datapoints         = 1
    threshold          = 0
  }

  # As many snapshots in a row as make a board stale. CloudWatch evaluates one day at most.
  stale_periods = min(var.stale.after_snapshots, floor(24 * 3600 / local.snapshot_every_seconds))

  # Each snapshot run measures these once. They fire after three minutes (or one run, if that is longer), so that a
  # short burst wakes no one.
  freshness_periods = max(1, ceil(3 / var.snapshot_every_minutes))
  freshness = {
    severity           = "now"
    namespace          = local.metric_namespace
    dimensions         = local.metric_dimensions.snapshot
    statistic          = "Maximum"
    period             = local.snapshot_every_seconds
    evaluation_periods = local.freshness_periods
    datapoints         = local.freshness_periods
  }

  alarms = merge(local.request_alarms, local.event_queue_alarms, local.edge_alarms, local.api_alarms, local.pipeline_alarms, local.board_alarms, local.event_alarms, local.rewards_alarms, local.notices_alarms, local.bridge_alarms, local.table_alarms)

  # Posting and reading.
  request_alarms = {
    ingest-5xx = merge(local.server_errors, {
      dimensions = { FunctionName = module.ingest.name }
      users_see  = "Posting activities fails with 502 or 503. Activities already answered with \"accepted\" are safe."
      check      = "Errors in ${module.ingest.log_group} (Logs Insights). Is ingest-errors or activities-table-throttled firing as well?"
      do         = "If it started with a deployment, roll back ingest. Otherwise fix the table activities. Clients retry."
    })
    ingest-latency = merge(local.slow_requests, {
      dimensions = { FunctionName = module.ingest.name }
      users_see  = "One post in a hundred takes longer than a second. Clients may time out."
      check      = "CloudWatch dashboard, row Ingest, graph Time to answer. Is function p99 high (slow table) or only request p99 (cold starts)?"
      do         = "A few cold starts: nothing. Many: raise function_memory_mb.ingest. Slow table: check the table activities for throttling."
    })
    ingest-volume = merge(local.many_requests, {
      dimensions = { FunctionName = module.ingest.name }
      users_see  = "Nothing. Clients post more than volume_alarms.requests_per_hour, and every request and activity costs money."
      check      = "CloudWatch dashboard, row Ingest: an import, a client that is out of control, or growth?"
      do         = "Ask the client's owner to slow down or to send batches of 100, or lower function_concurrency.ingest. Growth: raise volume_alarms."
    })
    ingest-unavailable = merge(local.sustained, {
      severity   = "now"
      namespace  = local.metric_namespace
      metrics    = [local.metric["Unavailable"]]
      dimensions = local.metric_dimensions.ingest
      users_see  = "Some activities are answered with 503 and Retry-After. None is lost as long as clients retry."
      check      = "Errors in ${module.ingest.log_group}: they contain DynamoDB's answer."
      do         = "Throttled: wait, or request a higher account quota. Access denied or table not found: run terraform plan and apply."
    })
    serve-5xx = merge(local.server_errors, {
      dimensions = { FunctionName = module.serve.name }
      users_see  = "Boards and the dashboard do not load. Posting and counting continue; nothing is lost."
      check      = "Errors in ${module.serve.log_group} (Logs Insights). Is serve-errors or snapshots-table-throttled firing as well?"
      do         = "If it started with a deployment, roll back serve. Otherwise fix the tables snapshots and standings."
    })
    serve-latency = merge(local.slow_requests, {
      dimensions = { FunctionName = module.serve.name }
      users_see  = "One board in a hundred takes longer than a second to load."
      check      = "CloudWatch dashboard, row Serve, graph Time to answer. Is function p99 high (slow table) or only request p99 (cold starts)?"
      do         = "A few cold starts: nothing. Many: raise function_memory_mb.serve. Slow table: check the table snapshots for throttling."
    })
    serve-volume = merge(local.many_requests, {
      dimensions = { FunctionName = module.serve.name }
      users_see  = "Nothing, or 429 if one client uses up the limit. Boards are read more than volume_alarms.requests_per_hour; answers cost traffic."
      check      = "CloudWatch dashboard, row Serve: a script that reads in a loop, or growth?"
      do         = "Ask its owner to send the ETag. Unknown: lower function_concurrency.serve or set waf. Growth: raise volume_alarms."
    })
  }

  # From the queue of events to the table of activities.
  event_queue_alarms = merge([
    for queue in aws_sqs_queue.events : {
      events-queue-age = merge(local.queue_age, {
        dimensions = { QueueName = queue.name }
        users_see  = "Activities that come as events appear late. Posting over HTTP is not affected."
        check      = "Warnings in ${module.ingest.log_group}: the field reasons says why a message was deferred. Is ingest-errors firing as well?"
        do         = "Fix the cause, usually a throttled table or a missing permission. Nothing is lost: the queue keeps it for 14 days."
      })
      events-deferred = merge(local.deferred, {
        dimensions = local.metric_dimensions.ingest
        users_see  = "Activities that come as events are missing for hours. Posting over HTTP is not affected."
        check      = "Warnings in ${module.ingest.log_group}: the field reasons says why messages are deferred."
        do         = "Fix the cause within 14 days. SQS then deletes the messages, and whoever sends the events must send them again."
      })
      events-dead-letters = merge(local.dead_letters, {
        dimensions = { QueueName = aws_sqs_queue.events_dead_letters[0].name }
        users_see  = "Some events are no activities, and their points are missing until an operator acts."
        check      = "podium dlq list --of events ${local.cli_options}. It shows the reasons."
        do         = "Correct event_mapping or whoever sends the events, then run podium dlq redrive --of events ${local.cli_options} within 14 days. No event counts twice."
      })
    }
  ]...)

  # From another system's stream to the queue of events, and from the topic of facts to its table.
  bridge_alarms = merge([
    for queue in aws_sqs_queue.bridge : {
      bridge-behind = merge(local.queue_age, {
        namespace  = "AWS/Lambda"
        metrics    = ["IteratorAge"]
        dimensions = { FunctionName = module.bridge[0].name, Resource = "${module.bridge[0].name}:${module.bridge[0].alias_name}" }
        # CloudWatch has it in milliseconds.
        threshold = 1000 * local.queue_age.threshold
        users_see = "What people do in the other system appears late in Podium. The other system is not affected."
        check     = "Warnings and errors in ${module.bridge[0].log_group}: they say why records are delivered again."
        do        = "Fix the queue of events or the permission within 20 hours. Later: podium migrate backfill --without-tail, then verify."
      })
      bridge-queue-age = merge(local.queue_age, {
        dimensions = { QueueName = queue.name }
        users_see  = "What people do in Podium appears late in the other system. Podium is not affected."
        check      = "Warnings and errors in ${module.bridge[0].log_group}: they say why messages were deferred."
        do         = "Fix the other system's table or the permission. Nothing is lost: the queue keeps it for 14 days. Do not roll back meanwhile."
      })
      bridge-dead-letters = merge(local.dead_letters, {
        dimensions = { QueueName = aws_sqs_queue.bridge_dead_letters[0].name }
        users_see  = "Some activities are in one of the two systems only, until an operator acts."
        check      = "podium dlq list --of bridge ${local.cli_options}. It shows the reasons."
        do         = "No activity: correct mapping in legacy, apply, then podium migrate backfill --without-tail. Facts: fix the cause, then podium dlq redrive --of bridge ${local.cli_options}."
      })
    }
  ]...)

  # CloudFront reports to us-east-1 only, and an alarm must be where its metric is.
  edge_alarms = { for name, alarm in {
    page-egress = {
      severity           = "today"
      namespace          = "AWS/CloudFront"
      metrics            = ["BytesDownloaded"]
      dimensions         = { DistributionId = one(aws_cloudfront_distribution.edge[*].id), Region = "Global" }
      statistic          = "Sum"
      period             = 300
      evaluation_periods = 3
      datapoints         = 3
      threshold          = var.volume_alarms.egress_gb_per_hour * 1000000000 / 12
      users_see          = "Nothing. CloudFront sends more than volume_alarms.egress_gb_per_hour, page and boards together, and charges for the traffic."
      check              = "CloudFront console, Popular objects and Viewers: does one client load the same again and again?"
      do                 = "Set waf and apply, or choose the flat-rate plan of CloudFront for the distribution. Growth: raise volume_alarms."
    }
  } : name => alarm if var.edge && var.region == "us-east-1" }

  # The HTTP API, where login is configured.
  api_metrics = {
    namespace  = "AWS/ApiGateway"
    dimensions = { ApiId = one(aws_apigatewayv2_api.this[*].id), Stage = "$default" }
  }
  api_alarms = { for name, alarm in {
    api-5xx = merge(local.sustained, local.api_metrics, {
      severity  = "now"
      metrics   = ["5xx"]
      users_see = "Requests with a token fail with 500, 502 or 503: posts, corrections, profiles and, with readers = login, every board."
      check     = "integrationError and status in ${try(aws_cloudwatch_log_group.api[0].name, "")} (Logs Insights). Is ingest-errors, serve-errors or directory-errors firing as well?"
      do        = "Follow the alarm of the function. Permission denied: run terraform plan and apply."
    })
    # Mistakes of clients, and floods. Anyone can cause them, so they wake no one.
    api-4xx = merge(local.api_metrics, {
      severity           = "today"
      metrics            = ["4xx"]
      statistic          = "Sum"
      period             = 300
      evaluation_periods = 3
      datapoints         = 3
      threshold          = 300
      users_see          = "Some clients get 401, 403, 404, 422 or 429 from the HTTP API, one a second for a quarter of an hour."
      check              = "routeKey and status in ${try(aws_cloudwatch_log_group.api[0].name, "")} (Logs Insights). 401: see api-authorizer. 429: a flood, or throttle is too low."
      do                 = "Ask the client's owner to correct it. 403 on a route: give its client the scope, if it should have it. Growth: raise throttle."
    })
    api-latency = merge(local.slow_requests, local.api_metrics, {
      metrics   = ["Latency"]
      users_see = "One request with a token in a hundred takes longer than a second."
      check     = "responseLatency and integrationLatency in ${try(aws_cloudwatch_log_group.api[0].name, "")}: is the function slow, or the authorizer, which fetches the provider's keys?"
      do        = "Function: see ingest-latency and serve-latency. Authorizer: ask whoever runs the identity provider."
    })
    # Anyone can send wrong tokens, so they wake no one.
    api-authorizer = {
      severity           = "today"
      namespace          = local.api_metric_namespace
      metrics            = ["RefusedTokens"]
      dimensions         = {}
      statistic          = "Sum"
      period             = 300
      evaluation_periods = 3
      datapoints         = 3
      threshold          = 50
      users_see          = "People may be unable to log in, or a client sends tokens that are refused, more than ten a minute for a quarter of an hour."
      check              = "authorizerError in ${try(aws_cloudwatch_log_group.api[0].name, "")} (Logs Insights): expired, wrong audience or issuer, unknown key, or the provider cannot be reached?"
      do                 = "Everyone is refused: compare oidc with the provider's settings, or ask whoever runs it. One client: ask its owner to renew its token."
    }
  } : name => alarm if local.has_login }

  # From the table of activities to the standings, and the schedule of the snapshot.
  pipeline_alarms = {
    pipe-failing = merge(local.pipe_failing, {
      severity   = "now"
      dimensions = { PipeName = aws_pipes_pipe.activities.name }
      users_see  = "Nothing at first. Within minutes new activities are missing from the boards, which then say that they are stale."
      check      = "aws pipes describe-pipe --name ${aws_pipes_pipe.activities.name} (CurrentState, StateReason), and errors in ${aws_cloudwatch_log_group.pipe.name}."
      do         = "Restore its role, KMS key or queue within 20 hours; later it skips records. If it is not RUNNING: aws pipes start-pipe --name ${aws_pipes_pipe.activities.name}."
    })
    queue-age = merge(local.queue_age, {
      dimensions = { QueueName = aws_sqs_queue.activities.name }
      users_see  = "The latest activities of some users are missing for some minutes. The rest of each board is correct."
      check      = "Warnings in ${module.aggregator.log_group}: the field reason says why a message was deferred."
      do         = "Fix the cause, usually a throttled table or a missing permission. Nothing is lost: the queue keeps it for 14 days."
    })
    messages-deferred = merge(local.deferred, {
      dimensions = local.metric_dimensions.aggregator
      users_see  = "Points of some users are missing for hours. The rest of each board is correct."
      check      = "Warnings in ${module.aggregator.log_group}: the field reason says why messages are deferred."
      do         = "Fix the cause within 14 days. SQS then deletes the messages, and podium reconcile --repair ${local.cli_options} must queue the activities again."
    })
    activities-dead-letters = merge(local.dead_letters, {
      dimensions = { QueueName = aws_sqs_queue.activities_dead_letters.name }
      users_see  = "Points are missing from the boards, and stay missing until an operator acts."
      check      = "podium dlq list ${local.cli_options}. It shows the reasons and what to do about each."
      do         = "Fix the cause, then run podium dlq redrive ${local.cli_options} within 14 days. No activity is counted twice."
    })
    pipe-dead-letters = merge(local.dead_letters, {
      dimensions = { QueueName = aws_sqs_queue.pipe_dead_letters.name }
      users_see  = "Points are missing from the boards. The activities are stored, but they never reached the queue."
      check      = "podium dlq list --of pipe ${local.cli_options}. It shows why the pipe gave up. Did pipe-failing fire before?"
      do         = "Fix the pipe, then run podium reconcile --repair ${local.cli_options}. It finds the activities in their table and queues them again."
    })
    snapshot-dead-letters = merge(local.dead_letters, {
      dimensions = { QueueName = aws_sqs_queue.snapshot_dead_letters.name }
      users_see  = "Boards were published late once. The next run made up for it."
      check      = "podium dlq list --of snapshot ${local.cli_options}. It shows the error."
      do         = "If it recurs, fix the error. Then purge the queue. Do not redrive: an old run is worthless."
    })
    scheduler-failing = merge(local.recurring, {
      period     = local.snapshot_alarm_seconds
      severity   = "today"
      namespace  = "AWS/Scheduler"
      metrics    = ["TargetErrorCount", "TargetErrorThrottledCount", "InvocationDroppedCount"]
      dimensions = { ScheduleGroup = aws_scheduler_schedule_group.snapshot.name }
      users_see  = "Boards are published late, or not at all; in that case not-published rings, too."
      check      = "podium dlq list --of snapshot ${local.cli_options}, and the role of the schedule."
      do         = "Restore the role's permission to invoke the alias live (terraform apply). Until then invoke the snapshot by hand."
    })
  }

  # What readers are shown.
  board_alarms = {
    not-published = {
      severity           = "now"
      namespace          = local.metric_namespace
      metrics            = [local.metric["Published"]]
      dimensions         = local.metric_dimensions.snapshot
      statistic          = "Sum"
      period             = local.snapshot_every_seconds
      evaluation_periods = local.stale_periods
      datapoints         = local.stale_periods
      comparison         = "LessThanThreshold"
      threshold          = 1
      # A snapshot that does not run reports nothing.
      missing   = "breaching"
      users_see = "Boards are frozen and say that they are stale (age). Posting and counting continue; nothing is lost."
      check     = "Errors in ${module.snapshot.log_group} (Logs Insights). Is snapshot-errors or scheduler-failing firing as well?"
      do        = "Invoke the snapshot by hand and read its answer. If it started with a deployment, roll back snapshot."
    }
    lag = merge(local.freshness, {
      metrics   = [local.metric["Lag"]]
      threshold = var.stale.lag_seconds
      users_see = "New activities appear late, and boards say that they are stale (lag). Nothing is lost."
      check     = "CloudWatch dashboard, from top to bottom: which of pipe, queue and aggregator has input but no output?"
      do        = "Fix the first such stage. Its own alarm says how."
    })
    backlog = merge(local.freshness, {
      metrics   = [local.metric["Backlog"]]
      threshold = var.stale.backlog
      users_see = "Recent activities are missing, and boards say that they are stale (backlog). The queue keeps them for 14 days."
      check     = "CloudWatch dashboard, rows Queue and Aggregator: is the queue growing or shrinking? Is the aggregator failing, or at its limit?"
      do        = "Shrinking: wait. Growing without errors: raise function_concurrency.aggregator. Growing with errors: see aggregator-errors."
    })
  }

  # The pipes to the topics of facts and of coins. Boards do without what they do not carry.
  event_alarms = merge([
    for name, alarm in {
      facts = {
        late   = "New coins appear late, and subscribers of the topic get new facts late. Boards are not affected."
        missed = "Coins may be missing. The activities are stored and counted, but they never reached the topic."
        do     = "Fix the pipe, then run podium reconcile --rewards --repair ${local.cli_options}. It gives the coins that the facts earn."
      }
      coins = {
        late   = "Webhooks and mail tell late of coins. Coins and boards are not affected."
        missed = "Webhooks and mail may never tell of some coins. The coins themselves are given, and the API has them."
        do     = "Fix the pipe. The runbook says how to find the coins, to tell of them by hand."
      }
      } : {
      "${name}-pipe-failing" = merge(local.pipe_failing, {
        severity   = "today"
        dimensions = { PipeName = aws_pipes_pipe.events[name].name }
        users_see  = alarm.late
        check      = "aws pipes describe-pipe --name ${aws_pipes_pipe.events[name].name} (CurrentState, StateReason), and errors in ${aws_cloudwatch_log_group.pipe.name}."
        do         = "Restore its role, KMS key or topic within 20 hours; later it skips records. If it is not RUNNING: aws pipes start-pipe --name ${aws_pipes_pipe.events[name].name}."
      })
      "${name}-pipe-dead-letters" = merge(local.dead_letters, {
        dimensions = { QueueName = aws_sqs_queue.event_pipe_dead_letters[name].name }
        users_see  = alarm.missed
        check      = "Did ${name}-pipe-failing fire before? podium dlq list --of ${name}-pipe ${local.cli_options} shows what is in the queue."
        do         = alarm.do
      })
    } if contains(keys(local.event_streams), name)
  ]...)

  # From the topic of coins to webhooks and mail. The queues and DLQs of all destinations are looked at together, by what
  # the function says of them.
  notices_alarms = {
    for name, alarm in {
      notices-deferred = merge(local.deferred, {
        users_see = "A webhook's receiver, or mail, has not got some events for hours. Coins and boards are not affected."
        check     = "Warnings in /aws/lambda/${local.name}-notifier (Logs Insights): they say what the receiver answered."
        do        = "Have the receiver, its address or its secret mended within three days. What is not received then goes to the DLQ."
      })
      notices-dead-letters = merge(local.notices_sum, {
        metrics   = [local.metric["DeadLettered"]]
        users_see = "A webhook's receiver, or mail, does not get some events, until an operator acts. Coins and boards are not affected."
        check     = "podium dlq list ${local.cli_options} shows how many there are in which DLQ; podium dlq list --of webhook-ID shows the reasons."
        do        = "Fix the cause, then run podium dlq redrive --of webhook-ID ${local.cli_options} within 14 days. Each event is sent once."
      })
      notices-ended = merge(local.notices_sum, {
        metrics   = [local.metric["Ended"]]
        users_see = "A webhook's receiver answered 410 Gone, so it gets no more events. Coins and boards are not affected."
        check     = "Warnings in /aws/lambda/${local.name}-notifier (Logs Insights), and the DLQs: whose webhook is it?"
        do        = "Ask its owner. Not wanted: remove it from webhooks and apply. Wanted: podium webhooks resume ID ${local.cli_options}, then redrive its DLQ."
      })
    } : name => merge(alarm, { dimensions = local.metric_dimensions.notifier }) if local.has_notices
  }

  # From the topic to the coins.
  rewards_alarms = merge([
    for queue in aws_sqs_queue.rewards : {
      rewards-lag = {
        severity   = "today"
        namespace  = local.metric_namespace
        metrics    = [local.metric["Lag"]]
        dimensions = local.metric_dimensions.rewards
        statistic  = "Maximum"
        period     = local.snapshot_every_seconds
        # Each snapshot sends heartbeats. If none come through, none is measured.
        evaluation_periods = local.stale_periods
        datapoints         = local.stale_periods
        threshold          = var.stale.lag_seconds
        missing            = "breaching"
        users_see          = "New coins appear late, and answers about coins say that they are stale. Boards are not affected; nothing is lost."
        check              = "CloudWatch dashboard, rows Facts and Rewards: which of pipe, queue and function has input but no output? Is not-published firing?"
        do                 = "Fix the first such stage. Its own alarm says how. If not-published fires, no heartbeats are sent: fix the snapshot first."
      }
      rewards-queue-age = merge(local.queue_age, {
        dimensions = { QueueName = queue.name }
        users_see  = "New coins of some people are missing for some minutes. Boards are not affected."
        check      = "Warnings and errors in ${module.rewards[0].log_group}: they say why messages were deferred."
        do         = "Quests that were changed: raise their version, or take the change back, and apply. Else fix the table or permission. The queue keeps messages for 14 days."
      })
      rewards-deferred = merge(local.deferred, {
        dimensions = local.metric_dimensions.rewards
        users_see  = "Coins of some people are missing for hours. Boards are not affected."
        check      = "Warnings and errors in ${module.rewards[0].log_group}: they say why messages are deferred."
        do         = "Fix the cause within 14 days. SQS then deletes the messages, and podium reconcile --rewards --repair ${local.cli_options} must give the coins."
      })
      rewards-dead-letters = merge(local.dead_letters, {
        dimensions = { QueueName = aws_sqs_queue.rewards_dead_letters[0].name }
        users_see  = "Coins may be missing, until an operator acts. Boards are not affected."
        check      = "podium dlq list --of rewards ${local.cli_options}. It shows the reasons."
        do         = "Fix the cause, then run podium dlq redrive --of rewards ${local.cli_options} within 14 days. No coin is given twice."
      })
    }
  ]...)

  # DynamoDB reports throttling per table, and only when it happens.
  table_alarms = {
    for table, users_see in {
      activities = "Posts are slow or answered with 503. Clients retry."
      dedup      = "New points appear late. The aggregator retries; nothing is lost."
      standings  = "New points appear late, or boards are published late. Both are retried; nothing is lost."
      snapshots  = "Boards load slowly or with 503, or are published late."
      people     = "Profiles are answered with 503, people whom no board lists load slowly, or boards are published late."
      coins      = "New coins appear late, or coins load slowly or with 503. Both are retried; nothing is lost."
      progress   = "New coins appear late. Rewards try again; nothing is lost."
      notices    = "Webhooks and mail tell late of coins. The notifier tries again; nothing is lost."
      } : "${table}-table-throttled" => merge(local.sustained, {
        severity   = "today"
        namespace  = "AWS/DynamoDB"
        metrics    = ["ReadThrottleEvents", "WriteThrottleEvents"]
        dimensions = { TableName = local.tables[table] }
        users_see  = users_see
        check      = "CloudWatch metrics of ${local.tables[table]}: is the cause a hot key range, the account quota or the table's maximum?"
        do         = "Hot key range: wait some minutes, DynamoDB splits it. Account quota: request a higher one from AWS."
    }) if contains(keys(local.tables), table)
  }

  # The alarms that every function has; modules/function creates them.
  function_alarms = {
    errors = {
      for stage, users_see in {
        ingest     = "Some posts are answered with 502. Clients retry."
        aggregator = "New points appear late. Messages are redelivered; nothing is lost or counted twice."
        snapshot   = "Boards are published late, by the next run that succeeds."
        serve      = "Some boards do not load (502)."
        directory  = "Some profiles cannot be read or edited (5xx). Boards are not affected."
        rewards    = "New coins appear late. Messages are redelivered; nothing is lost or given twice."
        notifier   = "Webhooks and mail tell late of coins. Messages are redelivered; nothing is lost."
        bridge     = "Activities appear late in the system in which they were not done. Both are redelivered; nothing is lost."
        } : stage => {
        severity  = "today"
        users_see = users_see
        check     = "The latest errors in /aws/lambda/${local.name}-${stage} (Logs Insights): crash, timeout or out of memory?"
        do        = "If it started with a deployment, roll back ${stage}. Out of memory: raise ${stage == "snapshot" ? "expected_standings" : "function_memory_mb.${stage}"}."
      } if contains(local.stages, stage)
    }
    throttles = {
      for stage, alarm in {
        ingest = {
          users_see = "Some posts are answered with 429. Clients retry."
          do        = "Raise function_concurrency.ingest"
        }
        aggregator = {
          users_see = "New points appear late. Messages are redelivered; nothing is lost."
          do        = "Set reserve_concurrency"
        }
        snapshot = {
          users_see = "Boards are published late: a run takes longer than the interval, or the account is at its limit."
          do        = "Raise expected_standings or snapshot_every_minutes"
        }
        serve = {
          users_see = "Some boards do not load (429)."
          do        = "Raise function_concurrency.serve"
        }
        directory = {
          users_see = "Some profiles cannot be read or edited (5xx). Boards are not affected."
          do        = "Raise function_concurrency.directory"
        }
        rewards = {
          users_see = "New coins appear late. Messages are redelivered; nothing is lost."
          do        = "Set reserve_concurrency"
        }
        notifier = {
          users_see = "Webhooks and mail tell late of coins. Messages are redelivered; nothing is lost."
          do        = "Set reserve_concurrency"
        }
        bridge = {
          users_see = "Activities appear late in the system in which they were not done. Both are redelivered; nothing is lost."
          do        = "Set reserve_concurrency"
        }
        } : stage => {
        severity  = "today"
        users_see = alarm.users_see
        check     = "ConcurrentExecutions of ${local.name}-${stage} against its limit, and of the account against its quota."
        do        = "${alarm.do} and apply. If the account is at its quota, request a higher one from AWS."
      } if contains(local.stages, stage)
    }
  }

  # Rings when a board is old or lacks points. It leaves out what readers notice themselves (serve), what clients
  # retry (ingest), and what only may lead to one of these.
  composite_alarms = {
    board-not-to-be-trusted = {
      severity  = "now"
      any_of    = ["not-published", "lag", "backlog", "activities-dead-letters", "pipe-dead-letters"]
      users_see = "Boards that are old, behind or lacking points. Nothing should be paid out or announced from them."
      check     = "Which of its five alarms rings: not-published, lag, backlog, activities-dead-letters or pipe-dead-letters?"
      do        = "Follow that alarm's section of the runbook. Tell the readers of the boards now, and again when it is over."
    }
  }

  # An alarm's severity is the first sentence of its description, and the topic that it notifies.
  severities = {
    now   = "Act now."
    today = "Handle it today."
  }

  alarm_descriptions = {
    for name, alarm in merge(
      local.alarms,
      { for stage, alarm in local.function_alarms.errors : "${stage}-errors" => alarm },
      { for stage, alarm in local.function_alarms.throttles : "${stage}-throttles" => alarm },
      local.composite_alarms,
    ) :
    name => join("\n", [
      local.severities[alarm.severity],
      "What users see: ${alarm.users_see}",
      "Check: ${alarm.check}",
      "Do: ${alarm.do}",
      "Runbook: ${var.runbook_url}#${name}",
    ])
  }

  function_alarm_targets = {
    for stage in local.stages : stage => {
      for about, alarms in local.function_alarms : about => {
        description = local.alarm_descriptions["${stage}-${about}"]
        topic_arn   = aws_sns_topic.alarms[alarms[stage].severity].arn
      }
    }
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
  # Most of these metrics are only reported when something happens.
  treat_missing_data = try(each.value.missing, "notBreaching")
  alarm_actions      = [aws_sns_topic.alarms[each.value.severity].arn]
  ok_actions         = [aws_sns_topic.alarms[each.value.severity].arn]

  # Either one metric,
  namespace          = each.value.is_sum ? null : each.value.namespace
  metric_name        = each.value.is_sum ? null : each.value.metrics[0]
  dimensions         = each.value.is_sum ? null : each.value.dimensions
  period             = each.value.is_sum ? null : each.value.period
  statistic          = each.value.is_sum || each.value.is_percentile ? null : each.value.statistic
  extended_statistic = each.value.is_percentile ? each.value.statistic : null
  # A percentile of a few requests is meaningless.
  evaluate_low_sample_count_percentiles = each.value.is_percentile ? "ignore" : null

  # or the sum of several; a metric without data in a period counts as 0.
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
    for name in local.composite_alarms.board-not-to-be-trusted.any_of : "ALARM(\"${aws_cloudwatch_metric_alarm.this[name].alarm_name}\")"
  ])
  alarm_actions = [aws_sns_topic.alarms[local.composite_alarms.board-not-to-be-trusted.severity].arn]
  ok_actions    = [aws_sns_topic.alarms[local.composite_alarms.board-not-to-be-trusted.severity].arn]
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
        directory  = module.directory.alarms
        rewards    = try(module.rewards[0].alarms, {})
        notifier   = try(module.notifier[0].alarms, {})
        bridge     = try(module.bridge[0].alarms, {})
      } : { for about, alarm in alarms : "${stage}-${about}" => alarm }
    ]...),
    { board-not-to-be-trusted = aws_cloudwatch_composite_alarm.board_not_to_be_trusted },
  )
}
