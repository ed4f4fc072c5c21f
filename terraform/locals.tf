locals {
  name       = "${var.project}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id

  # What all four functions have in common.
  function_settings = {
    name_prefix        = local.name
    zips_dir           = var.functions_dir
    architecture       = var.architecture
    kms_key_arn        = var.kms_key_arn
    log_level          = var.log_level
    log_retention_days = var.log_retention_days
  }

  # What every role needs to use encrypted tables and queues. Empty without a key.
  kms_statements = var.kms_key_arn == null ? [] : [{
    sid       = "Decrypt"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }]

  # The same as statements of a policy.
  kms_policy_statements = [for statement in local.kms_statements : {
    Sid      = statement.sid
    Effect   = "Allow"
    Action   = statement.actions
    Resource = statement.resources
  }]

  # The trust policy of a role that an AWS service assumes on behalf of this account only.
  trust_policies = {
    for service in ["pipes", "scheduler"] : service => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "${service}.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      }]
    })
  }

  # A statement of a resource policy that refuses unencrypted connections. Add Action and Resource.
  tls_only = {
    Sid       = "TlsOnly"
    Effect    = "Deny"
    Principal = "*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}

# Applying one environment's variables to another environment's state would rename, and so replace, every resource.
resource "terraform_data" "workspace" {
  input = var.environment

  lifecycle {
    precondition {
      condition     = contains(["default", var.environment], terraform.workspace)
      error_message = "The Terraform workspace is ${terraform.workspace}, but the variable environment is ${var.environment}. Run scripts/deploy ${var.environment}, or terraform workspace select ${var.environment}."
    }
  }
}
