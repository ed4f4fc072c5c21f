# What is deployed and where

variable "environment" {
  description = "Name of this deployment, such as dev or prod: 2 to 16 characters. It is part of every resource name, so one account can hold several deployments."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.environment))
    error_message = "environment must be 2 to 16 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen, such as dev or team-a."
  }
}

variable "project" {
  description = "First part of every resource name and the value of the tag project: 2 to 16 characters. Changing it later replaces every resource, including the tables."
  type        = string
  default     = "podium"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.project))
    error_message = "project must be 2 to 16 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen, such as podium."
  }
}

variable "region" {
  description = "AWS region of all resources except the edge: CloudFront is global, and its certificate and firewall are in us-east-1."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "functions_dir" {
  description = "Directory that holds the zip of each function at FUNCTION/bootstrap.zip. The default is where scripts/build puts them."
  type        = string
  default     = "../target/lambda"
  nullable    = false
}

variable "architecture" {
  description = "Instruction set of the functions: arm64 (cheaper, hence the default) or x86_64. The zips must be built for the same one."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be \"arm64\" or \"x86_64\"."
  }
}

variable "emulated" {
  description = "Whether an emulator at AWS_ENDPOINT_URL replaces AWS. For tests only."
  type        = bool
  default     = false
  nullable    = false
}

variable "role_propagation_seconds" {
  description = "Time in seconds, 0 to 300, for a new or changed IAM policy to propagate before the pipe that needs it is created. 15 was too short for some accounts, and 90 was enough."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.role_propagation_seconds >= 0 && var.role_propagation_seconds <= 300 && floor(var.role_propagation_seconds) == var.role_propagation_seconds
    error_message = "role_propagation_seconds must be a whole number from 0 to 300, such as 120."
  }
}

# What is counted

variable "time_zone" {
  description = "IANA name of the time zone in which days, weeks, months and seasons begin. A change takes effect with `podium rebuild run`."
  type        = string
  default     = "UTC"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", var.time_zone))
    error_message = "time_zone must be the IANA name of a time zone, such as Europe/Berlin or UTC."
  }
}

variable "scoring_policy" {
  description = <<-EOT
    What each kind of activity is worth, in versions ordered by effective_from (RFC 3339). An activity gets the points of the version that was in force when it occurred. A version names 1 to 100 kinds in points, each with one of these:
      task_completed = 10                                   # points: a whole number from 0 to 1,000,000
      check_in       = { points = 5, max_per_day = 10 }     # at most 10 points a day, 1 to 1,000,000
      steps_walked   = { per = 1000, points = 1, max = 20 } # a point for every 1,000 (1 to 1,000,000,000,000) of the activity's quantity, at most 20
      kudos_received = { given = { max = 50 } }             # the points that a trusted client sends with the activity, at most 50
    max beside per may be left out. max_per_day may stand beside per and given, too: it holds for each person, program, kind and day of occurred_at. titles, if a version has it, names kinds for people in 1 to 80 characters, such as { steps_walked = "Steps walked" }.
    A new kind is known to the aggregator before ingest accepts it. A change of what a kind was already worth, and the removal of a kind, take effect with `podium rebuild run`.
  EOT
  # No other type holds numbers beside objects, and versions that differ in them. The validations check what a type would.
  type = any
  default = [{
    effective_from = "1970-01-01T00:00:00Z"
    points = {
      task_completed     = 10
      program_check_in   = 5
      learning_milestone = 25
    }
  }]
  nullable = false

  # A validation passes values whose form another one refuses, so that a mistake gets one message as a rule.
  validation {
    condition     = can(var.scoring_policy[0])
    error_message = "scoring_policy must be a list of at least one version, such as [{ effective_from = \"1970-01-01T00:00:00Z\", points = { task_completed = 10 } }]."
  }
  validation {
    condition = try(alltrue([
      for version in var.scoring_policy : try(
        can(keys(version.points)) && (try(version.titles, null) == null || can(keys(version.titles))) &&
        length(setsubtract([for name, value in version : name if value != null], ["effective_from", "points", "titles"])) == 0,
        false,
      )
    ]), true)
    error_message = "Each version in scoring_policy must have effective_from, points (a map) and, if wanted, titles (a map), and nothing else, such as { effective_from = \"1970-01-01T00:00:00Z\", points = { task_completed = 10 } }."
  }
  validation {
    condition     = try(alltrue([for version in var.scoring_policy : can(timeadd(version.effective_from, "0s"))]), true)
    error_message = "Each effective_from in scoring_policy must be an RFC 3339 time, such as 2026-01-01T00:00:00Z."
  }
  validation {
    condition = try(alltrue([
      for at, version in var.scoring_policy :
      at == 0 || try(timecmp(var.scoring_policy[at - 1].effective_from, version.effective_from) < 0, true)
    ]), true)
    error_message = "The versions in scoring_policy must be sorted by effective_from, oldest first, and no two may have the same time."
  }
  validation {
    condition     = try(alltrue([for version in var.scoring_policy : try(length(version.points) >= 1 && length(version.points) <= 100, true)]), true)
    error_message = "points in each version of scoring_policy must name 1 to 100 kinds, such as { task_completed = 10 }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [for kind in keys(version.points) : can(regex("^[a-z0-9_-]{1,64}$", kind))]
    ])), true)
    error_message = "Each kind in scoring_policy must be 1 to 64 lower-case letters, digits, underscores and hyphens, such as task_completed."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) : worth != null && (can(tonumber(worth)) || try(contains([
          "points", "max_per_day points",
          "per points", "max per points", "max_per_day per points", "max max_per_day per points",
          "given", "given max_per_day",
        ], join(" ", [for name, value in worth : name if value != null])), false))
      ]
    ])), true)
    error_message = "Each kind in scoring_policy must be worth a number, such as 10, or one of { points }, { per, points } with max or not, and { given }, each with max_per_day or not, without any other member."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) : try(worth.given, null) == null || try([for name, value in worth.given : name if value != null] == ["max"], false)
      ]
    ])), true)
    error_message = "given in scoring_policy must have max, the most points that an activity may come with, and nothing else, such as { given = { max = 50 } }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) : try(worth.points, null) == null ? (
          try(worth >= 0 && worth <= 1000000 && worth % 1 == 0, true)
        ) : try(worth.points >= 0 && worth.points <= 1000000 && worth.points % 1 == 0, false)
      ]
    ])), true)
    error_message = "All points in scoring_policy must be whole numbers from 0 to 1,000,000, such as 10."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) :
        try(worth.per, null) == null || try(worth.per >= 1 && worth.per <= 1000000000000 && worth.per % 1 == 0, false)
      ]
    ])), true)
    error_message = "Each per in scoring_policy must be a whole number from 1 to 1,000,000,000,000, such as { per = 1000, points = 1 }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) : [
          for most in [try(worth.max, null), try(worth.given.max, null)] :
          most == null || try(most >= 0 && most <= 1000000 && most % 1 == 0, false)
        ]
      ]
    ])), true)
    error_message = "Each max in scoring_policy, also that in given, must be a whole number from 0 to 1,000,000, such as { given = { max = 50 } }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : [
        for worth in values(version.points) : try(worth.max_per_day, null) == null || try(
          worth.max_per_day >= 1 && worth.max_per_day <= 1000000 && worth.max_per_day % 1 == 0, false
        )
      ]
    ])), true)
    error_message = "Each max_per_day in scoring_policy must be a whole number from 1 to 1,000,000, such as { points = 5, max_per_day = 10 }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : try([for kind in keys(version.titles) : contains(keys(version.points), kind)], [])
    ])), true)
    error_message = "titles in scoring_policy must be of kinds that the same version has in points, such as { points = { task_completed = 10 }, titles = { task_completed = \"Tasks\" } }."
  }
  validation {
    condition = try(alltrue(flatten([
      for version in var.scoring_policy : try([
        for title in values(version.titles) : title == null || can(regex("^[^[:cntrl:]]{1,80}$", title)) && try(trimspace(title) != "", false)
      ], [])
    ])), true)
    error_message = "Each title in scoring_policy must be 1 to 80 characters without control characters, such as \"Task completed\"."
  }
  validation {
    # Lambda limits a function's environment to 4 KB, all names and values together. Base64 shows the bytes: length counts
    # characters, of which a title may have some of several bytes.
    condition     = floor(length(trim(base64encode("${jsonencode(var.scoring_policy)}${jsonencode(var.seasons)}"), "=")) * 3 / 4) <= 2800
    error_message = "scoring_policy and seasons must be at most 2,800 bytes together as JSON, because Lambda limits a function's environment to 4 KB. Remove old versions, kinds or seasons."
  }
}

variable "legacy" {
  description = <<-EOT
    The system that people move in from, while both run (docs/MIGRATION.md), or null: the prefix of its tables, the ARN of the stream (NEW_IMAGE) of its table of events, in this account and region, and, for other tables than those of the published system, the content of the mapping that podium migrate plan wrote. Such as
      { prefix = "edl-prod", stream_arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/edl-prod-Activities/stream/2026-01-01T00:00:00.000" }
    A stream has two readers at most, and this is one of them.
  EOT
  type = object({
    prefix     = string
    stream_arn = string
    mapping    = optional(string)
  })
  default = null

  validation {
    condition     = var.legacy == null ? true : can(regex("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}$", var.legacy.prefix))
    error_message = "prefix in legacy must be the beginning of the names of tables, such as edl-prod for edl-prod-Activities."
  }
  validation {
    condition     = var.legacy == null ? true : can(regex("^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]+/stream/.+$", var.legacy.stream_arn))
    error_message = "stream_arn in legacy must be the ARN of a table's stream: aws dynamodb describe-table --table-name edl-prod-Activities --query Table.LatestStreamArn."
  }
  validation {
    condition     = try(var.legacy.mapping == null ? true : can(keys(jsondecode(var.legacy.mapping).map)) && length(var.legacy.mapping) <= 2000, var.legacy == null)
    error_message = "mapping in legacy must be the JSON that podium migrate plan wrote, with table and map, of at most 2,000 characters."
  }
}

variable "event_mapping" {
  description = <<-EOT
    Which fields of an activity CloudEvents and EventBridge events have, by their type (detail-type of EventBridge). The data (or detail) of types without an entry are an activity as the API takes it. Such as
      { "com.example.course.completed" = { map = { user_id = "data.learner.id", program_id = "data.course" }, set = { kind = "learning_milestone" } } }
    map takes a field from a path that begins with data., or is id, source, type, subject or time; set gives it the same value in every event. The fields are those of the API except activity_id, and metadata.NAME.
  EOT
  type = map(object({
    map = optional(map(string), {})
    set = optional(map(string), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.event_mapping) <= 100 && alltrue([for mapping in values(var.event_mapping) : length(mapping.map) + length(mapping.set) <= 20])
    error_message = "event_mapping must have at most 100 types, each with at most 20 fields."
  }
  validation {
    condition = alltrue(flatten([
      for mapping in values(var.event_mapping) : [
        for field in concat(keys(mapping.map), keys(mapping.set)) :
        can(regex("^(user_id|program_id|kind|quantity|points|occurred_at|metadata\\..+)$", field))
      ]
    ]))
    error_message = "The fields in event_mapping must be user_id, program_id, kind, quantity, points, occurred_at or metadata.NAME. The activity_id is made of the source and the id of the event."
  }
  validation {
    condition = alltrue([
      for mapping in values(var.event_mapping) :
      length(setsubtract(["user_id", "program_id", "kind"], concat(keys(mapping.map), keys(mapping.set)))) == 0 &&
      length(setintersection(keys(mapping.map), keys(mapping.set))) == 0
    ])
    error_message = "Each type in event_mapping must have user_id, program_id and kind, each field either in map or in set."
  }
  validation {
    condition = alltrue(flatten([
      for mapping in values(var.event_mapping) : [
        for path in values(mapping.map) : can(regex("^(data\\..+|id|source|type|subject|time)$", path))
      ]
    ]))
    error_message = "Each path in map of event_mapping must begin with data., or be id, source, type, subject or time, such as data.learner.id."
  }
  validation {
    condition = alltrue(flatten([
      for mapping in values(var.event_mapping) : [
        for field, value in mapping.set : (
          field == "kind" ? can(regex("^[a-z0-9_-]{1,64}$", value)) :
          contains(["user_id", "program_id"], field) ? can(regex("^[!#-;=?-\\[\\]-}][!#-;=?-\\[\\]-~]{0,127}$", value)) && !contains([".", ".."], value) :
          contains(["quantity", "points"], field) ? can(regex("^[0-9]{1,13}$", value)) :
          field != "occurred_at"
        )
      ]
    ]))
    error_message = "set in event_mapping must have valid values: a kind of lower-case letters, digits, underscores and hyphens, ids as the API takes them, whole numbers for quantity and points, and not occurred_at, which differs from event to event."
  }
  validation {
    condition     = floor(length(trim(base64encode("${jsonencode(var.scoring_policy)}${jsonencode(var.event_mapping)}"), "=")) * 3 / 4) <= 2800
    error_message = "scoring_policy and event_mapping must be at most 2,800 bytes together as JSON, because Lambda limits a function's environment to 4 KB. Remove old versions, kinds or types."
  }
}

variable "event_bus" {
  description = <<-EOT
    An EventBridge bus of this account and region whose events become activities, or null for none: its name, and a pattern in JSON that chooses events, such as
      { name = "learning", pattern = "{ \"source\": [\"com.example.lms\"] }" }
    The detail of an event is an activity, or is mapped to one by event_mapping. An event is counted once, by its source and id.
  EOT
  type = object({
    name    = string
    pattern = string
  })
  default = null

  validation {
    condition     = var.event_bus == null || can(regex("^[A-Za-z0-9/._-]{1,256}$", var.event_bus.name))
    error_message = "name in event_bus must be the name of a bus in this account and region, such as default, and not an ARN."
  }
  validation {
    condition     = var.event_bus == null || can(keys(jsondecode(var.event_bus.pattern))) && try(length(jsondecode(var.event_bus.pattern)) > 0 && length(var.event_bus.pattern) <= 2048, false)
    error_message = "pattern in event_bus must be a JSON object of at most 2,048 characters that chooses events, such as { \"source\": [\"com.example.lms\"] } with each quote escaped."
  }
}

variable "seasons" {
  description = <<-EOT
    Windows of your own, at most 20, which do not overlap: each with an id, its first and last day in time_zone, and perhaps a title, such as
      { id = "autumn-2026", title = "Autumn", first_day = "2026-09-01", last_day = "2026-11-30" }
    A season can be added, changed or removed until its first day. After that its title may change at any time; another first or last day takes effect with `podium rebuild run`.
  EOT
  type = list(object({
    id        = string
    title     = optional(string)
    first_day = string
    last_day  = string
  }))
  default  = []
  nullable = false

  validation {
    condition     = length(var.seasons) <= 20
    error_message = "seasons must have at most 20 entries. Remove old ones, whose boards are kept, with the next rebuild."
  }
  validation {
    condition = alltrue([
      for season in var.seasons :
      can(regex("^[a-z0-9_-]{1,32}$", season.id)) && try(!contains(["all", "month", "week", "day", "season"], season.id), false)
    ])
    error_message = "Each id in seasons must be 1 to 32 lower-case letters, digits, underscores and hyphens, such as autumn-2026, and not all, month, week, day or season."
  }
  validation {
    condition     = length(distinct(var.seasons[*].id)) == length(var.seasons)
    error_message = "Each season must have an id of its own."
  }
  validation {
    condition = alltrue([
      for season in var.seasons :
      season.title == null || can(regex("^[^[:cntrl:]]{1,80}$", season.title)) && try(trimspace(season.title) != "", false)
    ])
    error_message = "Each title in seasons must be 1 to 80 characters without control characters, such as \"Autumn\"."
  }
  validation {
    condition = alltrue(flatten([
      for season in var.seasons : [
        for day in [season.first_day, season.last_day] : try(formatdate("YYYY-MM-DD", "${day}T00:00:00Z") == day, false)
      ]
    ]))
    error_message = "first_day and last_day in seasons must be days such as 2026-09-01."
  }
  validation {
    condition     = try(alltrue([for season in var.seasons : timecmp("${season.first_day}T00:00:00Z", "${season.last_day}T00:00:00Z") <= 0]), true)
    error_message = "last_day in seasons must not be before first_day."
  }
  validation {
    condition = try(alltrue(flatten([
      for at, season in var.seasons : [
        for other in slice(var.seasons, 0, at) :
        timecmp("${season.last_day}T00:00:00Z", "${other.first_day}T00:00:00Z") < 0 || timecmp("${other.last_day}T00:00:00Z", "${season.first_day}T00:00:00Z") < 0
      ]
    ])), true)
    error_message = "seasons must not overlap: each must begin after the last_day of the one before."
  }
}

variable "quests" {
  description = <<-EOT
    Rules over a person's activities, and the coins for fulfilling them: at most 200 objects with the fields of README's section on quests, which `podium quests check FILE` explains in words, such as
      { id = "explorer", version = 1, title = "Three programs in a month", coin = { name = "Compass", value = 40 }, per = "month",
        rule = { distinct = { of = {}, field = "program_id", at_least = 3 } } }
    The content of an id and version must not change once it is deployed: raise the version, which gives new coins. A quest that is removed gives no more coins, and those that were found stay. Without any quest, the tables of coins and progress are not there: to end the last one, set its ends_at rather than remove it.
  EOT
  # No other type holds rules of different forms. The validations check what a type would, and the functions the rest.
  type     = any
  default  = []
  nullable = false

  # A validation passes values whose form another one refuses, so that a mistake gets one message as a rule.
  validation {
    condition     = try(length(var.quests) <= 200, false) && !can(keys(var.quests)) && !can(tostring(var.quests))
    error_message = "quests must be a list of at most 200 objects, such as [{ id = \"starter\", version = 1, title = \"First task\", coin = { name = \"Seed\", value = 1 }, per = \"once\", rule = { count = { of = {}, at_least = 1 } } }]."
  }
  validation {
    condition = try(alltrue([
      for quest in var.quests : try(
        length(setsubtract(["id", "version", "title", "coin", "per", "rule"], [for name, value in quest : name if value != null])) == 0 &&
        length(setsubtract(keys(quest), ["id", "version", "title", "coin", "starts_at", "ends_at", "per", "rule", "within", "supply"])) == 0,
        false,
      )
    ]), true)
    error_message = "Each quest in quests must have id, version, title, coin, per and rule and, if wanted, starts_at, ends_at, within and supply, and nothing else."
  }
  validation {
    condition     = try(alltrue([for quest in var.quests : try(can(regex("^[!#-;=?-\\[\\]-}][!#-;=?-\\[\\]-~]{0,127}$", quest.id)) && !contains([".", ".."], quest.id), true)]), true)
    error_message = "Each id in quests must be 1 to 128 ASCII letters, digits and punctuation except \" \\ < >, not begin with ~ and not be . or .., such as explorer."
  }
  validation {
    condition     = try(length(distinct(var.quests[*].id)) == length(var.quests), true)
    error_message = "Each quest in quests must have an id of its own."
  }
  validation {
    # As JSON a text is in quotes, even if Terraform would take it for a number.
    condition = try(alltrue([
      for quest in var.quests : try(can(regex("^[0-9]+$", jsonencode(quest.version))) && quest.version >= 1 && quest.version <= 1000000, true)
    ]), true)
    error_message = "Each version in quests must be a whole number from 1 to 1,000,000, such as 1."
  }
  validation {
    condition = try(alltrue(flatten([
      for quest in var.quests : [
        for text in [quest.title, try(quest.coin.name, null)] :
        text == null || try(trimspace(text) != "" && can(regex("^[^[:cntrl:]]{1,80}$", trimspace(text))), false)
      ]
    ])), true)
    error_message = "Each title in quests, and each name of a coin, must be 1 to 80 characters without control characters, such as \"Three programs in a month\"."
  }
  validation {
    condition = try(alltrue([
      for quest in var.quests : try(
        join(" ", keys(quest.coin)) == "name value" && can(regex("^[0-9]+$", jsonencode(quest.coin.value))) && quest.coin.value <= 1000000,
        try(quest.coin, null) == null,
      )
    ]), true)
    error_message = "Each coin in quests must have a name and a value, a whole number from 0 to 1,000,000, and nothing else, such as { name = \"Compass\", value = 40 }."
  }
  validation {
    condition = try(alltrue(flatten([
      for quest in var.quests : [
        for time in [try(quest.starts_at, null), try(quest.ends_at, null)] : time == null || can(timeadd(time, "0s"))
      ]
    ])), true)
    error_message = "Each starts_at and ends_at in quests must be an RFC 3339 time, such as 2026-12-01T00:00:00Z."
  }
  validation {
    condition     = try(alltrue([for quest in var.quests : try(timecmp(quest.starts_at, quest.ends_at) < 0, true)]), true)
    error_message = "ends_at in quests must be after starts_at."
  }
  validation {
    condition     = try(alltrue([for quest in var.quests : try(contains(["once", "day", "week", "month", "program"], quest.per), true)]), true)
    error_message = "Each per in quests must be once, day, week, month or program."
  }
  validation {
    condition = try(alltrue([
      for quest in var.quests : try(quest.rule, null) == null || try(contains(
        ["all", "ordered", "count", "distinct", "points", "streak"],
        join(" ", [for form, value in quest.rule : form if value != null]),
      ), false)
    ]), true)
    error_message = "Each rule in quests must have exactly one of all, ordered, count, distinct, points and streak, such as { count = { of = {}, at_least = 10 } }."
  }
  validation {
    condition = try(alltrue(flatten([
      for quest in var.quests : [
        for form, content in try(quest.rule, {}) : content == null || try(
          contains(["all", "ordered"], form) ? length(content) >= 1 && length(content) <= 20 && can(content[0]) : join(" ", keys(content)) == {
            count = "at_least of", points = "at_least of", distinct = "at_least field of", streak = "at_least of unit"
          }[form],
          !contains(["all", "ordered", "count", "points", "distinct", "streak"], form),
        )
      ]
    ])), true)
    error_message = "In quests, all and ordered must be lists of 1 to 20 matchers, count and points must have of and at_least, distinct of, field and at_least, and streak of, unit and at_least, and nothing else."
  }
  validation {
    condition = try(alltrue([
      for quest in var.quests : try(quest.within, null) == null || try(can(regex("^[0-9]{1,5}[hd]$", quest.within)) && !can(quest.rule.streak.of), false)
    ]), true)
    error_message = "Each within in quests must be hours or days, such as \"36h\" or \"7d\", and a quest with a streak must have none."
  }
  validation {
    condition = try(alltrue([
      for quest in var.quests : try(quest.supply, null) == null || try(can(regex("^[0-9]+$", jsonencode(quest.supply))) && quest.supply >= 1 && quest.supply <= 1000000, false)
    ]), true)
    error_message = "Each supply in quests must be a whole number from 1 to 1,000,000, such as 100."
  }
  validation {
    # DynamoDB limits an item to 400 KB. Base64 has four characters for three bytes.
    condition     = length(base64gzip(jsonencode(var.quests))) * 3 / 4 <= 380000
    error_message = "quests must be at most 380,000 bytes after compression, because they are one item of a DynamoDB table. Remove quests that are over."
  }
}

variable "facts_topic" {
  description = "Whether new facts are published to an SNS topic, as CloudEvents whose data is the item as DynamoDB writes it, for subscribers of yours. With quests there is a topic anyway. A table's stream has two readers at most, and the topic is the second one."
  type        = bool
  default     = false
  nullable    = false
}

variable "webhooks" {
  description = <<-EOT
    Who is told of coins that are issued or revoked, at most 5, by an id of 1 to 20 characters of a-z 0-9 -: the https address that gets each event as a CloudEvent, and the ARN of the secret in Secrets Manager that signs them as Standard Webhooks specifies, such as
      { crm = { url = "https://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:podium/crm-AbCdEf" } }
    The secret's text is whsec_ and base64; while it is replaced, both the new and the old one, with a blank between them. Events have the ids of people, also of those who are anonymous or hidden on boards.
  EOT
  type        = map(object({ url = string, secret_arn = string }))
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.webhooks) <= 5 && alltrue([for id in keys(var.webhooks) : can(regex("^[a-z0-9-]{1,20}$", id)) && id != "mail"])
    error_message = "webhooks must have at most 5 members, with ids of 1 to 20 characters of a-z 0-9 -, and not mail."
  }
  validation {
    condition     = alltrue([for webhook in values(var.webhooks) : can(regex("^https://[^/@?#\\s]+[^@\\s]*$", webhook.url)) && length(webhook.url) <= 200])
    error_message = "Each url in webhooks must begin with https://, have at most 200 characters, and no user or password, such as https://crm.example.com/coins."
  }
  validation {
    condition     = alltrue([for webhook in values(var.webhooks) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*?\\s]{1,100}$", webhook.secret_arn))])
    error_message = "Each secret_arn in webhooks must be the whole ARN of a secret in Secrets Manager, with its six last characters."
  }
  validation {
    condition     = length(var.webhooks) == 0 || try(length(var.quests), 1) > 0
    error_message = "webhooks must be empty without quests: nobody gets coins."
  }
}

variable "coin_mail" {
  description = "Mail addresses that get a mail for each coin that is issued or revoked, at most 20. AWS asks each of them to confirm. A mail has the id of the person."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.coin_mail) <= 20 && length(distinct(var.coin_mail)) == length(var.coin_mail) && alltrue([for address in var.coin_mail : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "coin_mail must be at most 20 different mail addresses, such as [\"rewards@example.com\"]."
  }
  validation {
    condition     = length(var.coin_mail) == 0 || try(length(var.quests), 1) > 0
    error_message = "coin_mail must be empty without quests: nobody gets coins."
  }
}

variable "period_grace_hours" {
  description = "Time in hours, 0 to 744, after the end of a day, week, month or season in which what arrives late still counts in it. What arrives later counts in all time alone. A change takes effect with `podium rebuild run`."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.period_grace_hours >= 0 && var.period_grace_hours <= 744 && floor(var.period_grace_hours) == var.period_grace_hours
    error_message = "period_grace_hours must be a whole number from 0 to 744 (31 days), such as 24."
  }
}

variable "tie_break" {
  description = "How people with equal points are ranked: shared (they share a rank) or earlier (whose last counted activity occurred earlier is ahead). A change takes effect with `podium rebuild run`."
  type        = string
  default     = "shared"
  nullable    = false

  validation {
    condition     = contains(["shared", "earlier"], var.tie_break)
    error_message = "tie_break must be shared or earlier."
  }
}

variable "max_activity_age_days" {
  description = "Maximum age of a posted activity in days, 1 to 36,525, measured from occurred_at. null means no limit, for example to import a history."
  type        = number
  default     = 31

  validation {
    condition     = var.max_activity_age_days == null || try(var.max_activity_age_days >= 1 && var.max_activity_age_days <= 36525 && floor(var.max_activity_age_days) == var.max_activity_age_days, false)
    error_message = "max_activity_age_days must be a whole number from 1 to 36,525, such as 31, or null for no limit."
  }
}

variable "standing_shards" {
  description = "Number of partitions, 1 to 1,000, that the standings are spread over. A change takes effect with `podium rebuild run`."
  type        = number
  default     = 32
  nullable    = false

  validation {
    condition     = var.standing_shards >= 1 && var.standing_shards <= 1000 && floor(var.standing_shards) == var.standing_shards
    error_message = "standing_shards must be a whole number from 1 to 1,000, such as 32."
  }
}

variable "batching" {
  description = "How the aggregator takes messages: prompt (up to 10 at once, without waiting) or thrifty (up to 500, after waiting up to one second, which costs less)."
  type        = string
  default     = "thrifty"
  nullable    = false

  validation {
    condition     = contains(["prompt", "thrifty"], var.batching)
    error_message = "batching must be \"prompt\" or \"thrifty\"."
  }
}

# What is published

variable "expected_standings" {
  description = "Number of standings, 1 to 40,000,000, that a snapshot must be able to rank: users times the programs that each takes part in. The snapshot's memory follows it, and snapshot_every_minutes must leave it enough time."
  type        = number
  default     = 1000000
  nullable    = false

  validation {
    condition     = var.expected_standings >= 1 && var.expected_standings <= 40000000 && floor(var.expected_standings) == var.expected_standings
    error_message = "expected_standings must be a whole number from 1 to 40,000,000, such as 1000000: more do not fit into the 10,240 MB of a function."
  }
}

variable "snapshot_every_minutes" {
  description = "Interval in minutes, 1 to 60, at which the boards are published. It is also the time that a snapshot may take, up to 15 minutes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.snapshot_every_minutes >= 1 && var.snapshot_every_minutes <= 60 && floor(var.snapshot_every_minutes) == var.snapshot_every_minutes
    error_message = "snapshot_every_minutes must be a whole number from 1 to 60, such as 5."
  }
}

variable "listed_users" {
  description = "Maximum number of users, 1 to 1,000,000, that a board lists. Users who are not listed still have an exact rank."
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.listed_users >= 1 && var.listed_users <= 1000000 && floor(var.listed_users) == var.listed_users
    error_message = "listed_users must be a whole number from 1 to 1,000,000, such as 10000."
  }
}

variable "program_boards" {
  description = "Maximum number of programs, 1 to 2,000, that have a board. If there are more, half of the boards go to the programs with the most activities in this week and the previous one, the others to those with the most of all time. Each board costs about 0.40 US dollars a month with a snapshot every minute."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.program_boards >= 1 && var.program_boards <= 2000 && floor(var.program_boards) == var.program_boards
    error_message = "program_boards must be a whole number from 1 to 2,000, such as 500."
  }
}

variable "team_boards" {
  description = "Maximum number of teams, 1 to 2,000, whose members have a board. If there are more, half of the boards go to the teams with the most activities in this week and the previous one, the others to those with the most of all time. All teams are ranked on the board of teams. Each board costs about 0.40 US dollars a month with a snapshot every minute."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.team_boards >= 1 && var.team_boards <= 2000 && floor(var.team_boards) == var.team_boards
    error_message = "team_boards must be a whole number from 1 to 2,000, such as 500."
  }
}

variable "team_score" {
  description = "How teams are ranked: sum (of all members' points), mean (over all members in the directory) or top:N (the sum of the N members with the most points, with N from 1 to 100)."
  type        = string
  default     = "sum"
  nullable    = false

  validation {
    condition     = can(regex("^(sum|mean|top:([1-9][0-9]?|100))$", var.team_score))
    error_message = "team_score must be sum, mean or top:N with N from 1 to 100, such as top:5."
  }
}

variable "min_team_size" {
  description = "How many members a team on the board of teams has at least. In a small team, the points of a hidden member follow from the team's points and its board."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.min_team_size >= 1 && var.min_team_size <= 10000 && floor(var.min_team_size) == var.min_team_size
    error_message = "min_team_size must be a whole number from 1 to 10,000, such as 5."
  }
}

variable "legacy_answer" {
  description = "Whether GET /v1/legacy/leaderboard answers the first 20 of the global board of all time as the system that Podium replaces answered it, for pages that were written for that system."
  type        = bool
  default     = false
  nullable    = false
}

variable "stale" {
  description = "Limits from which a board says that it is stale, each a whole number up to 1,000,000: missing snapshots in a row (after_snapshots, at least 2), lag in seconds (lag_seconds) and messages waiting in the queue (backlog). The alarms use the same limits."
  type = object({
    after_snapshots = optional(number, 3)
    lag_seconds     = optional(number, 120)
    backlog         = optional(number, 10000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for bound in values(var.stale) : bound >= 1 && bound <= 1000000 && floor(bound) == bound])
    error_message = "Each limit in stale must be a whole number from 1 to 1,000,000, such as { lag_seconds = 120 }."
  }
  validation {
    condition     = var.stale.after_snapshots >= 2
    error_message = "stale.after_snapshots must be at least 2, such as 3: with 1, every slightly late snapshot would count as stale."
  }
}

# Who may do what

variable "readers" {
  description = "Who may read the boards: public (everyone who knows the address) or login (whoever has a token of the provider in oidc, or signs with IAM). It must be chosen, except in environments whose name begins with dev, where null means public."
  type        = string
  default     = null

  validation {
    condition     = var.readers == null || try(contains(["public", "login"], var.readers), false)
    error_message = "readers must be \"public\" or \"login\"."
  }
  validation {
    condition     = var.readers != null || startswith(var.environment, "dev")
    error_message = "Choose who may read the boards of ${var.environment}, user ids included: set readers = \"login\" (and oidc), or readers = \"public\" for everyone who knows the address."
  }
  validation {
    condition     = var.readers != "login" || var.oidc != null
    error_message = "readers = \"login\" needs oidc: the identity provider whose tokens are accepted."
  }
}

variable "oidc" {
  description = "The OpenID provider whose access tokens are accepted, or null for none. issuer is exactly what its tokens say, and audiences are those of which a token must name one. Its keys must be RSA, and AWS must reach it over the internet. client_id lets people log in on the page; without it, only other clients get tokens. scope is what the page asks for (null: openid, and offline_access if the provider has it), and parameters are added to its requests, such as { audience = \"https://podium.example.com\" }. If the first audience is a URL, they include resource, unless it is given; an empty value leaves it out. user_claim names the claim that holds the user id. A token with write_scope posts for anyone, one with admin_scope may do everything. connect_origins are further origins of the provider that the page must reach, such as that of its token endpoint."
  type = object({
    issuer          = string
    audiences       = list(string)
    client_id       = optional(string)
    scope           = optional(string)
    parameters      = optional(map(string), {})
    user_claim      = optional(string, "sub")
    write_scope     = optional(string, "podium:write")
    admin_scope     = optional(string, "podium:admin")
    connect_origins = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.oidc == null || can(regex("^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[^[:space:]?#\"'<>\\\\]*)?$", var.oidc.issuer))
    error_message = "oidc.issuer must be an https URL without spaces, query and fragment, exactly as in the tokens, such as https://id.example.com."
  }
  validation {
    condition     = var.oidc == null || try(length(var.oidc.audiences) >= 1 && length(var.oidc.audiences) <= 10 && alltrue([for audience in var.oidc.audiences : can(regex("^[!-~]{1,256}$", audience))]), false)
    error_message = "oidc.audiences must be 1 to 10 texts without spaces, such as [\"podium\"]."
  }
  validation {
    condition     = var.oidc == null || try(var.oidc.client_id == null || can(regex("^[!-~]{1,256}$", var.oidc.client_id)), false)
    error_message = "oidc.client_id must be 1 to 256 characters without spaces, such as podium-page, or null if nobody logs in on the page."
  }
  validation {
    condition     = var.oidc == null || try(var.oidc.scope == null || can(regex("^[!-~]+( [!-~]+)*$", var.oidc.scope)), false)
    error_message = "oidc.scope must be scopes with one space between them, such as \"openid offline_access\", or null."
  }
  validation {
    condition = var.oidc == null || try(alltrue([
      for name in keys(var.oidc.parameters) : can(regex("^[A-Za-z0-9_.-]{1,64}$", name)) && !contains([
        "client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier", "grant_type", "nonce", "redirect_uri", "response_type", "scope", "state",
      ], name)
    ]), false)
    error_message = "Each name in oidc.parameters must be letters, digits, \".\", \"_\" and \"-\", such as audience, and none that the page sets itself (such as state or client_id; the scope has a field of its own)."
  }
  validation {
    condition     = var.oidc == null || try(can(regex("^[A-Za-z0-9_.:/@-]{1,128}$", var.oidc.user_claim)), false)
    error_message = "oidc.user_claim must be the name of a claim, such as sub, email or https://example.com/employee."
  }
  validation {
    # HTTP API takes scopes of up to 64 characters, and gives the functions a list of them as [a b].
    condition     = var.oidc == null || try(alltrue([for scope in [var.oidc.write_scope, var.oidc.admin_scope] : can(regex("^[A-Za-z0-9_.:/@+~-]{1,64}$", scope))]), false)
    error_message = "oidc.write_scope and oidc.admin_scope must be 1 to 64 letters, digits and . _ : / @ + ~ -, such as podium:write or podium/write."
  }
  validation {
    condition     = var.oidc == null || try(var.oidc.write_scope != var.oidc.admin_scope, false)
    error_message = "oidc.write_scope and oidc.admin_scope must differ, or whoever posts is an admin."
  }
  validation {
    condition     = var.oidc == null || try(alltrue([for origin in var.oidc.connect_origins : can(regex("^https://[A-Za-z0-9.-]+(:[0-9]+)?$", origin))]), false)
    error_message = "Each of oidc.connect_origins must be an https origin without a path, such as https://login.example.com."
  }
}

variable "self_reporting" {
  description = "Whether everyone with a token of the provider may post activities for himself: those whose user_id is the token's oidc.user_claim."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.self_reporting || var.oidc != null
    error_message = "self_reporting needs oidc: who posts for himself is known by his token."
  }
}

variable "throttle" {
  description = "Limits of each route of the HTTP API, of all callers together: requests a second (1 to 10,000) and how many may come at once (burst, 1 to 5,000). Others get 429. The admin routes have limits of their own."
  type = object({
    requests_per_second       = optional(number, 100)
    burst                     = optional(number, 200)
    admin_requests_per_second = optional(number, 10)
    admin_burst               = optional(number, 20)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for rate in [var.throttle.requests_per_second, var.throttle.admin_requests_per_second] : try(rate >= 1 && rate <= 10000 && floor(rate) == rate, false)])
    error_message = "throttle.requests_per_second and throttle.admin_requests_per_second must be whole numbers from 1 to 10,000, such as 100."
  }
  validation {
    condition     = alltrue([for burst in [var.throttle.burst, var.throttle.admin_burst] : try(burst >= 1 && burst <= 5000 && floor(burst) == burst, false)])
    error_message = "throttle.burst and throttle.admin_burst must be whole numbers from 1 to 5,000, such as 200."
  }
}

# The edge

variable "edge" {
  description = "Whether to deploy the edge: one CloudFront distribution for the dashboard and the API. Without it, callers sign with IAM, or use the HTTP API's own address with a token. CloudFront's first terabyte and ten million requests a month are free; more cost $0.085 a GB and $1 a million, without a limit that Terraform can set. CloudFront's free flat-rate plan, chosen in its console, has one, and waf bounds each address."
  type        = bool
  default     = true
  nullable    = false

  validation {
    # The longest name but for this one is that of the role ending in -snapshot-schedule, with at most 51 of 64 characters.
    condition     = !var.edge || length("${var.project}-${var.environment}-dashboard-111122223333-${var.region}") <= 63
    error_message = "The name of the dashboard's bucket, PROJECT-ENVIRONMENT-dashboard-ACCOUNT-REGION, would have ${length("${var.project}-${var.environment}-dashboard-111122223333-${var.region}")} characters, but S3 allows 63. Shorten project or environment, or set edge = false."
  }
}

variable "domain" {
  description = "Domain of the page and the API, such as podium.example.com, or null for CloudFront's. With zone_id, the id of its public Route 53 zone, certificate and records are made. With certificate_arn, of a certificate in us-east-1, you point the domain at the output distribution_domain yourself."
  type = object({
    name            = string
    zone_id         = optional(string)
    certificate_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || try(can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain.name)) && length(var.domain.name) <= 253, false)
    error_message = "domain.name must be a domain in lower case without scheme and path, such as podium.example.com."
  }
  validation {
    condition     = var.domain == null || try((var.domain.zone_id == null) != (var.domain.certificate_arn == null), false)
    error_message = "domain needs exactly one of zone_id (a Route 53 zone, in which the certificate is validated) and certificate_arn (a certificate that you have)."
  }
  validation {
    condition     = var.domain == null || try(var.domain.zone_id == null || can(regex("^Z[A-Z0-9]{1,31}$", var.domain.zone_id)), false)
    error_message = "domain.zone_id must be the id of a Route 53 zone, such as Z0123456789ABCDEFGHIJ."
  }
  validation {
    condition     = var.domain == null || try(var.domain.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/.+$", var.domain.certificate_arn)), false)
    error_message = "domain.certificate_arn must be the ARN of a certificate in us-east-1, where CloudFront looks for it, such as arn:aws:acm:us-east-1:111122223333:certificate/ID."
  }
  validation {
    condition     = var.domain == null || var.edge
    error_message = "domain needs the edge: set edge = true, or domain = null."
  }
}

variable "frame_ancestors" {
  description = "Origins whose pages may embed the dashboard in a frame, such as [\"https://intranet.example.com\"], at most 10; [\"https://*.example.com\"] allows all subdomains. A login inside a frame works only if the provider's page may be framed too."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.frame_ancestors : can(regex("^https://(\\*\\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}(:[0-9]{1,5})?$", origin))])
    error_message = "frame_ancestors must be origins of https in lower case, without a path, such as https://intranet.example.com."
  }
  validation {
    condition     = length(var.frame_ancestors) <= 10
    error_message = "frame_ancestors must have at most 10 origins."
  }
  validation {
    condition     = length(var.frame_ancestors) == 0 || var.edge
    error_message = "frame_ancestors needs the edge: set edge = true, or leave it empty."
  }
}

variable "waf" {
  description = "AWS WAF at the edge, or null for none: refuses addresses with more than requests_per_5_minutes (10 to 2,000,000,000; people behind one proxy share an address) and, with common_rules, what AWS's common rule set takes for an attack. {} has the defaults, at about $7 a month and $0.60 a million requests."
  type = object({
    requests_per_5_minutes = optional(number, 2000)
    common_rules           = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.waf == null || try(var.waf.requests_per_5_minutes >= 10 && var.waf.requests_per_5_minutes <= 2000000000 && floor(var.waf.requests_per_5_minutes) == var.waf.requests_per_5_minutes, false)
    error_message = "waf.requests_per_5_minutes must be a whole number from 10 to 2,000,000,000, such as 2000."
  }
  validation {
    condition     = var.waf == null || var.edge
    error_message = "waf needs the edge: set edge = true, or waf = null."
  }
}

# How the functions run

variable "reserve_concurrency" {
  description = "Whether each function reserves its share of the account's concurrency, so that no stage starves another, and what clients without login make the functions cost is at most $3 an hour (see function_concurrency). A new account, whose quota is 10, does not allow it: set false there until AWS raises the quota. The quota then bounds requests to 100 a second, about $7 an hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "function_concurrency" {
  # The bound of $3 an hour: a function URL takes 10 requests a second for each reserved invocation, so 4 allow 144,000
  # an hour. If each asks for 1,000 rows of users with ids of 128 characters, uncompressed, the answers have 199 kB, 28.7
  # GB an hour in all: $2.58 at $0.09 a GB. Requests ($0.03), four functions of 256 MB ($0.05), seven read units a
  # request ($0.13) and traces of one in twenty ($0.05) make it $2.84. Lambda refuses unsigned posts without charge.
  description = "Maximum number of invocations at once, per function, 1 to 1,000 (aggregator, rewards, bridge and, for each webhook and for mail, notifier: 2 to 1,000). Without reserve_concurrency only the maximum of these two applies. A function URL takes 10 requests a second for each: what anonymous readers can cost beyond CloudFront's cache grows by 70 cents an hour for each of serve. Whoever may post can cost $18 an hour for each of ingest, in batches of 100 activities."
  type = object({
    ingest     = optional(number, 20)
    aggregator = optional(number, 4)
    serve      = optional(number, 4)
    directory  = optional(number, 4)
    rewards    = optional(number, 4)
    notifier   = optional(number, 2)
    bridge     = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for concurrency in values(var.function_concurrency) : concurrency >= 1 && concurrency <= 1000 && floor(concurrency) == concurrency])
    error_message = "Each value in function_concurrency must be a whole number from 1 to 1,000, such as { ingest = 20 }."
  }
  validation {
    condition     = min(var.function_concurrency.aggregator, var.function_concurrency.rewards, var.function_concurrency.notifier, var.function_concurrency.bridge) >= 2
    error_message = "aggregator, rewards, notifier and bridge in function_concurrency must be at least 2, such as 4: the event source mapping of SQS allows no less."
  }
}

variable "function_memory_mb" {
  description = "Memory in MB per function, 128 to 10,240. CPU is proportional to it. The snapshot's follows expected_standings unless it is given: 512 for up to two million, and 256 for each further million."
  type = object({
    ingest     = optional(number, 256)
    aggregator = optional(number, 256)
    snapshot   = optional(number)
    serve      = optional(number, 256)
    directory  = optional(number, 256)
    rewards    = optional(number, 256)
    notifier   = optional(number, 256)
    bridge     = optional(number, 256)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for memory in values(var.function_memory_mb) : try(memory >= 128 && memory <= 10240 && floor(memory) == memory, memory == null)])
    error_message = "Each value in function_memory_mb must be a whole number from 128 to 10,240, such as { snapshot = 512 }."
  }
}

variable "log_level" {
  description = "Lowest level that the functions log: TRACE, DEBUG, INFO, WARN or ERROR. Metrics are written at every level. DEBUG costs about $26 a month even without load, for the snapshot of every minute."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.log_level)
    error_message = "log_level must be \"TRACE\", \"DEBUG\", \"INFO\", \"WARN\" or \"ERROR\"."
  }
}

variable "log_retention_days" {
  description = "Time in days for which logs are kept. CloudWatch allows only certain values, such as 7, 30 or 90."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a value that CloudWatch allows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "expected_activities_per_day" {
  description = "Number of activities a day, 1 to 10,000,000,000, that are expected. Above a million, functions are not traced unless tracing is true."
  type        = number
  default     = 100000
  nullable    = false

  validation {
    condition     = var.expected_activities_per_day >= 1 && var.expected_activities_per_day <= 10000000000 && floor(var.expected_activities_per_day) == var.expected_activities_per_day
    error_message = "expected_activities_per_day must be a whole number from 1 to 10,000,000,000, such as 100000."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces the functions, or null to trace them up to a million expected_activities_per_day. Lambda traces one request a second and 5 % of the others, which cannot be changed, at $5 a million: up to $13 a month for each function at 100,000 requests a day, $20 at a million and $87 at ten million."
  type        = bool
  default     = null
}

# How the data is protected

variable "kms_key_arn" {
  description = "ARN of a KMS key that encrypts tables, queues, logs and alarms, or null for AWS-owned keys. The key policy must let CloudWatch, CloudWatch Logs and EventBridge use the key and, with quests, SNS. The roles may use it only through DynamoDB, SQS, SNS and Lambda, each for its own tables, queues and topic."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key, not of an alias, such as arn:aws:kms:eu-central-1:111122223333:key/KEY-ID, or null."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of an IAM policy that bounds what every role of the deployment may do, or null for none. It must allow what the roles' own policies allow."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy, such as arn:aws:iam::111122223333:policy/boundary, or null."
  }
}

variable "table_limits" {
  description = "The most read and write units a second of tables (activities, dedup, standings, snapshots, people, coins, progress or notices), such as { activities = { write_units = 500 } }: a ceiling on what a flood can cost. Requests beyond it are throttled and tried again. Without an entry only the account's quota applies. To remove a limit, set it to -1 first."
  type        = map(object({ read_units = optional(number), write_units = optional(number) }))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.table_limits), ["activities", "dedup", "standings", "snapshots", "people", "coins", "progress", "notices"])) == 0
    error_message = "The keys of table_limits must be activities, dedup, standings, snapshots, people, coins, progress or notices."
  }
  validation {
    condition = alltrue(flatten([for limit in values(var.table_limits) : [
      for units in [limit.read_units, limit.write_units] : units == null || try((units == -1 || units >= 1) && floor(units) == units, false)
    ]]))
    error_message = "Each read_units and write_units in table_limits must be a whole number from 1, or -1 for none, such as { activities = { write_units = 500 } }."
  }
}

variable "deletion_protection" {
  description = "Whether the tables are protected from deletion. To destroy a deployment, first apply with false."
  type        = bool
  default     = true
  nullable    = false
}

variable "point_in_time_recovery" {
  description = "Whether the tables of activities, people and coins can be restored to any second of the last 35 days, deleted profiles included. Every other table can be rebuilt from the activities."
  type        = bool
  default     = true
  nullable    = false
}

# Who is notified

variable "alarm_email" {
  description = "E-mail address that receives alarms and budget notices, or null for none. Alarms to act on at once go to alarm_email_now instead, if it is set. AWS sends a confirmation request first, one for each of the two topics."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address, such as oncall@example.com, or null."
  }
}

variable "alarm_email_now" {
  description = "E-mail address that receives the alarms to act on at once, such as that of a pager, or null for alarm_email."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email_now == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", var.alarm_email_now))
    error_message = "alarm_email_now must be an e-mail address, such as oncall@example.com, or null."
  }
}

variable "volume_alarms" {
  description = "Volumes above which an alarm rings, for a quarter of an hour: requests an hour to the ingest URL or the serve URL (requests_per_hour), and GB an hour that CloudFront sends (egress_gb_per_hour, only in us-east-1, where CloudFront reports)."
  type = object({
    requests_per_hour  = optional(number, 50000)
    egress_gb_per_hour = optional(number, 5)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for volume in values(var.volume_alarms) : volume > 0 && volume <= 1000000000])
    error_message = "Each volume in volume_alarms must be more than 0 and at most 1,000,000,000, such as { requests_per_hour = 50000 }."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget of this deployment in US dollars, or null for none. It counts costs with the tag deployment, whose value is PROJECT-ENVIRONMENT. The tag must be activated as a cost allocation tag."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null || try(var.monthly_budget_usd > 0, false)
    error_message = "monthly_budget_usd must be more than 0, such as 100, or null."
  }
  validation {
    condition     = var.monthly_budget_usd == null || var.alarm_email != null
    error_message = "monthly_budget_usd needs alarm_email, the address that is notified: set it, such as oncall@example.com."
  }
}

variable "runbook_url" {
  description = "Path or URL of the runbook, at most 300 characters. Every alarm links into it."
  type        = string
  default     = "docs/RUNBOOK.md"
  nullable    = false

  validation {
    condition     = can(regex("^[^#[:space:]]+$", var.runbook_url))
    error_message = "runbook_url must have no spaces and no # fragment, such as https://example.com/RUNBOOK.md: each alarm adds its own fragment."
  }
  validation {
    condition     = length(var.runbook_url) <= 300
    error_message = "runbook_url must be at most 300 characters: it is part of each alarm's description, which CloudWatch limits to 1,024."
  }
}
