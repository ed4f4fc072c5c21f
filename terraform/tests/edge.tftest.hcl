# Who reaches what: the paths of the edge, the routes of the HTTP API, and what the page is told.

mock_provider "aws" {
  source = "./tests/aws"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/aws"
}

variables {
  environment              = "test"
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "public_boards" {
  variables {
    readers = "public"
  }

  assert {
    condition = [for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior :
      "${behaviour.path_pattern} ${behaviour.target_origin_id} ${join(",", sort(behaviour.allowed_methods))} ${behaviour.cache_policy_id} ${coalesce(behaviour.origin_request_policy_id, "-")} ${behaviour.viewer_protocol_policy} ${behaviour.response_headers_policy_id}"
    ] == ["/v1/* boards GET,HEAD cache-boards - https-only headers-of-api"]
    error_message = "The boards must come from serve's URL, by GET and HEAD, and be cached."
  }
  assert {
    condition = { for origin in aws_cloudfront_distribution.edge[0].origin : origin.origin_id => "${origin.domain_name} ${origin.origin_access_control_id}" } == {
      files  = "podium-test-dashboard-111122223333-us-east-1.s3.amazonaws.com access-to-files"
      boards = "serve.lambda-url.us-east-1.on.aws access-to-boards"
    }
    error_message = "CloudFront must sign its requests to both origins."
  }
  assert {
    condition     = aws_cloudfront_origin_access_control.boards[0].origin_access_control_origin_type == "lambda" && aws_cloudfront_origin_access_control.boards[0].signing_behavior == "always"
    error_message = "CloudFront must sign every request to serve's URL."
  }
  assert {
    condition = (
      aws_cloudfront_cache_policy.boards[0].min_ttl == 0 && aws_cloudfront_cache_policy.boards[0].default_ttl == 0 && aws_cloudfront_cache_policy.boards[0].max_ttl == 60
    )
    error_message = "An answer must be cached only as its Cache-Control says, and at most a minute."
  }
  assert {
    condition = (
      one(one(aws_cloudfront_cache_policy.boards[0].parameters_in_cache_key_and_forwarded_to_origin).headers_config).header_behavior == "none" &&
      one(one(aws_cloudfront_cache_policy.boards[0].parameters_in_cache_key_and_forwarded_to_origin).cookies_config).cookie_behavior == "none" &&
      one(one(one(aws_cloudfront_cache_policy.boards[0].parameters_in_cache_key_and_forwarded_to_origin).query_strings_config).query_strings).items == toset(
        flatten([
          for operations in values(jsondecode(file("../docs/openapi.json")).paths) : [
            for operation in values(operations) : [
              for parameter in try(operation.parameters, []) : [
                for described in [jsondecode(file("../docs/openapi.json")).components.parameters[basename(parameter["$ref"])]] :
                described.name if described.in == "query"
              ]
            ] if contains(operation.tags, "serve")
          ]
        ])
      )
    )
    error_message = "What is cached must be told apart by the parameters of docs/openapi.json for serve, and by no other."
  }
  assert {
    condition = { for response in aws_cloudfront_distribution.edge[0].custom_error_response : response.error_code => response.error_caching_min_ttl } == {
      for code in [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504] : code => 0
    }
    error_message = "No error may be kept."
  }
  assert {
    condition     = length(aws_apigatewayv2_api.this) + length(aws_apigatewayv2_route.this) + length(aws_lambda_permission.api) + length(aws_cloudwatch_log_group.api) == 0
    error_message = "Without login there must be no HTTP API."
  }
  assert {
    condition     = strcontains(local.content_security_policy, "; connect-src 'self'; ")
    error_message = "Without login, the page must reach its own origin only."
  }
  assert {
    condition = (
      endswith(local.content_security_policy, "; frame-ancestors 'none'") &&
      one(one(aws_cloudfront_response_headers_policy.dashboard[0].security_headers_config).frame_options).frame_option == "DENY"
    )
    error_message = "By default no page may embed the dashboard."
  }
  assert {
    condition     = aws_s3_object.dashboard_config[0].content == <<-EOT
      // How readers and posters log in; null: they do not.
      export const login = null;

      // Who may read: "public" or "login".
      export const readers = "public";

      // For whom this page may post: "self" (who is logged in), or null for no one.
      export const posting = null;

      // Whether there are quests.
      export const hasQuests = false;
    EOT
    error_message = "config.js must say that nobody logs in: ${aws_s3_object.dashboard_config[0].content}"
  }
  assert {
    condition     = output.url == "https://board.cloudfront.net/" && output.api_url == null && output.distribution_domain == "board.cloudfront.net"
    error_message = "The address must be the distribution's."
  }
  assert {
    condition     = length(aws_cloudfront_response_headers_policy.api[0].cors_config) + length(aws_cloudfront_response_headers_policy.dashboard[0].cors_config) + length(aws_cloudfront_response_headers_policy.api[0].custom_headers_config) == 0
    error_message = "Page and API have one origin, so no other may read the answers."
  }
  assert {
    condition     = length(aws_wafv2_web_acl.edge) + length(aws_acm_certificate.edge) + length(aws_route53_record.edge) == 0 && aws_cloudfront_distribution.edge[0].web_acl_id == null
    error_message = "By default there must be no firewall and no domain."
  }
}

# Public boards beside login: tools and employees post with tokens, admins read in private.
run "public_boards_with_login" {
  variables {
    readers        = "public"
    self_reporting = true
    oidc = {
      issuer          = "https://id.example.com/realms/podium"
      audiences       = ["https://podium.example.com", "podium"]
      client_id       = "podium-page"
      user_claim      = "email"
      write_scope     = "podium/write"
      admin_scope     = "podium/admin"
      connect_origins = ["https://token.example.com"]
    }
  }

  assert {
    condition = [for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior :
      "${behaviour.path_pattern} ${behaviour.target_origin_id} ${behaviour.cache_policy_id} ${coalesce(behaviour.origin_request_policy_id, "-")} ${behaviour.viewer_protocol_policy}"
      ] == [
      "/v1/activities api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/corrections* api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/people* api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/teams* api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/programs* api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/private/* api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad b689b0a8-53d0-40ab-baf2-68738e2966ac https-only",
      "/v1/* boards cache-boards - https-only",
    ]
    error_message = "Paths that want a token must go to the HTTP API, uncached and with Authorization, before the boards."
  }
  assert {
    condition = alltrue([for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior :
      length(behaviour.allowed_methods) == (behaviour.target_origin_id == "api" ? 7 : 2) && toset(behaviour.cached_methods) == toset(["GET", "HEAD"])
    ])
    error_message = "The HTTP API must get every method, and serve's URL only GET and HEAD."
  }
  assert {
    condition = { for route in aws_apigatewayv2_route.this : route.route_key => "${route.target} ${join(" ", sort(route.authorization_scopes))}" } == {
      "ANY /v1/activities"           = "integrations/to-ingest "
      "ANY /v1/corrections"          = "integrations/to-ingest podium/admin"
      "ANY /v1/corrections/{proxy+}" = "integrations/to-ingest podium/admin"
      "ANY /v1/people"               = "integrations/to-directory podium/admin"
      "ANY /v1/people/{proxy+}"      = "integrations/to-directory podium/admin"
      "ANY /v1/teams"                = "integrations/to-directory podium/admin"
      "ANY /v1/teams/{proxy+}"       = "integrations/to-directory podium/admin"
      "ANY /v1/programs"             = "integrations/to-directory podium/admin"
      "ANY /v1/programs/{proxy+}"    = "integrations/to-directory podium/admin"
      "ANY /v1/private/{proxy+}"     = "integrations/to-serve "
    }
    error_message = "With self-reporting, everyone with a token may reach ingest, which judges each activity; only admins reach the rest of it, and the directory."
  }
  assert {
    condition = alltrue(flatten([
      for path, operations in jsondecode(file("../docs/openapi.json")).paths : [
        for operation in values(operations) : [
          for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior : behaviour.target_origin_id
          if can(regex("^${replace(behaviour.path_pattern, "*", ".*")}$", path))
        ][0] == (contains(operation.tags, "serve") ? "boards" : "api")
      ]
    ]))
    error_message = "Every path of docs/openapi.json must reach its function: serve's without a token, and all others with one."
  }
  assert {
    condition = alltrue(flatten([
      for path, operations in jsondecode(file("../docs/openapi.json")).paths : [
        for operation in values(operations) : [
          for route in aws_apigatewayv2_route.this : route.target if route.route_key == "ANY ${replace(path, "/{[^/]+}$/", "{proxy+}")}"
        ] == [for function in operation.tags : "integrations/to-${function}" if function != "serve"]
      ]
    ]))
    error_message = "The HTTP API must have a route, for every method, to the function that docs/openapi.json names for a path, and none for the paths of serve."
  }
  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.authorization_type == "JWT" && route.authorizer_id == "token1" && route.api_id == "api1"])
    error_message = "Every route must want a token."
  }
  assert {
    condition = (
      aws_apigatewayv2_authorizer.token[0].authorizer_type == "JWT" &&
      one(aws_apigatewayv2_authorizer.token[0].jwt_configuration).issuer == "https://id.example.com/realms/podium" &&
      one(aws_apigatewayv2_authorizer.token[0].jwt_configuration).audience == toset(["https://podium.example.com", "podium"]) &&
      tolist(aws_apigatewayv2_authorizer.token[0].identity_sources) == tolist(["$request.header.Authorization"])
    )
    error_message = "Only tokens of this issuer for these audiences may be taken."
  }
  assert {
    condition = { for name, integration in aws_apigatewayv2_integration.this : name => "${integration.integration_uri} ${integration.payload_format_version}" } == {
      ingest    = "${module.ingest.alias_invoke_arn} 2.0"
      serve     = "${module.serve.alias_invoke_arn} 2.0"
      directory = "${module.directory.alias_invoke_arn} 2.0"
    }
    error_message = "The HTTP API must invoke the alias live, with the payload that the functions read."
  }
  assert {
    condition     = strcontains(local.content_security_policy, "; connect-src 'self' https://id.example.com https://token.example.com; ")
    error_message = "The page must reach the provider, and nobody else: ${local.content_security_policy}"
  }
  assert {
    condition     = aws_s3_object.dashboard_config[0].content == <<-EOT
      // How readers and posters log in; null: they do not.
      export const login = {"clientId":"podium-page","issuer":"https://id.example.com/realms/podium","parameters":{"resource":"https://podium.example.com"},"scope":null,"userClaim":"email"};

      // Who may read: "public" or "login".
      export const readers = "public";

      // For whom this page may post: "self" (who is logged in), or null for no one.
      export const posting = "self";

      // Whether there are quests.
      export const hasQuests = false;
    EOT
    error_message = "config.js must say how to log in: ${aws_s3_object.dashboard_config[0].content}"
  }
  assert {
    condition     = output.api_url == "https://api1.execute-api.us-east-1.amazonaws.com/" && output.log_groups.api == "/aws/vendedlogs/apis/podium-test"
    error_message = "The HTTP API's address and log must be told."
  }
}

# After the run before, so that what was public is taken away.
run "readers_log_in" {
  variables {
    readers  = "login"
    waf      = {}
    domain   = { name = "podium.example.com", zone_id = "Z0123456789" }
    throttle = { requests_per_second = 50, burst = 60, admin_requests_per_second = 5, admin_burst = 6 }

    frame_ancestors = ["https://intranet.example.com", "https://*.example.org:8443"]
    oidc = {
      issuer     = "https://id.example.com/"
      audiences  = ["https://podium.example.com"]
      client_id  = "podium-page"
      parameters = { resource = "", audience = "https://podium.example.com" }
      scope      = "openid offline_access"
    }
  }

  assert {
    condition     = toset([for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior : "${behaviour.target_origin_id} ${behaviour.cache_policy_id}"]) == toset(["api 4135ea2d-6df8-44a3-9df3-4b5a84be39ad"])
    error_message = "Every path of the API must go to the HTTP API, and nothing may be cached."
  }
  assert {
    condition = [for behaviour in aws_cloudfront_distribution.edge[0].ordered_cache_behavior : behaviour.path_pattern] == [
      "/v1/activities", "/v1/corrections*", "/v1/people*", "/v1/teams*", "/v1/programs*", "/v1/private/*", "/v1/*",
    ]
    error_message = "The paths must be the same as for public boards."
  }
  assert {
    condition     = toset([for origin in aws_cloudfront_distribution.edge[0].origin : origin.origin_id]) == toset(["files", "api"])
    error_message = "Serve's URL must be no origin."
  }
  assert {
    condition = (
      length(aws_lambda_permission.cloudfront_calls_serve_url) + length(aws_cloudcontrolapi_resource.cloudfront_invokes_serve) +
      length(aws_cloudfront_origin_access_control.boards) + length(aws_cloudfront_cache_policy.boards) == 0
    )
    error_message = "CloudFront must have no permission on serve."
  }
  assert {
    condition = {
      for route in aws_apigatewayv2_route.this : route.route_key => "${route.target} ${join(" ", sort(route.authorization_scopes))}"
      if !strcontains(join(" ", route.authorization_scopes), "admin") || route.route_key == "ANY /v1/activities"
      } == {
      "ANY /v1/activities"       = "integrations/to-ingest podium:admin podium:write"
      "ANY /v1/private/{proxy+}" = "integrations/to-serve "
      "ANY /v1/{proxy+}"         = "integrations/to-serve "
    }
    error_message = "Posting must need a scope, and reading a token."
  }
  assert {
    condition = (
      aws_apigatewayv2_stage.this[0].name == "$default" && aws_apigatewayv2_stage.this[0].auto_deploy &&
      one(aws_apigatewayv2_stage.this[0].default_route_settings).throttling_rate_limit == 50 &&
      one(aws_apigatewayv2_stage.this[0].default_route_settings).throttling_burst_limit == 60 &&
      toset([for settings in aws_apigatewayv2_stage.this[0].route_settings : "${settings.route_key} ${settings.throttling_rate_limit} ${settings.throttling_burst_limit}"]) == toset([
        for path in ["corrections", "corrections/{proxy+}", "people", "people/{proxy+}", "teams", "teams/{proxy+}", "programs", "programs/{proxy+}"] : "ANY /v1/${path} 5 6"
      ])
    )
    error_message = "Every route must be throttled, and those of admins on their own."
  }
  assert {
    condition     = one(aws_apigatewayv2_stage.this[0].access_log_settings).destination_arn == aws_cloudwatch_log_group.api[0].arn
    error_message = "The HTTP API must log."
  }
  assert {
    condition = toset(values(jsondecode(one(aws_apigatewayv2_stage.this[0].access_log_settings).format))) == toset([
      "$context.requestId", "$context.requestTime", "$context.routeKey", "$context.status", "$context.responseLatency",
      "$context.integrationLatency", "$context.authorizer.error", "$context.integrationErrorMessage",
    ])
    error_message = "The access log must hold no path, claim or address: paths hold user ids."
  }
  assert {
    condition = (
      aws_cloudwatch_log_metric_filter.refused_tokens[0].log_group_name == aws_cloudwatch_log_group.api[0].name &&
      one(aws_cloudwatch_log_metric_filter.refused_tokens[0].metric_transformation).namespace == aws_cloudwatch_metric_alarm.this["api-authorizer"].namespace &&
      one(aws_cloudwatch_log_metric_filter.refused_tokens[0].metric_transformation).name == aws_cloudwatch_metric_alarm.this["api-authorizer"].metric_name &&
      strcontains(one(aws_apigatewayv2_stage.this[0].access_log_settings).format, "\"authorizerError\":") &&
      strcontains(aws_cloudwatch_log_metric_filter.refused_tokens[0].pattern, "$.authorizerError")
    )
    error_message = "The alarm must count what the log says of the authorizer."
  }
  assert {
    condition     = strcontains(aws_s3_object.dashboard_config[0].content, "\"parameters\":{\"audience\":\"https://podium.example.com\"},\"scope\":\"openid offline_access\"") && strcontains(aws_s3_object.dashboard_config[0].content, "readers = \"login\"") && strcontains(aws_s3_object.dashboard_config[0].content, "posting = null")
    error_message = "An empty parameter must be left out: ${aws_s3_object.dashboard_config[0].content}"
  }
  assert {
    condition     = strcontains(local.content_security_policy, "; connect-src 'self' https://id.example.com; ")
    error_message = "The policy must have the issuer's origin, without its path: ${local.content_security_policy}"
  }
  assert {
    condition = (
      endswith(local.content_security_policy, "; frame-ancestors https://intranet.example.com https://*.example.org:8443") &&
      length(one(aws_cloudfront_response_headers_policy.dashboard[0].security_headers_config).frame_options) == 0
    )
    error_message = "The pages of these origins may embed the dashboard: ${local.content_security_policy}"
  }

  # domain

  assert {
    condition = (
      output.url == "https://podium.example.com/" && aws_cloudfront_distribution.edge[0].aliases == toset(["podium.example.com"]) &&
      one(aws_cloudfront_distribution.edge[0].viewer_certificate).acm_certificate_arn == aws_acm_certificate.edge[0].arn &&
      one(aws_cloudfront_distribution.edge[0].viewer_certificate).minimum_protocol_version == "TLSv1.2_2021" &&
      aws_acm_certificate.edge[0].domain_name == "podium.example.com" && aws_acm_certificate.edge[0].validation_method == "DNS" &&
      aws_route53_record.certificate[0].name == "_1.podium.example.com." &&
      toset([for record in aws_route53_record.edge : "${record.type} ${record.zone_id} ${record.name} ${one(record.alias).name}"]) == toset([
        for type in ["A", "AAAA"] : "${type} Z0123456789 podium.example.com board.cloudfront.net"
      ])
    )
    error_message = "The domain must have its certificate, and point at the distribution."
  }

  # firewall

  assert {
    condition     = aws_wafv2_web_acl.edge[0].scope == "CLOUDFRONT" && aws_cloudfront_distribution.edge[0].web_acl_id == aws_wafv2_web_acl.edge[0].arn && length(aws_wafv2_web_acl.edge[0].rule) == 2
    error_message = "The distribution must have the firewall."
  }
  assert {
    condition = alltrue([for rule in aws_wafv2_web_acl.edge[0].rule :
      rule.name == "rate" ? one(one(rule.statement).rate_based_statement).limit == 2000 && one(one(one(rule.action).block).custom_response).response_code == 429 :
      one(one(rule.statement).managed_rule_group_statement).name == "AWSManagedRulesCommonRuleSet"
    ])
    error_message = "The firewall must bound each address, and have AWS's common rules."
  }
  assert {
    condition     = alltrue([for config in concat(flatten([for rule in aws_wafv2_web_acl.edge[0].rule : rule.visibility_config]), aws_wafv2_web_acl.edge[0].visibility_config) : !config.sampled_requests_enabled])
    error_message = "Samples would hold tokens."
  }
}

run "a_certificate_of_ones_own" {
  variables {
    readers = "public"
    domain  = { name = "podium.example.com", certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/own" }
    waf     = { requests_per_5_minutes = 500, common_rules = false }
  }

  assert {
    condition     = one(aws_cloudfront_distribution.edge[0].viewer_certificate).acm_certificate_arn == "arn:aws:acm:us-east-1:111122223333:certificate/own" && length(aws_acm_certificate.edge) + length(aws_route53_record.edge) + length(aws_route53_record.certificate) == 0
    error_message = "A certificate that is there must be used, and no record written."
  }
  assert {
    condition     = length(aws_wafv2_web_acl.edge[0].rule) == 1 && output.url == "https://podium.example.com/"
    error_message = "Without the common rules there must be the rate rule alone."
  }
}

# Without the edge: signed requests, and tokens at the HTTP API's own address.
run "without_the_edge" {
  variables {
    readers = "login"
    edge    = false
    oidc    = { issuer = "https://id.example.com", audiences = ["podium"] }
  }

  assert {
    condition = (
      length(aws_cloudfront_distribution.edge) + length(aws_s3_bucket.dashboard) + length(aws_s3_object.dashboard) + length(aws_cloudfront_response_headers_policy.api) == 0 &&
      output.url == null && output.distribution_domain == null
    )
    error_message = "Without the edge there must be no bucket and no CDN."
  }
  assert {
    condition     = output.api_url == "https://api1.execute-api.us-east-1.amazonaws.com/" && contains(keys(aws_apigatewayv2_route.this), "ANY /v1/{proxy+}")
    error_message = "The HTTP API must answer at its own address."
  }
}

run "public_without_the_edge" {
  variables {
    readers = "public"
    edge    = false
  }

  assert {
    condition     = length(aws_lambda_permission.cloudfront_calls_serve_url) + length(aws_cloudcontrolapi_resource.cloudfront_invokes_serve) + length(aws_apigatewayv2_api.this) == 0
    error_message = "Without a distribution, only IAM may call serve's URL."
  }
}

run "own_key_for_the_log" {
  variables {
    readers            = "login"
    kms_key_arn        = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
    log_retention_days = 90
    oidc               = { issuer = "https://id.example.com", audiences = ["podium"] }
  }

  assert {
    condition     = aws_cloudwatch_log_group.api[0].kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.api[0].retention_in_days == 90
    error_message = "The HTTP API's log must be encrypted and kept like the others."
  }
}
