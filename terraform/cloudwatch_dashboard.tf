# One row per stage, in the order in which an activity passes them. Each row shows volume, failures and duration.

locals {
  # A widget takes a metric as [namespace, name, dimension, value, ..., options]. These are the dimensions and values.
  of_function = { for stage, name in local.function_names : stage => ["FunctionName", name] }
  of_podium   = { for stage, dimensions in local.metric_dimensions : stage => flatten([for name, value in dimensions : [name, value]]) }
  of_table    = { for table, name in local.tables : table => ["TableName", name] }
  of_queue    = { for name, queue in local.queues : name => ["QueueName", queue.name] }
  of_pipe     = ["PipeName", aws_pipes_pipe.activities.name]
  of_topic    = { for name in ["facts", "coins"] : name => ["TopicName", "${local.name}-${name}"] }
  of_schedule = ["ScheduleGroup", aws_scheduler_schedule_group.snapshot.name]

  every_alarm_arn = [for alarm in local.every_alarm : alarm.arn]

  # Graphs that several functions share.
  function_failures = {
    for stage, of in local.of_function : stage => [
      concat(["AWS/Lambda", "Errors"], of, [{ label = "crashes and timeouts" }]),
      concat(["AWS/Lambda", "Throttles"], of, [{ label = "throttled" }]),
    ]
  }
  request_graphs = {
    for stage in ["ingest", "serve"] : stage => {
      failures = {
        title = "Failed requests", metrics = concat(
          [
            concat(["AWS/Lambda", "Url5xxCount"], local.of_function[stage], [{ label = "5xx: server errors" }]),
            concat(["AWS/Lambda", "Url4xxCount"], local.of_function[stage], [{ label = "4xx: client errors and throttled" }]),
          ],
          local.function_failures[stage],
        )
      }
      latency = {
        title = "Time to answer", unit = "ms", alarm_at = local.alarms["${stage}-latency"].threshold, metrics = [
          concat(["AWS/Lambda", "UrlRequestLatency"], local.of_function[stage], [{ label = "request p50", stat = "p50" }]),
          concat(["AWS/Lambda", "UrlRequestLatency"], local.of_function[stage], [{ label = "request p99", stat = "p99" }]),
          concat(["AWS/Lambda", "Duration"], local.of_function[stage], [{ label = "function p99", stat = "p99" }]),
        ]
      }
    }
  }

  # CloudFront reports to us-east-1, wherever the deployment is.
  of_distribution = ["DistributionId", one(aws_cloudfront_distribution.edge[*].id), "Region", "Global"]
  of_api          = flatten([for name, value in local.api_metrics.dimensions : [name, value]])

  edge_graphs = [
    {
      title = "CloudFront: requests and errors", metrics = [
        concat(["AWS/CloudFront", "Requests"], local.of_distribution, [{ label = "requests", region = "us-east-1" }]),
        concat(["AWS/CloudFront", "4xxErrorRate"], local.of_distribution, [{ label = "4xx, percent", stat = "Average", yAxis = "right", region = "us-east-1" }]),
        concat(["AWS/CloudFront", "5xxErrorRate"], local.of_distribution, [{ label = "5xx, percent", stat = "Average", yAxis = "right", region = "us-east-1" }]),
      ]
    },
  ]
  api_graphs = [
    {
      title = "Requests with a token", metrics = [
        concat(["AWS/ApiGateway", "Count"], local.of_api, [{ label = "requests" }]),
        concat(["AWS/ApiGateway", "4xx"], local.of_api, [{ label = "4xx" }]),
        concat(["AWS/ApiGateway", "5xx"], local.of_api, [{ label = "5xx" }]),
        [local.api_metric_namespace, "RefusedTokens", { label = "refused tokens" }],
      ]
    },
    {
      title = "Time to answer a request with a token", unit = "ms", alarm_at = local.slow_requests.threshold, metrics = [
        concat(["AWS/ApiGateway", "Latency"], local.of_api, [{ label = "request p50", stat = "p50" }]),
        concat(["AWS/ApiGateway", "Latency"], local.of_api, [{ label = "request p99", stat = "p99" }]),
        concat(["AWS/ApiGateway", "IntegrationLatency"], local.of_api, [{ label = "function p99", stat = "p99" }]),
      ]
    },
  ]
  # Whatever of both is deployed.
  edge_rows = [
    for row in [{
      heading = "Edge: who is let in"
      graphs  = concat([for graph in local.edge_graphs : graph if var.edge], [for graph in local.api_graphs : graph if local.has_login])
    }] : row if length(row.graphs) > 0
  ]

  # By the topic that there is.
  event_rows = {
    for name, pipe in aws_pipes_pipe.events : name => {
      heading = "${title(name)}: published to the topic"
      graphs = [
        {
          title = "Events", metrics = [
            concat(["AWS/EventBridge/Pipes", "EventCount"], ["PipeName", pipe.name], [{ label = "events" }]),
            concat(["AWS/SNS", "NumberOfMessagesPublished"], local.of_topic[name], [{ label = "published" }]),
            concat(["AWS/SNS", "NumberOfNotificationsDelivered"], local.of_topic[name], [{ label = "delivered" }]),
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in local.pipe_failing.metrics :
              concat(["AWS/EventBridge/Pipes", name], ["PipeName", pipe.name], [{ label = name }])
            ],
            [
              concat(["AWS/SNS", "NumberOfNotificationsFailed"], local.of_topic[name], [{ label = "not delivered" }]),
              concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["${name}_pipe_dead_letters"], [{ label = "dead letters", stat = "Maximum" }]),
            ],
          )
        },
        {
          title = "Time per batch", unit = "ms", metrics = [
            concat(["AWS/EventBridge/Pipes", "Duration"], ["PipeName", pipe.name], [{ label = "average", stat = "Average" }]),
            concat(["AWS/EventBridge/Pipes", "Duration"], ["PipeName", pipe.name], [{ label = "longest", stat = "Maximum" }]),
          ]
        },
      ]
    }
  }
  event_queue_rows = [
    for stage in ["ingest"] : {
      heading = "Events: activities that come by a queue"
      graphs = [
        {
          title = "Messages", metrics = [
            concat(["AWS/SQS", "NumberOfMessagesSent"], local.of_queue["events"], [{ label = "sent" }]),
            concat(["AWS/SQS", "NumberOfMessagesReceived"], local.of_queue["events"], [{ label = "received" }]),
            concat(["AWS/SQS", "NumberOfMessagesDeleted"], local.of_queue["events"], [{ label = "deleted (stored)" }]),
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in ["DeadLettered", "Deferred"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium[stage])
            ],
            [concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["events_dead_letters"], [{ label = "dead letters", stat = "Maximum" }])],
          )
        },
        {
          title = "Age of the oldest message", unit = "s", stat = "Maximum", alarm_at = local.queue_age.threshold, metrics = [
            concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.of_queue["events"], [{ label = "age" }]),
            concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["events"], [{ label = "messages waiting", yAxis = "right" }]),
          ]
        },
      ]
    } if local.has_event_queue
  ]
  rewards_rows = [
    for stage in ["rewards"] : {
      heading = "Rewards: people get coins"
      graphs = [
        {
          title = "Coins and gates", metrics = concat(
            [
              for name in ["Issued", "Revoked", "GateHits", "GateMisses", "Erased", "BatchSize"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium[stage], [{ label = name == "BatchSize" ? "Messages" : name }])
            ],
            [concat([local.metric_namespace, local.metric["ProofReadUnits"]], local.of_podium[stage], [{ label = "read units of proofs", yAxis = "right" }])],
          )
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in ["DeadLettered", "Deferred", "Retries"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium[stage])
            ],
            local.function_failures[stage],
            [concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["rewards_dead_letters"], [{ label = "dead letters", stat = "Maximum" }])],
          )
        },
        {
          title = "Lag and queue", unit = "s", stat = "Maximum", alarm_at = var.stale.lag_seconds, metrics = [
            concat([local.metric_namespace, local.metric["Lag"]], local.of_podium[stage], [{ label = "lag of a heartbeat" }]),
            concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.of_queue[stage], [{ label = "age of the oldest message" }]),
            concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue[stage], [{ label = "messages waiting", yAxis = "right" }]),
          ]
        },
      ]
    } if local.has_quests
  ]
  notices_rows = [
    for stage in ["notifier"] : {
      heading = "Notices: others are told of coins"
      graphs = [
        {
          title = "Events", metrics = [
            for name in ["Notified", "Duplicates", "Erased", "BatchSize"] :
            concat([local.metric_namespace, local.metric[name]], local.of_podium[stage], [{ label = name == "BatchSize" ? "Messages" : name }])
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in ["DeadLettered", "Deferred", "Ended"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium[stage])
            ],
            local.function_failures[stage],
            [
              for name in keys(local.destinations) :
              concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["${name}_dead_letters"], [{ label = "dead letters of ${name}", stat = "Maximum" }])
            ],
          )
        },
        {
          title = "Queues", unit = "s", stat = "Maximum", metrics = concat(
            [
              for name in keys(local.destinations) :
              concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.of_queue[name], [{ label = "age of the oldest, ${name}" }])
            ],
            [
              for name in keys(local.destinations) :
              concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue[name], [{ label = "waiting, ${name}", yAxis = "right" }])
            ],
          )
        },
      ]
    } if local.has_notices
  ]

  bridge_rows = [
    for stage in ["bridge"] : {
      heading = "Bridge: moving in from another system"
      graphs = [
        {
          title = "Records and facts", metrics = [
            concat([local.metric_namespace, local.metric["BatchSize"]], local.of_podium[stage], [{ label = "records and facts" }]),
            concat(["AWS/SQS", "NumberOfMessagesDeleted"], local.of_queue[stage], [{ label = "facts carried back or left out" }]),
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in ["DeadLettered", "Deferred"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium[stage])
            ],
            local.function_failures[stage],
            [concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue["bridge_dead_letters"], [{ label = "dead letters", stat = "Maximum" }])],
          )
        },
        {
          title = "Behind the stream, and the queue", unit = "s", stat = "Maximum", metrics = [
            concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.of_queue[stage], [{ label = "age of the oldest message" }]),
            concat(["AWS/Lambda", "IteratorAge"], local.of_function[stage], [{ label = "behind the stream (ms)", yAxis = "right" }]),
          ]
        },
      ]
    } if local.has_bridge
  ]

  dashboard_rows = concat(local.edge_rows, local.event_queue_rows, local.bridge_rows, [
    {
      heading = "Ingest: activities are accepted and stored as facts"
      graphs = [
        {
          title = "Activities", metrics = [
            for name in ["Accepted", "Duplicates", "Rejected", "Unavailable"] :
            concat([local.metric_namespace, local.metric[name]], local.of_podium.ingest)
          ]
        },
        local.request_graphs.ingest.failures,
        local.request_graphs.ingest.latency,
      ]
    },
    {
      heading = "Stream and pipe: facts are sent to the queue"
      graphs = [
        {
          title = "Events", metrics = [
            concat(["AWS/EventBridge/Pipes", "EventCount"], local.of_pipe, [{ label = "events" }]),
            concat(["AWS/EventBridge/Pipes", "Invocations"], local.of_pipe, [{ label = "batches" }]),
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in local.alarms["pipe-failing"].metrics :
              concat(["AWS/EventBridge/Pipes", name], local.of_pipe, [{ label = name }])
            ],
            [concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue.pipe_dead_letters, [{ label = "dead letters", stat = "Maximum" }])],
          )
        },
        {
          title = "Time per batch", unit = "ms", metrics = [
            concat(["AWS/EventBridge/Pipes", "Duration"], local.of_pipe, [{ label = "average", stat = "Average" }]),
            concat(["AWS/EventBridge/Pipes", "Duration"], local.of_pipe, [{ label = "longest", stat = "Maximum" }]),
          ]
        },
      ]
    },
    {
      heading = "Queue: activities wait to be counted"
      graphs = [
        {
          title = "Messages", metrics = [
            concat(["AWS/SQS", "NumberOfMessagesSent"], local.of_queue.activities, [{ label = "sent" }]),
            concat(["AWS/SQS", "NumberOfMessagesReceived"], local.of_queue.activities, [{ label = "received" }]),
            concat(["AWS/SQS", "NumberOfMessagesDeleted"], local.of_queue.activities, [{ label = "deleted (counted)" }]),
          ]
        },
        {
          title = "Depth", stat = "Maximum", alarm_at = var.stale.backlog, metrics = [
            concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue.activities, [{ label = "waiting" }]),
            concat(["AWS/SQS", "ApproximateNumberOfMessagesNotVisible"], local.of_queue.activities, [{ label = "in flight" }]),
            concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue.activities_dead_letters, [{ label = "dead letters" }]),
          ]
        },
        {
          title = "Age of the oldest message", unit = "s", stat = "Maximum", alarm_at = local.alarms["queue-age"].threshold, metrics = [
            concat(["AWS/SQS", "ApproximateAgeOfOldestMessage"], local.of_queue.activities, [{ label = "age" }]),
          ]
        },
      ]
    },
    {
      heading = "Aggregator: each activity is counted once"
      graphs = [
        {
          title = "Activities", metrics = [
            for name in ["Applied", "Duplicates", "Erased", "BatchSize"] :
            concat([local.metric_namespace, local.metric[name]], local.of_podium.aggregator, [{ label = name == "BatchSize" ? "Messages" : name }])
          ]
        },
        {
          title = "Failures", metrics = concat(
            [
              for name in ["DeadLettered", "Deferred", "Retries"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium.aggregator)
            ],
            local.function_failures.aggregator,
          )
        },
        {
          title = "Time", unit = "ms", metrics = [
            concat([local.metric_namespace, local.metric["CountedAfter"]], local.of_podium.aggregator, [{ label = "accepted to counted, p50", stat = "p50" }]),
            concat([local.metric_namespace, local.metric["CountedAfter"]], local.of_podium.aggregator, [{ label = "accepted to counted, longest", stat = "Maximum" }]),
            concat(["AWS/Lambda", "Duration"], local.of_function.aggregator, [{ label = "function p99", stat = "p99" }]),
          ]
        },
      ]
    },
    ], [for name, row in local.event_rows : row if name == "facts"], local.rewards_rows, [for name, row in local.event_rows : row if name == "coins"], local.notices_rows, [
    {
      heading = "Tables: capacity used, and throttling"
      graphs = [
        {
          title = "Write units", metrics = [
            for table in keys(local.tables) : concat(["AWS/DynamoDB", "ConsumedWriteCapacityUnits"], local.of_table[table], [{ label = table }])
          ]
        },
        {
          title = "Read units", metrics = [
            for table in keys(local.tables) : concat(["AWS/DynamoDB", "ConsumedReadCapacityUnits"], local.of_table[table], [{ label = table }])
          ]
        },
        {
          title = "Throttled calls", metrics = [
            for of in setproduct(keys(local.tables), ["Read", "Write"]) :
            concat(["AWS/DynamoDB", "${of[1]}ThrottleEvents"], local.of_table[of[0]], [{ label = "${of[0]}: ${lower(of[1])}s" }])
          ]
        },
      ]
    },
    {
      heading = "Snapshot: boards are published"
      graphs = [
        {
          title = "Published", metrics = concat(
            [
              for name in ["Published", "PagesWritten"] :
              concat([local.metric_namespace, local.metric[name]], local.of_podium.snapshot)
            ],
            [concat([local.metric_namespace, local.metric["Entries"]], local.of_podium.snapshot, [{ label = "Standings", yAxis = "right" }])],
          )
        },
        {
          title = "Failures", metrics = concat(
            local.function_failures.snapshot,
            [concat(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], local.of_queue.snapshot_dead_letters, [{ label = "failed runs", stat = "Maximum" }])],
            [
              for name in local.alarms["scheduler-failing"].metrics :
              concat(["AWS/Scheduler", name], local.of_schedule, [{ label = name }])
            ],
          )
        },
        {
          title = "Time per run", unit = "ms", stat = "Maximum", metrics = [
            concat([local.metric_namespace, local.metric["SnapshotDuration"]], local.of_podium.snapshot, [{ label = "run" }]),
            concat(["AWS/Lambda", "Duration"], local.of_function.snapshot, [{ label = "function" }]),
          ]
        },
      ]
    },
    {
      heading = "Freshness: what makes a board stale"
      graphs = [
        {
          title = "Lag of a heartbeat", unit = "s", stat = "Maximum", alarm_at = var.stale.lag_seconds, metrics = [
            concat([local.metric_namespace, local.metric["Lag"]], local.of_podium.snapshot),
          ]
        },
        {
          title = "Backlog in the queue", stat = "Maximum", alarm_at = var.stale.backlog, metrics = [
            concat([local.metric_namespace, local.metric["Backlog"]], local.of_podium.snapshot),
            concat([local.metric_namespace, local.metric["DeadLetters"]], local.of_podium.snapshot, [{ label = "Dead letters" }]),
          ]
        },
        {
          title = "Age of the previous snapshot when it is replaced", unit = "s", stat = "Maximum", alarm_at = local.stale_age_seconds, metrics = [
            concat([local.metric_namespace, local.metric["SnapshotAge"]], local.of_podium.snapshot, [{ label = "age" }]),
          ]
        },
      ]
    },
    {
      heading = "Data quality: what the last `podium reconcile` found and did not repair"
      graphs = [
        {
          title = "Broken rules", stat = "Maximum", alarm_at = 1, metrics = [
            concat([local.metric_namespace, local.metric["Uncounted"]], local.of_podium.snapshot, [{ label = "completeness" }]),
            concat([local.metric_namespace, local.metric["Unfounded"]], local.of_podium.snapshot, [{ label = "uniqueness" }]),
            concat([local.metric_namespace, local.metric["Disagreeing"]], local.of_podium.snapshot, [{ label = "agreement" }]),
          ]
        },
      ]
    },
    {
      heading = "Serve: boards are read"
      graphs = [
        {
          title = "Requests", metrics = [
            concat(["AWS/Lambda", "UrlRequestCount"], local.of_function.serve, [{ label = "requests" }]),
          ]
        },
        local.request_graphs.serve.failures,
        local.request_graphs.serve.latency,
      ]
    },
    {
      heading = "Directory: admins read and edit profiles"
      graphs = [
        {
          title = "Requests", metrics = [
            concat(["AWS/Lambda", "Invocations"], local.of_function.directory, [{ label = "requests" }]),
          ]
        },
        { title = "Failed requests", metrics = local.function_failures.directory },
        {
          title = "Time to answer", unit = "ms", metrics = [
            concat(["AWS/Lambda", "Duration"], local.of_function.directory, [{ label = "function p50", stat = "p50" }]),
            concat(["AWS/Lambda", "Duration"], local.of_function.directory, [{ label = "function p99", stat = "p99" }]),
          ]
        },
      ]
    },
    {
      heading = "Cost, at ${local.prices.region} prices of ${local.prices.as_of}"
      graphs = [
        { title = "By stage", unit = "USD per hour", period = 3600, stacked = true, metrics = concat(local.cost_metrics, local.cost_by_stage) },
        {
          title = "Per month, at the rate of the last hour", period = 3600, view = "singleValue", metrics = concat(local.cost_metrics, [
            [{ id = "month", label = "USD", expression = "${local.hours_a_month} * (${join(" + ", [for term in local.cost_terms : "FILL(${term.id}, 0) * ${term.usd}"])})" }],
          ])
        },
      ]
    },
  ])

  head_height  = 6
  row_height   = 7
  graph_height = 6

  dashboard_widgets = concat(
    [
      {
        type       = "text", x = 0, y = 0, width = 10, height = local.head_height
        properties = { markdown = local.how_to_read }
      },
      {
        type       = "alarm", x = 10, y = 0, width = 14, height = local.head_height
        properties = { title = "Alarms", alarms = local.every_alarm_arn, sortBy = "stateUpdatedTimestamp" }
      },
    ],
    [
      for at, row in local.dashboard_rows : {
        type       = "text", x = 0, y = local.head_height + at * local.row_height, width = 24, height = 1
        properties = { markdown = "## ${row.heading}", background = "transparent" }
      }
    ],
    flatten([
      for at, row in local.dashboard_rows : [
        for column, graph in row.graphs : {
          type   = "metric"
          x      = column * floor(24 / length(row.graphs))
          y      = local.head_height + at * local.row_height + 1
          width  = floor(24 / length(row.graphs))
          height = local.graph_height
          properties = {
            title       = graph.title
            region      = var.region
            view        = try(graph.view, "timeSeries")
            stacked     = try(graph.stacked, false)
            stat        = try(graph.stat, "Sum")
            period      = try(graph.period, 60)
            metrics     = graph.metrics
            yAxis       = { left = { min = 0, label = try(graph.unit, ""), showUnits = false } }
            annotations = { horizontal = [for bound in try([graph.alarm_at], []) : { label = "alarm", value = bound, color = "#d62728" }] }
          }
        }
      ]
    ]),
  )

  how_to_read = <<-EOT
    # ${local.name}: the path of an activity

    Each row is a stage; an activity passes them from top to bottom. **The first row with input but no output is where it
    is stuck.** Red lines are alarm thresholds. Counts are per minute.

    Is something wrong? Start with *Freshness*: is what readers see old, and why? Then look at the alarms. The description
    of each says what users see, what to check and what to do. For details see the [runbook](${var.runbook_url}).

    Costs are upper bounds: each message is priced as one SQS request, although SQS takes ten per request. Not included
    are storage, logs, traces, traffic and CloudWatch itself, whose metrics, alarms and dashboard have fixed prices.
  EOT
}

locals {
  hours_a_month = 730

  # On-demand prices in US dollars. They differ by region.
  prices = {
    region            = "us-east-1"
    as_of             = "November 2024"
    write_unit        = 0.625 / 1000000
    read_unit         = 0.125 / 1000000
    lambda_request    = 0.20 / 1000000
    lambda_gb_second  = { arm64 = 0.0000133334, x86_64 = 0.0000166667 }[var.architecture]
    sqs_request       = 0.40 / 1000000
    pipe_request      = 0.40 / 1000000
    topic_request     = 0.50 / 1000000
    scheduler_request = 1.00 / 1000000
  }

  # Writes are charged to the stage that writes the table, and reads to the stage that reads it most. Serve also reads
  # some standings, for exact ranks of single users.
  costs = concat(
    flatten([
      for stage, name in local.function_names : [
        { stage = stage, metric = ["AWS/Lambda", "Invocations", "FunctionName", name], usd = local.prices.lambda_request },
        # CloudWatch reports the duration in milliseconds.
        { stage = stage, metric = ["AWS/Lambda", "Duration", "FunctionName", name], usd = local.prices.lambda_gb_second * local.function_memory_mb[stage] / 1024 / 1000 },
      ]
    ]),
    [
      for table, stage in { activities = "ingest", dedup = "aggregator", standings = "aggregator", snapshots = "snapshot", people = "directory", coins = "rewards", progress = "rewards", notices = "notifier" } :
      { stage = stage, metric = concat(["AWS/DynamoDB", "ConsumedWriteCapacityUnits"], local.of_table[table]), usd = local.prices.write_unit } if contains(keys(local.tables), table)
    ],
    [
      for table, stage in { activities = "snapshot", dedup = "aggregator", standings = "snapshot", snapshots = "serve", people = "snapshot", coins = "rewards", progress = "rewards", notices = "notifier" } :
      { stage = stage, metric = concat(["AWS/DynamoDB", "ConsumedReadCapacityUnits"], local.of_table[table]), usd = local.prices.read_unit } if contains(keys(local.tables), table)
    ],
    [
      for of in setproduct(
        concat(
          [{ stage = "queue", queue = "activities" }],
          [for queue in ["events"] : { stage = "ingest", queue = queue } if local.has_event_queue],
          [for stage in ["rewards"] : { stage = stage, queue = stage } if local.has_quests],
          [for queue in keys(local.destinations) : { stage = "notifier", queue = queue }],
          [for stage in ["bridge"] : { stage = stage, queue = stage } if local.has_bridge],
        ),
        ["NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"],
      ) :
      { stage = of[0].stage, metric = concat(["AWS/SQS", of[1]], local.of_queue[of[0].queue]), usd = local.prices.sqs_request }
    ],
    # DynamoDB reports an index beside its table.
    [
      for unit in ["Write", "Read"] : {
        stage  = "rewards"
        metric = concat(["AWS/DynamoDB", "Consumed${unit}CapacityUnits"], local.of_table["coins"], ["GlobalSecondaryIndexName", "holders"])
        usd    = { Write = local.prices.write_unit, Read = local.prices.read_unit }[unit]
      } if local.has_quests
    ],
    flatten([
      for name, pipe in aws_pipes_pipe.events : [
        { stage = name, metric = ["AWS/EventBridge/Pipes", "EventCount", "PipeName", pipe.name], usd = local.prices.pipe_request },
        { stage = name, metric = concat(["AWS/SNS", "NumberOfMessagesPublished"], local.of_topic[name]), usd = local.prices.topic_request },
      ]
    ]),
    [
      { stage = "stream", metric = concat(["AWS/EventBridge/Pipes", "EventCount"], local.of_pipe), usd = local.prices.pipe_request },
      { stage = "snapshot", metric = concat(["AWS/Scheduler", "InvocationAttemptCount"], local.of_schedule), usd = local.prices.scheduler_request },
    ],
  )
  cost_terms = [
    for at, cost in local.costs : { id = "c${at}", stage = cost.stage, metric = cost.metric, usd = format("%.15f", cost.usd) }
  ]

  # Hidden inputs of the expressions below.
  cost_metrics = [for term in local.cost_terms : concat(term.metric, [{ id = term.id, visible = false }])]
  cost_by_stage = [
    for stage in ["ingest", "stream", "queue", "aggregator", "facts", "rewards", "coins", "notifier", "bridge", "snapshot", "serve", "directory"] :
    [{ id = stage, label = stage, expression = join(" + ", [for term in local.cost_terms : "FILL(${term.id}, 0) * ${term.usd}" if term.stage == stage]) }]
    if contains(local.cost_terms[*].stage, stage)
  ]
}

resource "aws_cloudwatch_dashboard" "podium" {
  dashboard_name = local.name
  dashboard_body = jsonencode({ start = "-PT3H", periodOverride = "inherit", widgets = local.dashboard_widgets })
}
