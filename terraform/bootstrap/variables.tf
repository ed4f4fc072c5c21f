variable "repository" {
  description = "Repository on GitHub whose workflows deploy, as OWNER/NAME."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be OWNER/NAME, such as example/podium. A wildcard would let other repositories deploy."
  }
}

variable "environments" {
  description = "Environments that workflows deploy to, each with a role of its own. Each is a file in terraform/environments and an environment of the repository on GitHub."
  type        = set(string)
  default     = ["dev", "staging", "prod"]
  nullable    = false

  validation {
    condition     = length(var.environments) > 0 && alltrue([for name in var.environments : can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", name))])
    error_message = "environments must name at least one environment, each of 2 to 16 lower-case letters, digits and hyphens, such as dev."
  }
  validation {
    condition     = alltrue([for pair in setproduct(var.environments, var.environments) : !startswith(pair[0], "${pair[1]}-")])
    error_message = "No name in environments may begin with another one and a hyphen, such as dev and dev-2: the role of the shorter one could change the longer one."
  }
}

variable "project" {
  description = "The same as the variable project of the deployments: the first part of every resource name."
  type        = string
  default     = "podium"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.project))
    error_message = "project must be 2 to 16 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen, such as podium."
  }
}

variable "region" {
  description = "AWS region of the state bucket and of the deployments that the roles may change."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "create_oidc_provider" {
  description = "Whether to create the OIDC provider of GitHub. An account can have only one: set false if it has it already."
  type        = bool
  default     = true
  nullable    = false
}
