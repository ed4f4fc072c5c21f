locals {
  name       = "${var.project}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id

  # The stages that are functions.
  stages = concat(
    ["ingest", "aggregator", "snapshot", "serve", "directory"],
    [for name in ["rewards"] : name if local.has_quests],
    [for name in ["notifier"] : name if local.has_notices],
    [for name in ["bridge"] : name if local.has_bridge],
  )

  # What all functions have in common.
  function_settings = {
    name_prefix              = local.name
    region                   = var.region
    account_id               = local.account_id
    zips_dir                 = var.functions_dir
    architecture             = var.architecture
    kms_key_arn              = var.kms_key_arn
    permissions_boundary_arn = var.permissions_boundary_arn
    log_level                = var.log_level
    log_retention_days       = var.log_retention_days
    tracing                  = local.tracing
  }

  # The scoring policy as the functions read it. A member that is null is left out. Text becomes a number, and a number
  # text, where Terraform would convert it if it knew the type.
  scoring_policy = jsonencode([
    for version in var.scoring_policy : merge(
      {
        effective_from = version.effective_from
        points = {
          for kind, worth in version.points : kind => try(tonumber(worth), {
            for name, value in worth : name => try(tonumber(value), { max = tonumber(value.max) }) if value != null
          })
        }
      },
      try({ titles = { for kind, title in version.titles : kind => tostring(title) if title != null } }, {}),
    )
  ])

  # Above this rate, traces cost more than $20 a month and function, and one in twenty requests is more than anyone reads.
  tracing = coalesce(var.tracing, var.expected_activities_per_day <= 1000000)

  # Which encrypted tables and queues each role uses, where they exist. DynamoDB decrypts a table's key on behalf of whoever reads or
  # writes it. SQS decrypts a queue's data key for whoever receives, and also makes one for whoever sends.
  encrypted = {
    ingest     = { tables = ["activities"], receives = ["events"], sends = ["events_dead_letters"] }
    pipe       = { tables = ["activities"], receives = [], sends = ["activities", "pipe_dead_letters"] }
    aggregator = { tables = ["dedup", "standings"], receives = ["activities"], sends = ["activities_dead_letters"] }
    schedule   = { tables = [], receives = [], sends = ["snapshot_dead_letters"] }
    snapshot   = { tables = ["activities", "standings", "snapshots", "people"], receives = [], sends = ["snapshot_dead_letters"] }
    serve      = { tables = concat(["snapshots", "standings", "people", "coins"], [for name in ["activities"] : name if local.has_quests]), receives = [], sends = [] }
    directory  = { tables = ["people"], receives = [], sends = [] }
    facts_pipe = { tables = ["activities"], receives = [], sends = ["facts_pipe_dead_letters"] }
    rewards    = { tables = ["activities", "coins", "progress", "standings"], receives = ["rewards"], sends = ["rewards_dead_letters"] }
    coins_pipe = { tables = ["coins"], receives = [], sends = ["coins_pipe_dead_letters"] }
    notifier   = { tables = ["notices", "standings"], receives = keys(local.destinations), sends = [for name in keys(local.destinations) : "${name}_dead_letters"] }
    bridge     = { tables = ["standings"], receives = ["bridge"], sends = ["events", "bridge_dead_letters"] }
  }

  # The statements that allow it, by role. The key may only be used through the service, and for these tables and queues.
  kms_statements = {
    for role, uses in local.encrypted : role => [
      for statement in [
        {
          sid     = "UseEncryptedTables"
          actions = ["kms:Decrypt"]
          service = "dynamodb"
          context = "aws:dynamodb:tableName"
          values  = [for table in uses.tables : local.tables[table] if contains(keys(local.tables), table)]
        },
        {
          sid     = "ReceiveEncrypted"
          actions = ["kms:Decrypt"]
          service = "sqs"
          context = "aws:sqs:arn"
          values  = [for queue in uses.receives : local.queues[queue].arn if contains(keys(local.queues), queue)]
        },
        {
          sid     = "SendEncrypted"
          actions = ["kms:Decrypt", "kms:GenerateDataKey"]
          service = "sqs"
          context = "aws:sqs:arn"
          values  = [for queue in uses.sends : local.queues[queue].arn if contains(keys(local.queues), queue)]
        },
        {
          sid     = "PublishEncrypted"
          actions = ["kms:Decrypt", "kms:GenerateDataKey"]
          service = "sns"
          context = "aws:sns:topicArn"
          values = concat(
            [for name, topic in aws_sns_topic.events : topic.arn if role == "${name}_pipe"],
            [for topic in aws_sns_topic.coin_mail : topic.arn if role == "notifier"],
          )
        },
        ] : {
        sid       = statement.sid
        actions   = statement.actions
        resources = [var.kms_key_arn]
        condition = {
          StringEquals = {
            "kms:ViaService"                             = ["${statement.service}.${var.region}.amazonaws.com"]
            "kms:EncryptionContext:${statement.context}" = statement.values
          }
        }
      } if var.kms_key_arn != null && length(statement.values) > 0
    ]
  }

  # The same as statements of a policy.
  kms_policy_statements = {
    for role, statements in local.kms_statements : role => [for statement in statements : {
      Sid       = statement.sid
      Effect    = "Allow"
      Action    = statement.actions
      Resource  = statement.resources
      Condition = statement.condition
    }]
  }

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
