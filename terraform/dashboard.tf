locals {
  dashboard_dir = "${path.module}/../dashboard"

  # The page learns from config.js where the API is; the one in the directory is for one machine.
  dashboard_files = var.dashboard ? setsubtract(fileset(local.dashboard_dir, "**"), ["config.js"]) : []

  content_types = {
    html = "text/html; charset=utf-8"
    css  = "text/css; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    json = "application/json"
    svg  = "image/svg+xml"
  }

  api_origin = trimsuffix(module.serve_url.url, "/")

  content_security_policy = join("; ", [
    "default-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self' ${local.api_origin}",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ])
}

resource "aws_s3_bucket" "dashboard" {
  #checkov:skip=CKV_AWS_18:CloudFront alone reads it, and all that it holds is public.
  #checkov:skip=CKV_AWS_21:The files are in the repository, in every version.
  #checkov:skip=CKV_AWS_144:Deployed again in a minute from the repository.
  #checkov:skip=CKV_AWS_145:The files are public; S3's own encryption is enough for them.
  #checkov:skip=CKV2_AWS_6:It has one, just below; checkov does not see it where there is a count.
  #checkov:skip=CKV2_AWS_61:It holds a handful of files and no versions of them.
  #checkov:skip=CKV2_AWS_62:Nothing has to follow a new file.
  count = var.dashboard ? 1 : 0

  # Names of buckets are global.
  bucket        = "${local.name}-dashboard-${local.account_id}-${var.region}"
  force_destroy = true
  tags          = { stage = "dashboard" }
}

resource "aws_s3_bucket_public_access_block" "dashboard" {
  count = var.dashboard ? 1 : 0

  bucket                  = aws_s3_bucket.dashboard[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "dashboard" {
  count = var.dashboard ? 1 : 0

  bucket = aws_s3_bucket.dashboard[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ReadByCloudFront"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = "s3:GetObject"
        Resource  = "${aws_s3_bucket.dashboard[0].arn}/*"
        Condition = { StringEquals = { "AWS:SourceArn" = aws_cloudfront_distribution.dashboard[0].arn } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.dashboard[0].arn, "${aws_s3_bucket.dashboard[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.dashboard]
}

resource "aws_s3_object" "dashboard" {
  for_each = local.dashboard_files

  bucket        = aws_s3_bucket.dashboard[0].id
  key           = each.value
  source        = "${local.dashboard_dir}/${each.value}"
  source_hash   = filemd5("${local.dashboard_dir}/${each.value}")
  content_type  = lookup(local.content_types, reverse(split(".", each.value))[0], "application/octet-stream")
  cache_control = "no-cache"
  tags          = { stage = "dashboard" }
}

resource "aws_s3_object" "dashboard_config" {
  count = var.dashboard ? 1 : 0

  bucket        = aws_s3_bucket.dashboard[0].id
  key           = "config.js"
  content       = "export const api = ${jsonencode(local.api_origin)};\nexport const ingest = null;\n"
  content_type  = local.content_types.js
  cache_control = "no-cache"
  tags          = { stage = "dashboard" }
}

resource "aws_cloudfront_origin_access_control" "dashboard" {
  count = var.dashboard ? 1 : 0

  name                              = "${local.name}-dashboard"
  description                       = "CloudFront alone reads the files of the dashboard."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_response_headers_policy" "dashboard" {
  #checkov:skip=CKV_AWS_259:It has all that the check wants but preload, which is for domains of one's own.
  count = var.dashboard ? 1 : 0

  name    = "${local.name}-dashboard"
  comment = "What the dashboard may do: run its own scripts and read the boards."

  security_headers_config {
    content_security_policy {
      content_security_policy = local.content_security_policy
      override                = true
    }
    content_type_options {
      override = true
    }
    frame_options {
      frame_option = "DENY"
      override     = true
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

resource "aws_cloudfront_distribution" "dashboard" {
  #checkov:skip=CKV_AWS_68:Static public files; a web application firewall would cost more than all the rest.
  #checkov:skip=CKV_AWS_86:Who looks at the board is nobody's business; errors are in CloudFront's own metrics.
  #checkov:skip=CKV_AWS_174:Without a domain of one's own, CloudFront's certificate fixes the protocol versions.
  #checkov:skip=CKV_AWS_310:The one origin is a bucket, which is in several zones already.
  #checkov:skip=CKV_AWS_374:Employees travel.
  #checkov:skip=CKV2_AWS_32:It has one, just above; checkov does not see it where there is a count.
  #checkov:skip=CKV2_AWS_42:Without a domain of one's own there is CloudFront's certificate.
  #checkov:skip=CKV2_AWS_47:Static public files; a web application firewall would cost more than all the rest.
  count = var.dashboard ? 1 : 0

  comment             = "${local.name} dashboard"
  enabled             = true
  default_root_object = "index.html"
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  price_class         = "PriceClass_100"
  wait_for_deployment = false

  origin {
    origin_id                = "files"
    domain_name              = aws_s3_bucket.dashboard[0].bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.dashboard[0].id
  }

  default_cache_behavior {
    target_origin_id           = "files"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    response_headers_policy_id = aws_cloudfront_response_headers_policy.dashboard[0].id
    # AWS's own policy "CachingOptimized", which heeds the files' Cache-Control.
    cache_policy_id = "658327ea-f89d-4fab-a63d-7e88639e58f6"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }

  tags = { stage = "dashboard" }
}
