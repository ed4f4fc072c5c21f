# Who may do what. The functions believe the context that Lambda gives them: a verified token's claims (HTTP API) or the
# signer (function URL). Function URLs are always closed: only IAM and, for public boards, CloudFront may call them.

locals {
  readers   = coalesce(var.readers, "public")
  has_login = var.oidc != null

  # The same defaults hold without login, where no token is ever seen.
  user_claim  = local.has_login ? var.oidc.user_claim : "sub"
  write_scope = local.has_login ? var.oidc.write_scope : "podium:write"
  admin_scope = local.has_login ? var.oidc.admin_scope : "podium:admin"

  # Environment variables of ingest, serve and directory.
  access_environment = {
    ACCESS         = "restricted"
    READERS        = local.readers
    SELF_REPORTING = var.self_reporting
    USER_CLAIM     = local.user_claim
    WRITE_SCOPE    = local.write_scope
    ADMIN_SCOPE    = local.admin_scope
  }

  # Policies for the roles and users that call a function URL with signed requests. AWS requires both actions. The second
  # allows an invocation through the URL only.
  url_policies = {
    for function, alias_arn in { ingest = module.ingest.alias_arn, serve = module.serve.alias_arn } : function => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "CallUrl"
          Effect    = "Allow"
          Action    = "lambda:InvokeFunctionUrl"
          Resource  = alias_arn
          Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }
        },
        {
          Sid       = "InvokeByUrl"
          Effect    = "Allow"
          Action    = "lambda:InvokeFunction"
          Resource  = alias_arn
          Condition = { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }
        },
      ]
    })
  }
}
