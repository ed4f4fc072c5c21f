locals {
  # The metrics of the functions. A test in crates/telemetry checks that this file matches the enum there. An unknown
  # name in local.metric["..."] fails the plan.
  podium_metrics   = jsondecode(file("${path.module}/metrics.json"))
  metric_namespace = local.podium_metrics.namespace
  metric           = { for name, unit in local.podium_metrics.metrics : name => name }

  metric_dimensions = {
    for stage in local.stages : stage => { Environment = local.name, Stage = stage }
  }

  # A metric filter cannot add a dimension, so the deployment is part of the namespace.
  api_metric_namespace = "${local.metric_namespace}/${local.name}"

  function_names = merge(
    {
      ingest     = module.ingest.name
      aggregator = module.aggregator.name
      snapshot   = module.snapshot.name
      serve      = module.serve.name
      directory  = module.directory.name
    },
    { for stage in ["rewards"] : stage => module.rewards[0].name if local.has_quests },
    { for stage in ["notifier"] : stage => module.notifier[0].name if local.has_notices },
    { for stage in ["bridge"] : stage => module.bridge[0].name if local.has_bridge },
  )

  tables = merge(
    {
      activities = aws_dynamodb_table.activities.name
      dedup      = aws_dynamodb_table.dedup.name
      standings  = aws_dynamodb_table.standings.name
      snapshots  = aws_dynamodb_table.snapshots.name
      people     = aws_dynamodb_table.people.name
    },
    { for table in ["coins"] : table => aws_dynamodb_table.coins[0].name if local.has_quests },
    { for table in ["progress"] : table => aws_dynamodb_table.progress[0].name if local.has_quests },
    { for table in ["notices"] : table => aws_dynamodb_table.notices[0].name if local.has_notices },
  )
}
