# A domain for the edge: with a Route 53 zone, its certificate and records are made here; else the operator brings the
# certificate and points the name at the distribution.

locals {
  zone_id         = try(var.domain.zone_id, null)
  certificate_arn = local.zone_id == null ? try(var.domain.certificate_arn, null) : one(aws_acm_certificate_validation.edge[*].certificate_arn)
}

# CloudFront takes certificates of us-east-1 only.
resource "aws_acm_certificate" "edge" {
  count    = local.zone_id == null ? 0 : 1
  provider = aws.us_east_1

  domain_name       = var.domain.name
  validation_method = "DNS"
  tags              = { stage = "edge" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "certificate" {
  count = local.zone_id == null ? 0 : 1

  zone_id         = local.zone_id
  name            = one(aws_acm_certificate.edge[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.edge[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.edge[0].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "edge" {
  count    = local.zone_id == null ? 0 : 1
  provider = aws.us_east_1

  certificate_arn         = aws_acm_certificate.edge[0].arn
  validation_record_fqdns = aws_route53_record.certificate[*].fqdn
}

resource "aws_route53_record" "edge" {
  for_each = local.zone_id == null ? toset([]) : toset(["A", "AAAA"])

  zone_id = local.zone_id
  name    = var.domain.name
  type    = each.value

  alias {
    name                   = aws_cloudfront_distribution.edge[0].domain_name
    zone_id                = aws_cloudfront_distribution.edge[0].hosted_zone_id
    evaluate_target_health = false
  }
}
