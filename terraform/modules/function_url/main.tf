terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "function_name" {
  description = "Name of the function."
  type        = string
  nullable    = false
}

variable "alias_name" {
  description = "Name of the alias that the URL invokes."
  type        = string
  nullable    = false
}

variable "alias_arn" {
  description = "ARN of that alias, for the permission to invoke it."
  type        = string
  nullable    = false
}

variable "auth" {
  description = "Who may call the URL: AWS_IAM (callers must sign requests) or NONE (anyone)."
  type        = string
  nullable    = false
}

resource "aws_lambda_function_url" "this" {
  #checkov:skip=CKV_AWS_258:Boards are public unless serve_auth is AWS_IAM. Posting needs signed requests by default.
  function_name      = var.function_name
  qualifier          = var.alias_name
  authorization_type = var.auth
}

# Since October 2025 a public URL needs two permissions. With NONE the URL itself adds a statement, too. Lambda can lose
# one of two statements that are added to a policy at once, so each waits for the one before.
resource "aws_lambda_permission" "public_url" {
  #checkov:skip=CKV_AWS_301:Created only if the operator makes this URL public.
  count = var.auth == "NONE" ? 1 : 0

  statement_id           = "PublicUrl"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = var.function_name
  qualifier              = var.alias_name
  principal              = "*"
  function_url_auth_type = "NONE"

  depends_on = [aws_lambda_function_url.this]
}

# The second permission: to invoke the function, but only through its URL. aws_lambda_permission supports this only from
# provider version 6.29 on.
resource "aws_cloudcontrolapi_resource" "public_invocation" {
  count = var.auth == "NONE" ? 1 : 0

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
      InvokedViaFunctionUrl = { type = "boolean" }
    }
    required             = ["FunctionName", "Action", "Principal"]
    readOnlyProperties   = ["/properties/Id"]
    primaryIdentifier    = ["/properties/FunctionName", "/properties/Id"]
    createOnlyProperties = [for name in ["Action", "FunctionName", "Principal", "InvokedViaFunctionUrl"] : "/properties/${name}"]
  })
  desired_state = jsonencode({
    Action                = "lambda:InvokeFunction"
    FunctionName          = var.alias_arn
    Principal             = "*"
    InvokedViaFunctionUrl = true
  })

  depends_on = [aws_lambda_permission.public_url]
}

output "url" {
  description = "URL of the function, with a trailing slash."
  value       = aws_lambda_function_url.this.function_url
}
