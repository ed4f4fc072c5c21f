terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

locals {
  name = "${var.settings.name_prefix}-${var.stage}"
  zip  = "${var.settings.zips_dir}/${var.stage}/bootstrap.zip"
  tags = { stage = var.stage }

  alarm_metrics = { errors = "Errors", throttles = "Throttles" }

  statements = concat(
    [
      {
        sid       = "Log"
        actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
        condition = null
      },
    ],
    # X-Ray actions support no other resource than "*".
    [
      for actions in [["xray:PutTraceSegments", "xray:PutTelemetryRecords"]] :
      { sid = "Trace", actions = actions, resources = ["*"], condition = null } if var.settings.tracing
    ],
    # Lambda decrypts the environment with the function's role. Whether that carries kms:ViaService is not documented.
    [
      for key in compact([var.settings.kms_key_arn]) : {
        sid       = "DecryptEnvironment"
        actions   = ["kms:Decrypt"]
        resources = [key]
        condition = {
          StringEquals = {
            "kms:EncryptionContext:aws:lambda:FunctionArn" = ["arn:${split(":", key)[1]}:lambda:${var.settings.region}:${var.settings.account_id}:function:${local.name}"]
          }
        }
      }
    ],
    var.statements,
  )
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  #checkov:skip=CKV_AWS_338:The operator chooses the retention. The tables, not the logs, are the record.
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.settings.log_retention_days
  kms_key_id        = var.settings.kms_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "function" {
  name                 = local.name
  permissions_boundary = var.settings.permissions_boundary_arn
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
  #checkov:skip=CKV_AWS_290:Only the X-Ray actions have the resource "*"; they support no other.
  #checkov:skip=CKV_AWS_355:Only the X-Ray actions have the resource "*"; they support no other.
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
  #checkov:skip=CKV_AWS_115:Reserved concurrency is optional, because the quota of a new account does not allow it.
  #checkov:skip=CKV_AWS_116:Only the snapshot is invoked asynchronously, and it has a failure destination.
  #checkov:skip=CKV_AWS_117:It calls only DynamoDB and SQS, which IAM protects. A VPC would add the cost of endpoints or a NAT gateway.
  #checkov:skip=CKV_AWS_173:The environment holds no secrets. It is encrypted with kms_key_arn if it is set.
  #checkov:skip=CKV_AWS_272:The person who deploys also builds the zips. IAM controls who may update the function.
  function_name                  = local.name
  description                    = var.description
  role                           = aws_iam_role.function.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.settings.architecture]
  filename                       = local.zip
  source_code_hash               = fileexists(local.zip) ? filebase64sha256(local.zip) : null
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  publish                        = true
  kms_key_arn                    = var.settings.kms_key_arn

  environment {
    # ENVIRONMENT is a dimension of the metrics. It contains the project, so that two deployments never share metrics.
    variables = merge(var.environment, {
      ENVIRONMENT = var.settings.name_prefix
      LOG_LEVEL   = lower(var.settings.log_level)
    })
  }

  tracing_config {
    mode = var.settings.tracing ? "Active" : "PassThrough"
  }

  logging_config {
    log_group  = aws_cloudwatch_log_group.function.name
    log_format = "JSON"
    # Lambda takes a line of metrics for one of level INFO, and would drop it at WARN or ERROR. The function itself
    # leaves out what is below LOG_LEVEL.
    application_log_level = contains(["TRACE", "DEBUG"], var.settings.log_level) ? var.settings.log_level : "INFO"
    system_log_level      = "WARN"
  }

  tags = local.tags

  # The first invocation needs the permissions.
  depends_on = [aws_iam_role_policy.function, var.after]

  lifecycle {
    precondition {
      condition     = fileexists(local.zip)
      error_message = "The zip ${local.zip} does not exist. Build the functions with scripts/build, or set functions_dir to the directory that holds ${var.stage}/bootstrap.zip."
    }
  }
}

# Callers use this alias, so a deployment and a rollback switch versions in one step.
resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.function.function_name
  function_version = aws_lambda_function.function.version
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarm_metrics

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = var.alarms[each.key].description
  namespace         = "AWS/Lambda"
  metric_name       = each.value
  dimensions        = { FunctionName = aws_lambda_function.function.function_name }
  statistic         = "Sum"

  # Callers retry a single failure, so only failures in two of three periods ring.
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = var.alarm_period_seconds
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  alarm_actions = [var.alarms[each.key].topic_arn]
  ok_actions    = [var.alarms[each.key].topic_arn]
  tags          = { stage = "observability" }
}
