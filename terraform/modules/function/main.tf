terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

locals {
  tags = { stage = var.stage }

  alarms = {
    errors    = { metric = "Errors", description = var.alarm_descriptions.errors }
    throttles = { metric = "Throttles", description = var.alarm_descriptions.throttles }
  }

  statements = concat(
    [
      {
        sid       = "Log"
        actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
        condition = null
      },
      {
        # X-Ray has no resources to name: "*" is all that AWS takes here.
        sid       = "Trace"
        actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        resources = ["*"]
        condition = null
      },
    ],
    var.statements,
  )
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:Encrypted with a key of the account's where kms_key_arn names one, and with AWS's own otherwise.
  #checkov:skip=CKV_AWS_338:How long logs are kept is the operator's choice; no log holds what is not in a table.
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "function" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
  tags = local.tags
}

resource "aws_iam_role_policy" "function" {
  #checkov:skip=CKV_AWS_290:Only tracing is allowed on every resource, since X-Ray has none to name.
  #checkov:skip=CKV_AWS_355:Only tracing is allowed on every resource, since X-Ray has none to name.
  name = "function"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.statements : merge(
      {
        Sid      = statement.sid
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      },
      statement.condition == null ? {} : { Condition = statement.condition },
    )]
  })
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_115:Reserved concurrency is a choice of the deployment: a new account's limit does not allow it.
  #checkov:skip=CKV_AWS_116:Only the snapshot is invoked asynchronously; its failures have a destination.
  #checkov:skip=CKV_AWS_117:It calls DynamoDB and SQS alone, which IAM guards; in a VPC it would pay for endpoints or a NAT.
  #checkov:skip=CKV_AWS_173:The environment holds no secret. It is encrypted with a key of the account's where kms_key_arn names one.
  #checkov:skip=CKV_AWS_272:The zips are built by whoever deploys them; who may update the function is a matter of IAM.
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.function.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.zip
  source_code_hash               = fileexists(var.zip) ? filebase64sha256(var.zip) : null
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  publish                        = true
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = var.environment
  }

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function.name
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "WARN"
  }

  tags = local.tags

  # The first invocation must find its permissions.
  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = fileexists(var.zip)
      error_message = "There is no ${var.zip}. Build the functions with scripts/build, or name their directory in functions_dir."
    }
  }
}

# What calls the function calls this name, so that a version is exchanged in one step and can be exchanged back.
resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.function.function_name
  function_version = aws_lambda_function.function.version
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description
  namespace         = "AWS/Lambda"
  metric_name       = each.value.metric
  dimensions        = { FunctionName = aws_lambda_function.function.function_name }
  statistic         = "Sum"

  # One failure is repeated by whoever met it. What goes on in two of three periods is not chance.
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  alarm_actions = [var.alarm_topic_arn]
  ok_actions    = [var.alarm_topic_arn]
  tags          = { stage = "observability" }
}
