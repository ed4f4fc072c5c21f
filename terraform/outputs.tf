output "region" {
  description = "AWS region of the deployment."
  value       = var.region
}

output "url" {
  description = "Address of the page and the API for browsers and their users, or null if edge is false."
  value       = local.edge_url
}

output "distribution_domain" {
  description = "Domain of the CloudFront distribution, to which a domain without zone_id must point (CNAME), or null if edge is false."
  value       = one(aws_cloudfront_distribution.edge[*].domain_name)
}

output "readers" {
  description = "Who may read the boards: public or login."
  value       = local.readers
}

output "ingest_url" {
  description = "Base URL for posting activities with requests signed by IAM. Append v1/activities."
  value       = aws_lambda_function_url.ingest.function_url
}

output "serve_url" {
  description = "Base URL for reading boards with requests signed by IAM. Append v1/boards."
  value       = aws_lambda_function_url.serve.function_url
}

output "api_url" {
  description = "Base URL of the HTTP API, which wants a token, or null if oidc is null. Browsers use url instead."
  value       = try("${aws_apigatewayv2_api.this[0].api_endpoint}/", null)
}

output "post_activities_policy_arn" {
  description = "ARN of the IAM policy to attach to the roles and users that post activities at ingest_url."
  value       = aws_iam_policy.post_activities.arn
}

output "read_boards_policy_arn" {
  description = "ARN of the IAM policy to attach to the roles and users that read boards at serve_url."
  value       = aws_iam_policy.read_boards.arn
}

output "activity_kinds" {
  description = "Kinds of activity that the newest version of the scoring policy scores."
  value       = keys(var.scoring_policy[length(var.scoring_policy) - 1].points)
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

output "people_table" {
  description = "Name of the table of people's profiles."
  value       = aws_dynamodb_table.people.name
}

output "coins_table" {
  description = "Name of the table of coins, or null without quests."
  value       = one(aws_dynamodb_table.coins[*].name)
}

output "progress_table" {
  description = "Name of the table of people's progress with the quests, or null without quests."
  value       = one(aws_dynamodb_table.progress[*].name)
}

output "notices_table" {
  description = "Name of the table of what was sent to webhooks and mail, or null without them."
  value       = one(aws_dynamodb_table.notices[*].name)
}

output "facts_topic_arn" {
  description = "ARN of the SNS topic of new facts, or null without quests and facts_topic."
  value       = try(aws_sns_topic.events["facts"].arn, null)
}

output "event_rule_arn" {
  description = "ARN of the EventBridge rule that sends events to the queue, or null without event_bus."
  value       = one(aws_cloudwatch_event_rule.events[*].arn)
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
    directory  = module.directory.log_group
    api        = one(aws_cloudwatch_log_group.api[*].name)
    rewards    = one(module.rewards[*].log_group)
    notifier   = one(module.notifier[*].log_group)
    bridge     = one(module.bridge[*].log_group)
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
