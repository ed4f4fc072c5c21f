locals {
  dashboard_dir = "${path.module}/../dashboard"

  # config.js tells the page where the API is. The file in the directory is for the local stack.
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
  #checkov:skip=CKV_AWS_18:Only CloudFront reads it, and its contents are public.
  #checkov:skip=CKV_AWS_21:The repository has every version of the files.
  #checkov:skip=CKV_AWS_144:The repository can deploy it again within a minute.
  #checkov:skip=CKV_AWS_145:The files are public; default encryption is enough.
  #checkov:skip=CKV2_AWS_6:It has one below, which checkov does not find because of count.
  #checkov:skip=CKV2_AWS_61:It holds a few unversioned files.
  #checkov:skip=CKV2_AWS_62:Nothing reacts to a new file.
  count = var.dashboard ? 1 : 0

  # Bucket names are globally unique.
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
      merge(local.tls_only, {
        Action   = "s3:*"
        Resource = [aws_s3_bucket.dashboard[0].arn, "${aws_s3_bucket.dashboard[0].arn}/*"]
      }),
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
  description                       = "Lets only CloudFront read the dashboard's files."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_response_headers_policy" "dashboard" {
  #checkov:skip=CKV_AWS_259:It meets the check except for preload, which needs a custom domain.
  count = var.dashboard ? 1 : 0

  name    = "${local.name}-dashboard"
  comment = "Security headers: the dashboard runs its own scripts and reads the boards."

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
  #checkov:skip=CKV_AWS_68:Static public files; a web application firewall would cost more than everything else.
  #checkov:skip=CKV_AWS_86:Access logs would record who reads the boards; CloudFront's metrics show errors.
  #checkov:skip=CKV_AWS_174:Without a custom domain, CloudFront's certificate fixes the protocol versions.
  #checkov:skip=CKV_AWS_310:The only origin is a bucket, which spans several zones.
  #checkov:skip=CKV_AWS_374:Employees travel, so access is not limited to some countries.
  #checkov:skip=CKV2_AWS_32:It has one above, which checkov does not find because of count.
  #checkov:skip=CKV2_AWS_42:Without a custom domain, CloudFront's certificate is used.
  #checkov:skip=CKV2_AWS_47:Static public files; a web application firewall would cost more than everything else.
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
    # AWS's managed policy "CachingOptimized", which respects the files' Cache-Control.
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
