locals {
  name       = "${var.project}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id

  # What a role may use the key for, beside what it reads or writes with it. Empty without a key.
  kms_statements = var.kms_key_arn == null ? [] : [{
    sid       = "Decrypt"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }]
}

# A plan of one environment's variables against another's state would rename, and so replace, everything.
resource "terraform_data" "workspace" {
  input = var.environment

  lifecycle {
    precondition {
      condition     = contains(["default", var.environment], terraform.workspace)
      error_message = "The workspace is ${terraform.workspace}, but the environment is ${var.environment}. Use scripts/deploy, or select the workspace of that name."
    }
  }
}
