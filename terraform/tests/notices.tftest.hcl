# What webhooks and mail make, how it is connected, that without them there is none of it, and what is refused.

mock_provider "aws" {
  source = "./tests/aws"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/aws"
}

variables {
  environment              = "test"
  readers                  = "public"
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
  quests = [
    { id = "first", version = 1, title = "First task", coin = { name = "Seed", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } },
  ]
  webhooks = {
    crm = { url = "https://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" }
  }
  coin_mail = ["rewards@example.com"]
}

run "with_webhooks_and_mail" {
  # stream -> pipe -> topic

  assert {
    condition     = aws_dynamodb_table.coins[0].stream_enabled && aws_dynamodb_table.coins[0].stream_view_type == "NEW_IMAGE"
    error_message = "The table of coins must stream new images."
  }
  assert {
    condition = (
      aws_pipes_pipe.events["coins"].source == aws_dynamodb_table.coins[0].stream_arn && aws_pipes_pipe.events["coins"].target == aws_sns_topic.events["coins"].arn &&
      aws_pipes_pipe.events["coins"].role_arn == aws_iam_role.event_pipe["coins"].arn &&
      aws_pipes_pipe.events["coins"].source_parameters[0].dynamodb_stream_parameters[0].dead_letter_config[0].arn == aws_sqs_queue.event_pipe_dead_letters["coins"].arn
    )
    error_message = "The pipe of coins must connect their stream to their topic, with a role and a DLQ of its own."
  }
  assert {
    condition = jsondecode(aws_pipes_pipe.events["coins"].source_parameters[0].filter_criteria[0].filter[0].pattern) == {
      eventName = ["INSERT", "MODIFY"], dynamodb = { NewImage = { state = { S = ["issued", "revoked"] } } }
    }
    error_message = "Nobody may be told of a provisional coin, or of one that an erasure deletes."
  }
  assert {
    condition = jsondecode(replace(aws_pipes_pipe.events["coins"].target_parameters[0].input_template, ": <$.dynamodb.NewImage>", ": {}")) == {
      specversion = "1.0", id = "<$.eventID>", source = "podium/coins", type = "podium.coin.changed", data = {}
    }
    error_message = "The topic must get CloudEvents with the coin as it is."
  }

  # topic -> queues -> function

  assert {
    condition = toset(keys(aws_sqs_queue.notices)) == toset(["webhook-crm", "mail"]) && alltrue([
      for name, queue in aws_sqs_queue.notices : (
        aws_sns_topic_subscription.notices[name].topic_arn == aws_sns_topic.events["coins"].arn && aws_sns_topic_subscription.notices[name].endpoint == queue.arn &&
        aws_sns_topic_subscription.notices[name].raw_message_delivery &&
        jsondecode(aws_sns_topic_subscription.notices[name].redrive_policy).deadLetterTargetArn == aws_sqs_queue.notices_dead_letters[name].arn &&
        jsondecode(queue.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.notices_dead_letters[name].arn, maxReceiveCount = 1000 } &&
        queue.visibility_timeout_seconds == 6 * local.notifier_timeout_seconds &&
        aws_lambda_event_source_mapping.notices[name].event_source_arn == queue.arn && aws_lambda_event_source_mapping.notices[name].function_name == module.notifier[0].alias_arn &&
        contains(aws_lambda_event_source_mapping.notices[name].function_response_types, "ReportBatchItemFailures")
      )
    ])
    error_message = "Each destination must have a queue of its own between the topic and the function, and a DLQ for what either cannot deliver."
  }
  assert {
    condition = alltrue([
      for name in ["webhook-crm", "webhook-crm_dead_letters", "mail", "mail_dead_letters"] : [
        for statement in jsondecode(aws_sqs_queue_policy.tls_only[name].policy).Statement :
        [statement.Principal, statement.Action, statement.Condition] if statement.Effect == "Allow"
      ] == [[{ Service = "sns.amazonaws.com" }, "sqs:SendMessage", { ArnEquals = { "aws:SourceArn" = aws_sns_topic.events["coins"].arn } }]]
    ])
    error_message = "The topic of coins, and nobody else, must be allowed to send to these queues by their policies."
  }
  assert {
    condition     = aws_sns_topic_subscription.coin_mail["rewards@example.com"].protocol == "email" && aws_sns_topic_subscription.coin_mail["rewards@example.com"].topic_arn == aws_sns_topic.coin_mail[0].arn
    error_message = "Mail must go to the addresses."
  }
  assert {
    condition     = alltrue([for topic in [aws_sns_topic.events["coins"], aws_sns_topic.coin_mail[0]] : topic.kms_master_key_id == "alias/aws/sns"])
    error_message = "The topics must be encrypted."
  }
  assert {
    condition = alltrue([
      for name in ["coins-pipe-failing", "coins-pipe-dead-letters", "notices-deferred", "notices-dead-letters", "notices-ended", "notifier-errors", "notifier-throttles", "notices-table-throttled"] :
      contains(keys(local.every_alarm), name)
    ])
    error_message = "Every part must have its alarms."
  }
}

run "without_both" {
  variables {
    webhooks  = {}
    coin_mail = []
  }
  assert {
    condition = length(concat(
      values(aws_sqs_queue.notices), aws_dynamodb_table.notices, aws_sns_topic.coin_mail, module.notifier[*].name,
      [for name in concat(keys(aws_pipes_pipe.events), keys(local.every_alarm)) : name if can(regex("coins-pipe|notice|notifier|^coins$", name))],
    )) == 0 && !aws_dynamodb_table.coins[0].stream_enabled
    error_message = "Where nobody is told of coins, nothing for it must be there."
  }
}

run "http_is_refused" {
  command = plan
  variables {
    webhooks = { crm = { url = "http://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" } }
  }
  expect_failures = [var.webhooks]
}

run "a_secret_in_the_address_is_refused" {
  command = plan
  variables {
    webhooks = { crm = { url = "https://ann:secret@crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" } }
  }
  expect_failures = [var.webhooks]
}

run "a_secret_in_place_of_its_arn_is_refused" {
  command = plan
  variables {
    webhooks = { crm = { url = "https://crm.example.com/coins", secret_arn = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } }
  }
  expect_failures = [var.webhooks]
}

run "the_id_of_mail_is_refused_for_a_webhook" {
  command = plan
  variables {
    webhooks = { mail = { url = "https://crm.example.com/coins", secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf" } }
  }
  expect_failures = [var.webhooks]
}

run "webhooks_and_mail_without_quests_are_refused" {
  command = plan
  variables {
    quests = []
  }
  expect_failures = [var.webhooks, var.coin_mail]
}

run "no_address_is_refused" {
  command = plan
  variables {
    coin_mail = ["rewards"]
  }
  expect_failures = [var.coin_mail]
}
