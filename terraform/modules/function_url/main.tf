terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

variable "function_name" {
  description = "Name of the function."
  type        = string
  nullable    = false
}

variable "alias_name" {
  description = "Name of the function's alias that the URL reaches."
  type        = string
  nullable    = false
}

variable "alias_arn" {
  description = "ARN of that alias."
  type        = string
  nullable    = false
}

variable "auth" {
  description = "AWS_IAM, or NONE for a URL that anyone may call."
  type        = string
  nullable    = false
}

resource "aws_lambda_function_url" "this" {
  #checkov:skip=CKV_AWS_258:Boards are public as in the demonstration, unless serve_auth closes them; posting is closed by default.
  function_name      = var.function_name
  qualifier          = var.alias_name
  authorization_type = var.auth
}

# Since October 2025 a public URL needs two permissions.
resource "aws_lambda_permission" "public_url" {
  #checkov:skip=CKV_AWS_301:There only where the deployment says that anyone may call this URL.
  count = var.auth == "NONE" ? 1 : 0

  statement_id           = "PublicUrl"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = var.function_name
  qualifier              = var.alias_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

# The second one, to invoke by way of the URL only. aws_lambda_permission can say so from version 6.29 of the
# provider on; this says it with every version.
resource "aws_cloudcontrolapi_resource" "public_invocation" {
  count = var.auth == "NONE" ? 1 : 0

  type_name = "AWS::Lambda::Permission"
  # What of the type is used here. Without it every plan would ask AWS for the whole.
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
}

output "url" {
  description = "Address of the function, with a slash at its end."
  value       = aws_lambda_function_url.this.function_url
}
