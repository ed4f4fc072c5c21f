module "serve" {
  source = "./modules/function"

  stage                = "serve"
  description          = "Serves boards from the newest snapshot."
  memory_mb            = var.function_memory_mb.serve
  timeout_seconds      = 10
  reserved_concurrency = var.reserve_concurrency ? var.function_concurrency.serve : -1
  settings             = local.function_settings
  alarms               = local.function_alarm_targets.serve

  environment = merge(local.access_environment, {
    SNAPSHOTS_TABLE        = aws_dynamodb_table.snapshots.name
    PEOPLE_TABLE           = aws_dynamodb_table.people.name
    STANDINGS_TABLE        = aws_dynamodb_table.standings.name
    STANDING_SHARDS        = var.standing_shards
    TIME_ZONE              = var.time_zone
    SEASONS                = jsonencode(var.seasons)
    SNAPSHOT_EVERY_SECONDS = local.snapshot_every_seconds
    STALE_AGE_SECONDS      = local.stale_age_seconds
    STALE_LAG_SECONDS      = var.stale.lag_seconds
    STALE_BACKLOG          = var.stale.backlog
    LEGACY_ANSWER          = var.legacy_answer
    }, local.has_quests ? {
    COINS_TABLE      = aws_dynamodb_table.coins[0].name
    ACTIVITIES_TABLE = aws_dynamodb_table.activities.name
  } : {})

  statements = concat(local.kms_statements.serve, [
    {
      sid       = "ReadSnapshots"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.snapshots.arn]
    },
    {
      sid       = "ReadStandings"
      actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.standings.arn]
    },
    {
      # Of users whom a board does not list, and those on boards of periods that are over.
      sid       = "ReadProfiles"
      actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem"]
      resources = [aws_dynamodb_table.people.arn]
    },
    ], flatten([
      for coins in aws_dynamodb_table.coins : [
        {
          # Of quests, and in order of finding.
          sid       = "ReadCoins"
          actions   = ["dynamodb:GetItem", "dynamodb:Query"]
          resources = [coins.arn, "${coins.arn}/index/holders"]
        },
        {
          # Of a user, to say how far they are with the quests.
          sid       = "ReadFacts"
          actions   = ["dynamodb:Query"]
          resources = [aws_dynamodb_table.activities.arn]
        },
      ]
  ]))
}

resource "aws_lambda_function_url" "serve" {
  function_name      = module.serve.name
  qualifier          = module.serve.alias_name
  authorization_type = "AWS_IAM"
}

moved {
  from = module.serve_url.aws_lambda_function_url.this
  to   = aws_lambda_function_url.serve
}

# Attach this to the roles and users that read boards with signed requests.
resource "aws_iam_policy" "read_boards" {
  name        = "${local.name}-read-boards"
  description = "Allows reading the boards of the Podium deployment ${var.environment}."
  policy      = local.url_policies.serve
  tags        = { stage = "serve" }
}
