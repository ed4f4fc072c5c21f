# The edge: one CloudFront distribution, so that page and API have one origin. It chooses where a request goes by path.

locals {
  # CloudFront may read boards only where everyone may.
  is_public_at_edge = var.edge && local.readers == "public"

  # The first pattern that matches a path decides. Other paths are the page's files. "api" is the HTTP API, which wants a
  # token; "boards" is serve's function URL, for everyone.
  edge_paths = concat(
    [
      for path in concat(["/v1/activities"], [for path in local.admin_paths : "/v1/${path}*"], ["/v1/private/*"]) :
      { path = path, origin = "api" } if local.has_login
    ],
    [{ path = "/v1/*", origin = local.readers == "login" ? "api" : "boards" }],
  )

  edge_origins = {
    api = {
      domain_name    = local.has_login ? trimprefix(aws_apigatewayv2_api.this[0].api_endpoint, "https://") : null
      access_control = null
      # A write is answered by the HTTP API alone, which knows every route.
      methods = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
      # AWS's managed policies "CachingDisabled" and "AllViewerExceptHostHeader". The latter forwards Authorization.
      cache_policy_id   = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
      request_policy_id = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    }
    boards = {
      domain_name       = trimsuffix(trimprefix(aws_lambda_function_url.serve.function_url, "https://"), "/")
      access_control    = one(aws_cloudfront_origin_access_control.boards[*].id)
      methods           = ["GET", "HEAD"]
      cache_policy_id   = one(aws_cloudfront_cache_policy.boards[*].id)
      request_policy_id = null
    }
  }

  # An error is never kept, whatever its status. These are all that CloudFront lets one choose for.
  error_codes = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]

  edge_url = !var.edge ? null : "https://${var.domain == null ? aws_cloudfront_distribution.edge[0].domain_name : var.domain.name}/"
}

resource "aws_cloudfront_distribution" "edge" {
  #checkov:skip=CKV_AWS_68:The variable waf adds a web application firewall. It costs more than everything else in a small deployment.
  #checkov:skip=CKV_AWS_86:Access logs would record who reads which board; CloudFront's metrics show errors.
  #checkov:skip=CKV_AWS_174:With a domain, TLS 1.2 is the minimum. Without one, CloudFront's certificate fixes the protocol versions.
  #checkov:skip=CKV_AWS_310:Each origin is a regional service, which spans several zones.
  #checkov:skip=CKV_AWS_374:Employees travel, so access is not limited to some countries.
  #checkov:skip=CKV2_AWS_32:Every behaviour has one, which checkov does not find because of count.
  #checkov:skip=CKV2_AWS_42:The variable domain sets a certificate. Without it, CloudFront's is used.
  #checkov:skip=CKV2_AWS_47:No Java is behind it. The variable waf adds AWS's common rules.
  count = var.edge ? 1 : 0

  comment             = "${local.name}: page and API"
  enabled             = true
  default_root_object = "index.html"
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  price_class         = "PriceClass_100"
  wait_for_deployment = false
  aliases             = [for domain in var.domain[*] : domain.name]
  web_acl_id          = one(aws_wafv2_web_acl.edge[*].arn)

  origin {
    origin_id                = "files"
    domain_name              = aws_s3_bucket.dashboard[0].bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.dashboard[0].id
  }

  dynamic "origin" {
    for_each = toset(local.edge_paths[*].origin)
    content {
      origin_id                = origin.value
      domain_name              = local.edge_origins[origin.value].domain_name
      origin_access_control_id = local.edge_origins[origin.value].access_control

      custom_origin_config {
        http_port              = 80
        https_port             = 443
        origin_protocol_policy = "https-only"
        origin_ssl_protocols   = ["TLSv1.2"]
      }
    }
  }

  default_cache_behavior {
    target_origin_id           = "files"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    response_headers_policy_id = aws_cloudfront_response_headers_policy.dashboard[0].id
    # AWS's managed policy "CachingOptimized", which respects the files' Cache-Control.
    cache_policy_id = "658327ea-f89d-4fab-a63d-7e88639e58f6"
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.edge_paths
    content {
      path_pattern     = ordered_cache_behavior.value.path
      target_origin_id = ordered_cache_behavior.value.origin
      allowed_methods  = local.edge_origins[ordered_cache_behavior.value.origin].methods
      cached_methods   = ["GET", "HEAD"]
      # A redirect would hide that a client has sent its token in the clear.
      viewer_protocol_policy     = "https-only"
      compress                   = true
      cache_policy_id            = local.edge_origins[ordered_cache_behavior.value.origin].cache_policy_id
      origin_request_policy_id   = local.edge_origins[ordered_cache_behavior.value.origin].request_policy_id
      response_headers_policy_id = aws_cloudfront_response_headers_policy.api[0].id
    }
  }

  dynamic "custom_error_response" {
    for_each = local.error_codes
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = local.certificate_arn
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? null : "TLSv1.2_2021"
  }

  tags = { stage = "edge" }
}

moved {
  from = aws_cloudfront_distribution.dashboard
  to   = aws_cloudfront_distribution.edge
}

# An answer is kept for as long as its Cache-Control says, at most a minute, which is how often boards are published.
resource "aws_cloudfront_cache_policy" "boards" {
  count = local.is_public_at_edge ? 1 : 0

  name        = "${local.name}-boards"
  comment     = "Boards, by the parameters that the API knows. Others are not forwarded."
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 60

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip = true

    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "whitelist"
      query_strings {
        items = ["around", "cursor", "from", "limit", "order", "period", "search", "window"]
      }
    }
  }
}

# Signs requests to serve's function URL, and replaces whatever Authorization a client sends.
resource "aws_cloudfront_origin_access_control" "boards" {
  count = local.is_public_at_edge ? 1 : 0

  name                              = "${local.name}-boards"
  description                       = "Lets CloudFront read public boards."
  origin_access_control_origin_type = "lambda"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# The functions set the content type and the caching of their answers, and none of these headers.
resource "aws_cloudfront_response_headers_policy" "api" {
  #checkov:skip=CKV_AWS_259:It meets the check except for preload, which needs a custom domain.
  count = var.edge ? 1 : 0

  name    = "${local.name}-api"
  comment = "Security headers of the API's answers."

  security_headers_config {
    content_type_options {
      override = true
    }
    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000 # a year
      include_subdomains         = true
      override                   = true
    }
  }
}

# CloudFront needs two permissions to call a function URL. Lambda can lose one of two statements that are added to a
# policy at once, so the second waits for the first.
resource "aws_lambda_permission" "cloudfront_calls_serve_url" {
  count = local.is_public_at_edge ? 1 : 0

  statement_id  = "ReadByCloudFront"
  action        = "lambda:InvokeFunctionUrl"
  function_name = module.serve.name
  qualifier     = module.serve.alias_name
  principal     = "cloudfront.amazonaws.com"
  source_arn    = aws_cloudfront_distribution.edge[0].arn

  depends_on = [aws_lambda_function_url.serve]
}

# The second permission: to invoke the function, but only through its URL. aws_lambda_permission supports this only from
# provider version 6.29 on.
resource "aws_cloudcontrolapi_resource" "cloudfront_invokes_serve" {
  count = local.is_public_at_edge ? 1 : 0

  type_name = "AWS::Lambda::Permission"
  # The part of the type's schema that is used here. Without it, every plan would fetch the whole schema from AWS.
  schema = jsonencode({
    typeName             = "AWS::Lambda::Permission"
    description          = "A statement of a function's policy."
    additionalProperties = false
    properties = {
      Id                    = { type = "string" }
      Action                = { type = "string" }
      FunctionName          = { type = "string" }
      Principal             = { type = "string" }
      SourceArn             = { type = "string" }
      InvokedViaFunctionUrl = { type = "boolean" }
    }
    required             = ["FunctionName", "Action", "Principal"]
    readOnlyProperties   = ["/properties/Id"]
    primaryIdentifier    = ["/properties/FunctionName", "/properties/Id"]
    createOnlyProperties = [for name in ["Action", "FunctionName", "Principal", "SourceArn", "InvokedViaFunctionUrl"] : "/properties/${name}"]
  })
  desired_state = jsonencode({
    Action                = "lambda:InvokeFunction"
    FunctionName          = module.serve.alias_arn
    Principal             = "cloudfront.amazonaws.com"
    SourceArn             = aws_cloudfront_distribution.edge[0].arn
    InvokedViaFunctionUrl = true
  })

  depends_on = [aws_lambda_permission.cloudfront_calls_serve_url]
}
