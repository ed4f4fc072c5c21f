# AWS WAF at the edge, if the variable waf is set. It does not see requests to the HTTP API's own address or to function
# URLs, which want a token or a signature.

resource "aws_wafv2_web_acl" "edge" {
  #checkov:skip=CKV_AWS_192:No Java is behind it.
  #checkov:skip=CKV2_AWS_31:Its logs would hold addresses and user ids. Its metrics count what each rule refuses.
  count    = var.waf == null ? 0 : 1
  provider = aws.us_east_1

  name        = local.name
  description = "Bounds what one address may ask, and refuses common attacks."
  scope       = "CLOUDFRONT"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 0

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }
    statement {
      rate_based_statement {
        limit                 = var.waf.requests_per_5_minutes
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.name}-rate"
      # Samples would hold headers, and with them tokens.
      sampled_requests_enabled = false
    }
  }

  dynamic "rule" {
    for_each = [for name in ["AWSManagedRulesCommonRuleSet"] : name if var.waf.common_rules]
    content {
      name     = "common"
      priority = 1

      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.value

          # It refuses bodies over 8 KB. Ingest takes 256 KiB, and refuses more itself.
          rule_action_override {
            name = "SizeRestrictions_BODY"
            action_to_use {
              count {}
            }
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${local.name}-common"
        sampled_requests_enabled   = false
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = local.name
    sampled_requests_enabled   = false
  }

  tags = { stage = "edge" }
}
