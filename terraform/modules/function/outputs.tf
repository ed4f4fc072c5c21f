output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.function.function_name
}

output "alias_arn" {
  description = "ARN of the alias that callers invoke."
  value       = aws_lambda_alias.live.arn
}

output "alias_name" {
  description = "Name of the alias that callers invoke."
  value       = aws_lambda_alias.live.name
}

output "live_version" {
  description = "Version that callers invoke. It is known once they do."
  value       = aws_lambda_alias.live.function_version
}

output "log_group" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.function.name
}

output "role_name" {
  description = "Name of the function's IAM role."
  value       = aws_iam_role.function.name
}

output "alarms" {
  description = "The function's alarms, by the keys errors and throttles."
  value       = aws_cloudwatch_metric_alarm.function
}

output "alias_invoke_arn" {
  description = "ARN by which API Gateway invokes that alias."
  value       = aws_lambda_alias.live.invoke_arn
}
