# The page: the files of the dashboard, which the edge serves.

locals {
  dashboard_dir = "${path.module}/../dashboard"

  # config.js tells the page who may do what, and what there is. The file in the directory is for the local stack.
  dashboard_files = var.edge ? setsubtract(fileset(local.dashboard_dir, "**"), ["config.js"]) : []

  content_types = {
    html = "text/html; charset=utf-8"
    css  = "text/css; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    json = "application/json"
    svg  = "image/svg+xml"
  }

  # Scheme, host and port of the issuer.
  issuer_origin = local.has_login ? regex("^https://[^/]+", var.oidc.issuer) : null

  content_security_policy = join("; ", [
    "default-src 'self'",
    "img-src 'self' data:",
    # The page gets its tokens from the provider.
    join(" ", concat(["connect-src 'self'"], local.has_login ? distinct(concat([local.issuer_origin], var.oidc.connect_origins)) : [])),
    "base-uri 'none'",
    "form-action 'none'",
    join(" ", concat(["frame-ancestors"], length(var.frame_ancestors) > 0 ? var.frame_ancestors : ["'none'"])),
  ])

  # Without a parameter "resource", providers that know several APIs are told which one by the audience (RFC 8707). An
  # empty value leaves a parameter out.
  login_parameters = !local.has_login ? {} : {
    for name, value in merge(
      { for audience in slice(var.oidc.audiences, 0, 1) : "resource" => audience if can(regex("^https?://", audience)) },
      var.oidc.parameters,
    ) : name => value if value != ""
  }

  login = !local.has_login ? null : {
    issuer     = var.oidc.issuer
    clientId   = var.oidc.client_id
    scope      = var.oidc.scope
    parameters = local.login_parameters
    userClaim  = var.oidc.user_claim
  }

  page_config = <<-EOT
    // How readers and posters log in; null: they do not.
    export const login = ${jsonencode(local.login)};

    // Who may read: "public" or "login".
    export const readers = ${jsonencode(local.readers)};

    // For whom this page may post: "self" (who is logged in), or null for no one.
    export const posting = ${jsonencode(var.self_reporting ? "self" : null)};

    // Whether there are quests.
    export const hasQuests = ${jsonencode(local.has_quests)};
  EOT
}

resource "aws_s3_bucket" "dashboard" {
  #checkov:skip=CKV_AWS_18:Only CloudFront reads it, and its contents are public.
  #checkov:skip=CKV_AWS_21:The repository has every version of the files.
  #checkov:skip=CKV_AWS_144:The repository can deploy it again within a minute.
  #checkov:skip=CKV_AWS_145:The files are public; default encryption is enough.
  #checkov:skip=CKV2_AWS_6:It has one below, which checkov does not find because of count.
  #checkov:skip=CKV2_AWS_61:It holds a few unversioned files.
  #checkov:skip=CKV2_AWS_62:Nothing reacts to a new file.
  count = var.edge ? 1 : 0

  # Bucket names are globally unique.
  bucket        = "${local.name}-dashboard-${local.account_id}-${var.region}"
  force_destroy = true
  tags          = { stage = "dashboard" }
}

resource "aws_s3_bucket_public_access_block" "dashboard" {
  count = var.edge ? 1 : 0

  bucket                  = aws_s3_bucket.dashboard[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "dashboard" {
  count = var.edge ? 1 : 0

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
        Condition = { StringEquals = { "AWS:SourceArn" = aws_cloudfront_distribution.edge[0].arn } }
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
  count = var.edge ? 1 : 0

  bucket        = aws_s3_bucket.dashboard[0].id
  key           = "config.js"
  content       = local.page_config
  content_type  = local.content_types.js
  cache_control = "no-cache"
  tags          = { stage = "dashboard" }
}

resource "aws_cloudfront_origin_access_control" "dashboard" {
  count = var.edge ? 1 : 0

  name                              = "${local.name}-dashboard"
  description                       = "Lets only CloudFront read the dashboard's files."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_response_headers_policy" "dashboard" {
  #checkov:skip=CKV_AWS_259:It meets the check except for preload, which needs a custom domain.
  count = var.edge ? 1 : 0

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
    # This header knows no origins. Browsers that know the policy's frame-ancestors ignore it.
    dynamic "frame_options" {
      for_each = length(var.frame_ancestors) == 0 ? [1] : []
      content {
        frame_option = "DENY"
        override     = true
      }
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
