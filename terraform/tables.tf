# The facts. Every other table can be rebuilt from them, except people and the supplies of coins. These three have backups.
resource "aws_dynamodb_table" "activities" {
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  name                        = "${local.name}-activities"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "user_id"
  range_key                   = "activity_id"
  stream_enabled              = true
  stream_view_type            = "NEW_IMAGE"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "user_id"
    type = "S"
  }
  attribute {
    name = "activity_id"
    type = "S"
  }

  # Only heartbeats carry this attribute. Activities never expire.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["activities"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "ingest" }
}

resource "aws_dynamodb_table" "dedup" {
  #checkov:skip=CKV_AWS_28:Can be rebuilt from the table activities, which has point-in-time recovery.
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  name                        = "${local.name}-dedup"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "activity"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "activity"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["dedup"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "aggregator" }
}

resource "aws_dynamodb_table" "standings" {
  #checkov:skip=CKV_AWS_28:Can be rebuilt from the table activities, which has point-in-time recovery.
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  name                        = "${local.name}-standings"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "shard"
  range_key                   = "member"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "shard"
    type = "S"
  }
  attribute {
    name = "member"
    type = "S"
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["standings"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "aggregator" }
}

resource "aws_dynamodb_table" "snapshots" {
  #checkov:skip=CKV_AWS_28:The next snapshot run writes it again.
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  name                        = "${local.name}-snapshots"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "board"
  range_key                   = "part"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "board"
    type = "S"
  }
  attribute {
    name = "part"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["snapshots"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "snapshot" }
}

# The profiles: what people are called, their teams, and how boards show them. This table alone holds personal data. It
# cannot be rebuilt from the facts, so it has backups, too. A deleted profile is in them for 35 more days.
resource "aws_dynamodb_table" "people" {
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  name                        = "${local.name}-people"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "directory"
  range_key                   = "id"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "directory"
    type = "S"
  }
  attribute {
    name = "id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["people"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "directory" }
}

# The coins that people found, and the quests, where there are any. Coins can be found again from the facts, but who was
# first among those of a limited supply is decided once, so this table has backups, too.
resource "aws_dynamodb_table" "coins" {
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  count = local.has_quests ? 1 : 0

  name                        = "${local.name}-coins"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "user_id"
  range_key                   = "coin_id"
  deletion_protection_enabled = var.deletion_protection
  # Where others are told of coins.
  stream_enabled   = local.has_notices
  stream_view_type = local.has_notices ? "NEW_IMAGE" : null

  attribute {
    name = "user_id"
    type = "S"
  }
  attribute {
    name = "coin_id"
    type = "S"
  }
  attribute {
    name = "holders"
    type = "S"
  }
  attribute {
    name = "place"
    type = "S"
  }

  # The coins of a quest in order of finding.
  global_secondary_index {
    name               = "holders"
    hash_key           = "holders"
    range_key          = "place"
    projection_type    = "INCLUDE"
    non_key_attributes = ["period", "found_at", "state", "serial"]
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["coins"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "rewards" }
}

# Which events of coins were sent where. Without it, some are sent again, under their old ids.
resource "aws_dynamodb_table" "notices" {
  #checkov:skip=CKV_AWS_28:Not needed for recovery: what was sent is remembered so that it is not sent twice.
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  count = local.has_notices ? 1 : 0

  name                        = "${local.name}-notices"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "notice"
  deletion_protection_enabled = false

  attribute {
    name = "notice"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["notices"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "notices" }
}

# How far people are with the quests. Without it, every activity that a quest looks at is proved from the facts.
resource "aws_dynamodb_table" "progress" {
  #checkov:skip=CKV_AWS_28:Can be written anew from the table activities, which has point-in-time recovery.
  #checkov:skip=CKV_AWS_119:Encrypted with kms_key_arn if it is set, and with an AWS-owned key otherwise.
  count = local.has_quests ? 1 : 0

  name                        = "${local.name}-progress"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "user_id"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "user_id"
    type = "S"
  }

  dynamic "on_demand_throughput" {
    for_each = try([var.table_limits["progress"]], [])
    content {
      max_read_request_units  = on_demand_throughput.value.read_units
      max_write_request_units = on_demand_throughput.value.write_units
    }
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  tags = { stage = "rewards" }
}
