output "region" {
  description = "AWS region of the deployment."
  value       = var.region
}

output "ingest_url" {
  description = "Base URL for posting activities. Append v1/activities."
  value       = module.ingest_url.url
}

output "ingest_auth" {
  description = "AWS_IAM if posts must be signed, NONE otherwise."
  value       = var.ingest_auth
}

output "post_activities_policy_arn" {
  description = "ARN of the IAM policy to attach to the roles and users that post activities while ingest_auth is AWS_IAM."
  value       = aws_iam_policy.post_activities.arn
}

output "activity_kinds" {
  description = "Kinds of activity that the newest version of the scoring policy scores."
  value       = keys(var.scoring_policy[length(var.scoring_policy) - 1].points)
}

output "serve_url" {
  description = "Base URL for reading boards. Append v1/boards."
  value       = module.serve_url.url
}

output "dashboard_url" {
  description = "URL of the leaderboard dashboard, or null if dashboard is false."
  value       = var.dashboard ? "https://${aws_cloudfront_distribution.dashboard[0].domain_name}/" : null
}

output "activities_table" {
  description = "Name of the table of activities (facts)."
  value       = aws_dynamodb_table.activities.name
}

output "dedup_table" {
  description = "Name of the table of keys that left the standings."
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
  description = "URLs of the queue and of the DLQs, by what they hold."
  value       = { for name, queue in local.queues : name => queue.url }
}

output "log_groups" {
  description = "Names of the log groups, by stage."
  value = {
    ingest     = module.ingest.log_group
    stream     = aws_cloudwatch_log_group.pipe.name
    aggregator = module.aggregator.log_group
    snapshot   = module.snapshot.log_group
    serve      = module.serve.log_group
  }
}

output "alarm_topic_arn" {
  description = "ARN of the SNS topic of the alarms to act on at once. Subscribe a pager to it."
  value       = aws_sns_topic.alarms["now"].arn
}

output "alarm_topic_today_arn" {
  description = "ARN of the SNS topic of the alarms to handle on the next working day. Subscribe a chat to it."
  value       = aws_sns_topic.alarms["today"].arn
}

output "composite_alarm_name" {
  description = "Name of the composite alarm that rings when boards should not be trusted."
  value       = aws_cloudwatch_composite_alarm.board_not_to_be_trusted.alarm_name
}

output "cloudwatch_dashboard_url" {
  description = "URL of the CloudWatch dashboard that shows how the deployment performs."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.podium.dashboard_name}"
}
