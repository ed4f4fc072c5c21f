variable "name" {
  description = "Name of the function, its role and its log group."
  type        = string
  nullable    = false
}

variable "stage" {
  description = "Stage of an activity's way that this function is, as in its metrics and tags."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the function does, for those who look at it in the console."
  type        = string
  nullable    = false
}

variable "zip" {
  description = "Path of the zip with the function's bootstrap."
  type        = string
  nullable    = false
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
  nullable    = false
}

variable "memory_mb" {
  description = "Memory in MB."
  type        = number
  nullable    = false
}

variable "timeout_seconds" {
  description = "How long one invocation may take, in seconds."
  type        = number
  nullable    = false
}

variable "reserved_concurrency" {
  description = "Concurrency that is this function's alone and its bound; -1 for neither."
  type        = number
  nullable    = false
}

variable "environment" {
  description = "What the function reads from its environment."
  type        = map(string)
  nullable    = false
}

variable "statements" {
  description = "What the function may do beside logging and tracing."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(list(string))))
  }))
  nullable = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the environment and the logs, or null."
  type        = string
}

variable "log_level" {
  description = "Level from which the function logs."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "How long its log is kept, in days."
  type        = number
  nullable    = false
}

variable "alarm_topic_arn" {
  description = "Topic that the function's alarms are published to."
  type        = string
  nullable    = false
}

variable "alarm_descriptions" {
  description = "What the function's alarms say: about errors, and about throttled invocations."
  type = object({
    errors    = string
    throttles = string
  })
  nullable = false
}
