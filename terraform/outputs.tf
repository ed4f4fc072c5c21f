output "region" {
  description = "Region of the deployment."
  value       = var.region
}

output "ingest_url" {
  description = "Where activities are posted, to v1/activities."
  value       = module.ingest_url.url
}

output "ingest_auth" {
  description = "AWS_IAM if posts must be signed, or NONE."
  value       = var.ingest_auth
}

output "post_activities_policy_arn" {
  description = "Policy to attach to whoever posts activities to a closed URL."
  value       = aws_iam_policy.post_activities.arn
}

output "activity_kinds" {
  description = "Kinds of activity that the newest version of the scoring policy knows."
  value       = keys(var.scoring_policy[length(var.scoring_policy) - 1].points)
}

output "serve_url" {
  description = "Where boards are read, from v1/boards on."
  value       = module.serve_url.url
}

output "dashboard_url" {
  description = "Address of the dashboard, or null without one."
  value       = var.dashboard ? "https://${aws_cloudfront_distribution.dashboard[0].domain_name}/" : null
}

output "activities_table" {
  description = "Name of the table of facts."
  value       = aws_dynamodb_table.activities.name
}

output "dedup_table" {
  description = "Name of the table of markers."
  value       = aws_dynamodb_table.dedup.name
}

output "standings_table" {
  description = "Name of the table of standings."
  value       = aws_dynamodb_table.standings.name
}

output "snapshots_table" {
  description = "Name of the table of published boards."
  value       = aws_dynamodb_table.snapshots.name
}

output "queue_urls" {
  description = "URLs of the queue and of the dead-letter queues, by what they hold."
  value       = { for name, queue in local.queues : name => queue.url }
}

output "log_groups" {
  description = "Log groups, by stage."
  value = {
    ingest     = module.ingest.log_group
    stream     = aws_cloudwatch_log_group.pipe.name
    aggregator = module.aggregator.log_group
    snapshot   = module.snapshot.log_group
    serve      = module.serve.log_group
  }
}

output "alarm_topic_arn" {
  description = "Topic that alarms are published to, for whatever else should hear of them."
  value       = aws_sns_topic.alarms.arn
}

output "composite_alarm_name" {
  description = "Name of the alarm that rings when no board should be trusted."
  value       = aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_name
}

output "cloudwatch_dashboard_url" {
  description = "Address of the dashboard of how the deployment fares, in the AWS console."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.podium.dashboard_name}"
}
