# What is deployed, and where

variable "environment" {
  description = "Name of this deployment, such as dev or prod. Part of every resource's name, so that several live side by side."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.environment))
    error_message = "environment must be 2 to 16 of a-z, 0-9 and -, begin with a letter and not end with -."
  }
}

variable "project" {
  description = "First part of every resource's name, and the value of the tag project."
  type        = string
  default     = "podium"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.project))
    error_message = "project must be 2 to 16 of a-z, 0-9 and -, begin with a letter and not end with -."
  }
}

variable "region" {
  description = "AWS region of everything but the dashboard's CDN, which is global."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "functions_dir" {
  description = "Directory with the functions' zips, FUNCTION/bootstrap.zip, as scripts/build makes them."
  type        = string
  default     = "../target/lambda"
  nullable    = false
}

variable "architecture" {
  description = "Instruction set of the functions; the zips must be built for the same."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "emulated" {
  description = "Whether AWS is emulated at the address in AWS_ENDPOINT_URL. Only for tests."
  type        = bool
  default     = false
  nullable    = false
}

variable "role_propagation_seconds" {
  description = "How long a new role is given to be known everywhere in AWS, before the pipe is made that needs it."
  type        = number
  default     = 15
  nullable    = false

  validation {
    condition     = var.role_propagation_seconds >= 0 && var.role_propagation_seconds <= 300 && floor(var.role_propagation_seconds) == var.role_propagation_seconds
    error_message = "role_propagation_seconds must be a whole number from 0 to 300."
  }
}

# What is counted

variable "time_zone" {
  description = "IANA name of the time zone in which days, weeks and months begin."
  type        = string
  default     = "UTC"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", var.time_zone))
    error_message = "time_zone must be an IANA name, such as Europe/Berlin or UTC."
  }
}

variable "scoring_policy" {
  description = "Points per kind of activity, in versions by effective_from (RFC 3339). An activity gets the points of the version in force when it occurred."
  type = list(object({
    effective_from = string
    points         = map(number)
  }))
  default = [{
    effective_from = "1970-01-01T00:00:00Z"
    points = {
      task_completed     = 10
      program_check_in   = 5
      learning_milestone = 25
    }
  }]
  nullable = false

  validation {
    condition     = length(var.scoring_policy) > 0 && alltrue([for version in var.scoring_policy : length(version.points) > 0])
    error_message = "scoring_policy must have at least one version, and each version at least one kind."
  }
  validation {
    condition     = alltrue([for version in var.scoring_policy : can(timeadd(version.effective_from, "0s"))])
    error_message = "effective_from in scoring_policy must be a time such as 2026-01-01T00:00:00Z."
  }
  validation {
    condition = alltrue([
      for at, version in var.scoring_policy :
      at == 0 || try(timecmp(var.scoring_policy[at - 1].effective_from, version.effective_from) < 0, true)
    ])
    error_message = "The versions of scoring_policy must be in order of effective_from, without repeats."
  }
  validation {
    condition = alltrue(flatten([
      for version in var.scoring_policy : [for kind in keys(version.points) : can(regex("^[a-z0-9_-]{1,64}$", kind))]
    ]))
    error_message = "A kind in scoring_policy must be 1 to 64 of a-z, 0-9, _ and -."
  }
  validation {
    condition = alltrue(flatten([
      for version in var.scoring_policy : [for points in values(version.points) : points >= 0 && points <= 1000000 && floor(points) == points]
    ]))
    error_message = "Points in scoring_policy must be whole numbers from 0 to 1,000,000."
  }
  validation {
    # Lambda allows a function 4 KB of environment, all names and values together.
    condition     = length(jsonencode(var.scoring_policy)) <= 2800
    error_message = "scoring_policy must be at most 2,800 bytes as JSON: a function's whole environment has 4 KB."
  }
}

variable "max_activity_age_days" {
  description = "How far back an activity may have occurred, in days; null for no limit."
  type        = number
  default     = 31

  validation {
    condition     = var.max_activity_age_days == null || try(var.max_activity_age_days >= 1 && var.max_activity_age_days <= 36525 && floor(var.max_activity_age_days) == var.max_activity_age_days, false)
    error_message = "max_activity_age_days must be a whole number from 1 to 36,525, or null."
  }
}

variable "marker_lifetime_days" {
  description = "How long it is remembered that an activity is counted. Longer than the longest redelivery: 14 days in the queue, 14 as a dead letter, 14 after a redrive."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.marker_lifetime_days >= 43 && var.marker_lifetime_days <= 3650 && floor(var.marker_lifetime_days) == var.marker_lifetime_days
    error_message = "marker_lifetime_days must be a whole number from 43 to 3,650: a message can come back after 14 + 14 + 14 days."
  }
}

variable "standing_shards" {
  description = "Partitions that the standings are spread over. Fixed for the life of a deployment: changed later, it hides every standing there is."
  type        = number
  default     = 32
  nullable    = false

  validation {
    condition     = var.standing_shards >= 1 && var.standing_shards <= 1000 && floor(var.standing_shards) == var.standing_shards
    error_message = "standing_shards must be a whole number from 1 to 1,000."
  }
}

variable "batching" {
  description = "How the aggregator takes messages: prompt (10 at once, without waiting) or thrifty (up to 500, waiting up to a second, which costs less)."
  type        = string
  default     = "thrifty"
  nullable    = false

  validation {
    condition     = contains(["prompt", "thrifty"], var.batching)
    error_message = "batching must be prompt or thrifty."
  }
}

# What is published

variable "snapshot_every_minutes" {
  description = "How often the boards are published, in minutes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.snapshot_every_minutes >= 1 && var.snapshot_every_minutes <= 60 && floor(var.snapshot_every_minutes) == var.snapshot_every_minutes
    error_message = "snapshot_every_minutes must be a whole number from 1 to 60."
  }
}

variable "listed_users" {
  description = "How many users of a board are listed. Everyone has an exact rank all the same."
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.listed_users >= 1 && var.listed_users <= 1000000 && floor(var.listed_users) == var.listed_users
    error_message = "listed_users must be a whole number from 1 to 1,000,000."
  }
}

variable "stale" {
  description = "When a board says that it is stale: after so many missing snapshots, at so many seconds of lag, or with so many messages waiting."
  type = object({
    after_snapshots = optional(number, 3)
    lag_seconds     = optional(number, 120)
    backlog         = optional(number, 10000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for bound in values(var.stale) : bound >= 1 && bound <= 1000000 && floor(bound) == bound])
    error_message = "Each bound in stale must be a whole number from 1 to 1,000,000."
  }
  validation {
    condition     = var.stale.after_snapshots >= 2
    error_message = "stale.after_snapshots must be 2 or more: a snapshot that is a moment late is not stale."
  }
}

# Who may reach it

variable "ingest_auth" {
  description = "Who may post activities: AWS_IAM (requests signed by a principal that may invoke the URL) or NONE (anyone)."
  type        = string
  default     = "AWS_IAM"
  nullable    = false

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.ingest_auth)
    error_message = "ingest_auth must be AWS_IAM or NONE."
  }
}

variable "serve_auth" {
  description = "Who may read boards: NONE (anyone, as the dashboard needs) or AWS_IAM (signed requests)."
  type        = string
  default     = "NONE"
  nullable    = false

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.serve_auth)
    error_message = "serve_auth must be AWS_IAM or NONE."
  }
}

variable "allowed_origin" {
  description = "Origin whose pages may read the boards (CORS), such as https://intranet.example.com, or * for any."
  type        = string
  default     = "*"
  nullable    = false

  validation {
    condition     = can(regex("^(\\*|https?://[A-Za-z0-9.-]+(:[0-9]+)?)$", var.allowed_origin))
    error_message = "allowed_origin must be * or an origin such as https://intranet.example.com, without a path."
  }
}

variable "dashboard" {
  description = "Whether the dashboard is deployed, to S3 behind CloudFront."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = !var.dashboard || var.serve_auth == "NONE"
    error_message = "dashboard reads the boards from a browser, which cannot sign requests: set dashboard = false, or serve_auth = \"NONE\"."
  }
}

# How the functions run

variable "reserve_concurrency" {
  description = "Whether each function has a share of the account's concurrency of its own, so that no stage takes another's. A new account's limit of 10 does not allow it."
  type        = bool
  default     = true
  nullable    = false
}

variable "function_concurrency" {
  description = "Most invocations of a function at once. Without reserve_concurrency only the aggregator's holds."
  type = object({
    ingest     = optional(number, 20)
    aggregator = optional(number, 4)
    serve      = optional(number, 20)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for concurrency in values(var.function_concurrency) : concurrency >= 1 && concurrency <= 1000 && floor(concurrency) == concurrency])
    error_message = "Each of function_concurrency must be a whole number from 1 to 1,000."
  }
  validation {
    condition     = var.function_concurrency.aggregator >= 2
    error_message = "function_concurrency.aggregator must be 2 or more, the least that SQS allows a mapping."
  }
}

variable "function_memory_mb" {
  description = "Memory of each function in MB; its share of CPU follows from it. A snapshot needs 220 MB for a million standings."
  type = object({
    ingest     = optional(number, 256)
    aggregator = optional(number, 256)
    snapshot   = optional(number, 512)
    serve      = optional(number, 256)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for memory in values(var.function_memory_mb) : memory >= 128 && memory <= 10240 && floor(memory) == memory])
    error_message = "Each of function_memory_mb must be a whole number from 128 to 10,240."
  }
}

variable "log_level" {
  description = "Level from which the functions log."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.log_level)
    error_message = "log_level must be TRACE, DEBUG, INFO, WARN or ERROR."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or one of its longer ones."
  }
}

# How the data is kept

variable "kms_key_arn" {
  description = "KMS key that encrypts tables, queues, logs and alarms; null for AWS's own keys. Its policy must let CloudWatch, CloudWatch Logs and EventBridge use it."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not of an alias), or null."
  }
}

variable "deletion_protection" {
  description = "Whether the tables refuse to be deleted. Has to be turned off, by an apply of its own, before a destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "point_in_time_recovery" {
  description = "Whether the table of activities, from which all else can be rebuilt, can be restored to any second of the last 35 days."
  type        = bool
  default     = true
  nullable    = false
}

# Who is told

variable "alarm_email" {
  description = "Address that alarms and the budget are mailed to; null for none. AWS asks it to confirm."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address, or null."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget in US dollars of what carries this deployment's environment tag; null for none. The tag has to be activated for cost allocation."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null || try(var.monthly_budget_usd > 0, false)
    error_message = "monthly_budget_usd must be more than 0, or null."
  }
  validation {
    condition     = var.monthly_budget_usd == null || var.alarm_email != null
    error_message = "monthly_budget_usd needs alarm_email, the address that is told."
  }
}

variable "runbook_url" {
  description = "Where the runbook is read, as a path in the repository or as an address; alarms link into it."
  type        = string
  default     = "docs/RUNBOOK.md"
  nullable    = false

  validation {
    condition     = can(regex("^[^#[:space:]]+$", var.runbook_url))
    error_message = "runbook_url must be without spaces and without a fragment."
  }
  validation {
    condition     = length(var.runbook_url) <= 300
    error_message = "runbook_url must be at most 300 characters: it stands in the alarms' descriptions, for which CloudWatch has 1,024."
  }
}
