variable "stage" {
  description = "Stage of the pipeline that this function implements, such as ingest. Part of its name, and its value in metrics and tags."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the function does, in one sentence. The AWS console shows it."
  type        = string
  nullable    = false
}

variable "memory_mb" {
  description = "Memory in MB. The function's share of CPU is proportional to it."
  type        = number
  nullable    = false
}

variable "timeout_seconds" {
  description = "Maximum duration of one invocation, in seconds."
  type        = number
  nullable    = false
}

variable "reserved_concurrency" {
  description = "Reserved concurrent executions, which are also the limit of this function. -1 reserves none and sets no limit."
  type        = number
  nullable    = false
}

variable "settings" {
  description = "Settings that all functions share. The zip is at zips_dir/STAGE/bootstrap.zip. name_prefix is also the dimension Environment of the metrics. kms_key_arn encrypts the environment and the logs; null means AWS-owned keys."
  type = object({
    name_prefix              = string
    region                   = string
    account_id               = string
    zips_dir                 = string
    architecture             = string
    kms_key_arn              = optional(string)
    permissions_boundary_arn = optional(string)
    log_level                = string
    log_retention_days       = number
    tracing                  = bool
  })
  nullable = false
}

variable "environment" {
  description = "Environment variables of the function."
  type        = map(string)
  nullable    = false
}

variable "statements" {
  description = "What the function's role allows, in addition to logging and tracing."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(list(string))))
  }))
  nullable = false
}

variable "alarms" {
  description = "Description of the function's two alarms, about errors and about throttled invocations, and the ARN of the SNS topic that each notifies."
  type        = map(object({ description = string, topic_arn = string }))
  nullable    = false

  validation {
    condition     = toset(keys(var.alarms)) == toset(["errors", "throttles"])
    error_message = "alarms must have the keys errors and throttles."
  }
}

variable "alarm_period_seconds" {
  description = "Period of the alarms, in seconds. A function that runs less often than this would never fail in two periods of three."
  type        = number
  default     = 300
  nullable    = false
}

variable "after" {
  description = "Any value that is known once another function is deployed, such as the version that its alias points to. This function is deployed after it."
  type        = string
  default     = null
}
