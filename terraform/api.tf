# The HTTP API that verifies tokens, where login is configured. Its own address stays reachable beside CloudFront's, so
# every route needs a token. It answers nothing without one.

locals {
  # Who reaches a route is decided twice: here by scope, and in the function by the claims.
  admin_paths = ["corrections", "people", "teams", "programs"]
  # Routes and their functions. Corrections are facts, and the rest is in the directory.
  admin_routes = merge([
    for path in local.admin_paths : {
      for route in ["ANY /v1/${path}", "ANY /v1/${path}/{proxy+}"] : route => path == "corrections" ? "ingest" : "directory"
    }
  ]...)
  api_routes = !local.has_login ? {} : merge(
    # With self-reporting, everyone with a token may post for himself: ingest judges each activity.
    {
      "ANY /v1/activities" = { function = "ingest", scopes = var.self_reporting ? [] : [local.write_scope, local.admin_scope] }
    },
    { for route, function in local.admin_routes : route => { function = function, scopes = [local.admin_scope] } },
    { "ANY /v1/private/{proxy+}" = { function = "serve", scopes = [] } },
    { for route in ["ANY /v1/{proxy+}"] : route => { function = "serve", scopes = [] } if local.readers == "login" },
  )

  api_functions = !local.has_login ? {} : {
    ingest    = { name = module.ingest.name, alias = module.ingest.alias_name, invoke_arn = module.ingest.alias_invoke_arn }
    serve     = { name = module.serve.name, alias = module.serve.alias_name, invoke_arn = module.serve.alias_invoke_arn }
    directory = { name = module.directory.name, alias = module.directory.alias_name, invoke_arn = module.directory.alias_invoke_arn }
  }
}

resource "aws_apigatewayv2_api" "this" {
  count = local.has_login ? 1 : 0

  name          = local.name
  description   = "Takes requests with a token of the identity provider."
  protocol_type = "HTTP"
  tags          = { stage = "edge" }
}

resource "aws_apigatewayv2_authorizer" "token" {
  count = local.has_login ? 1 : 0

  api_id           = aws_apigatewayv2_api.this[0].id
  name             = "token"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.oidc.issuer
    audience = var.oidc.audiences
  }
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = local.api_functions

  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = each.value.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.api_routes

  api_id               = aws_apigatewayv2_api.this[0].id
  route_key            = each.key
  target               = "integrations/${aws_apigatewayv2_integration.this[each.value.function].id}"
  authorization_type   = "JWT"
  authorizer_id        = aws_apigatewayv2_authorizer.token[0].id
  authorization_scopes = each.value.scopes
}

resource "aws_apigatewayv2_stage" "this" {
  count = local.has_login ? 1 : 0

  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true

  # These limits apply to each route on its own.
  default_route_settings {
    throttling_rate_limit  = var.throttle.requests_per_second
    throttling_burst_limit = var.throttle.burst
  }

  dynamic "route_settings" {
    for_each = keys(local.admin_routes)
    content {
      route_key              = route_settings.value
      throttling_rate_limit  = var.throttle.admin_requests_per_second
      throttling_burst_limit = var.throttle.admin_burst
    }
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api[0].arn
    # No path, token, claim or address: paths hold user ids, and behind CloudFront the address is one of CloudFront's.
    format = jsonencode({
      requestId          = "$context.requestId"
      time               = "$context.requestTime"
      routeKey           = "$context.routeKey"
      status             = "$context.status"
      responseLatency    = "$context.responseLatency"
      integrationLatency = "$context.integrationLatency"
      authorizerError    = "$context.authorizer.error"
      integrationError   = "$context.integrationErrorMessage"
    })
  }

  tags = { stage = "edge" }

  # Settings of a route need the route.
  depends_on = [aws_apigatewayv2_route.this]
}

resource "aws_cloudwatch_log_group" "api" {
  #checkov:skip=CKV_AWS_158:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  #checkov:skip=CKV_AWS_338:The operator chooses the retention. The tables, not the logs, are the record.
  count = local.has_login ? 1 : 0

  # Below this prefix, API Gateway may write without a statement per log group, whose number is limited.
  name              = "/aws/vendedlogs/apis/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = { stage = "edge" }
}

# Counts tokens that the authorizer refuses. A field without a value is logged as "-".
resource "aws_cloudwatch_log_metric_filter" "refused_tokens" {
  count = local.has_login ? 1 : 0

  name           = "refused-tokens"
  log_group_name = aws_cloudwatch_log_group.api[0].name
  pattern        = "{ ($.authorizerError = \"*\") && ($.authorizerError != \"-\") }"

  metric_transformation {
    namespace = local.api_metric_namespace
    name      = "RefusedTokens"
    value     = "1"
    unit      = "Count"
  }
}

# Lambda can lose one of two statements that are added to one policy at once, so this waits for CloudFront's.
resource "aws_lambda_permission" "api" {
  for_each = local.api_functions

  statement_id  = "InvokeByApi"
  action        = "lambda:InvokeFunction"
  function_name = each.value.name
  qualifier     = each.value.alias
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this[0].execution_arn}/*/*"

  depends_on = [aws_cloudcontrolapi_resource.cloudfront_invokes_serve]
}
