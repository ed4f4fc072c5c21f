# What quests make, how it is connected, and that without them there is none of it. quests.tftest.hcl has the quests that
# are refused.

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
    {
      id   = "explorer", version = 1, title = "Three programs in a month", coin = { name = "Compass", value = 40 }, per = "month"
      rule = { distinct = { of = {}, field = "program_id", at_least = 3 } }
    },
    {
      id   = "first", version = 2, title = "Among the first", coin = { name = "Star", value = 1 }, per = "once", supply = 3
      rule = { all = [{ kind = "task_completed" }, { kind = "program_check_in", metadata = { room = 7 } }] }
    },
  ]
}

run "with_quests" {
  # stream -> pipe -> topic

  assert {
    condition     = aws_pipes_pipe.events["facts"].source == aws_dynamodb_table.activities.stream_arn && aws_pipes_pipe.events["facts"].target == aws_sns_topic.events["facts"].arn
    error_message = "The second pipe must connect the stream of the table activities to the topic of facts."
  }
  assert {
    condition     = aws_pipes_pipe.events["facts"].role_arn == aws_iam_role.event_pipe["facts"].arn
    error_message = "The second pipe must have its own role."
  }
  assert {
    condition = jsonencode(merge(one(aws_pipes_pipe.events["facts"].source_parameters[0].dynamodb_stream_parameters), { dead_letter_config = [] })) == jsonencode(
      merge(one(aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters), { dead_letter_config = [] })
    ) && aws_pipes_pipe.events["facts"].source_parameters[0].filter_criteria[0].filter[0].pattern == aws_pipes_pipe.activities.source_parameters[0].filter_criteria[0].filter[0].pattern
    error_message = "Both pipes must read the stream in the same way."
  }
  assert {
    condition     = aws_pipes_pipe.events["facts"].source_parameters[0].dynamodb_stream_parameters[0].dead_letter_config[0].arn == aws_sqs_queue.event_pipe_dead_letters["facts"].arn
    error_message = "Records that the second pipe gives up must go to its own DLQ."
  }
  assert {
    # Only objects stand outside quotes, so that the text is JSON whatever the paths stand for.
    condition = jsondecode(replace(aws_pipes_pipe.events["facts"].target_parameters[0].input_template, ": <$.dynamodb.NewImage>", ": {}")) == {
      specversion = "1.0", id = "<$.eventID>", source = "podium/activities", type = "podium.fact.recorded", data = {}
    }
    error_message = "The topic must get CloudEvents with the item as it is."
  }

  # topic -> queue -> function, and dead letters

  assert {
    condition = (
      aws_sns_topic_subscription.rewards[0].topic_arn == aws_sns_topic.events["facts"].arn && aws_sns_topic_subscription.rewards[0].endpoint == aws_sqs_queue.rewards[0].arn &&
      aws_sns_topic_subscription.rewards[0].protocol == "sqs" && aws_sns_topic_subscription.rewards[0].raw_message_delivery
    )
    error_message = "The rewards queue must be subscribed to the topic, without SNS's envelope."
  }
  assert {
    condition = (
      jsondecode(aws_sns_topic_subscription.rewards[0].redrive_policy).deadLetterTargetArn == aws_sqs_queue.rewards_dead_letters[0].arn &&
      jsondecode(aws_sqs_queue.rewards[0].redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.rewards_dead_letters[0].arn, maxReceiveCount = 1000 }
    )
    error_message = "What cannot be delivered, and what keeps failing, must go to the DLQ of rewards."
  }
  assert {
    condition = alltrue([
      for name in ["rewards", "rewards_dead_letters"] : [
        for statement in jsondecode(aws_sqs_queue_policy.tls_only[name].policy).Statement :
        [statement.Principal, statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Allow"
      ] == [[{ Service = "sns.amazonaws.com" }, "sqs:SendMessage", local.queues[name].arn, { ArnEquals = { "aws:SourceArn" = aws_sns_topic.events["facts"].arn } }]]
    ])
    error_message = "The topic, and nobody else, must be allowed to send to the rewards queue and its DLQ by their policies."
  }
  assert {
    condition     = toset(keys(aws_sqs_queue_policy.tls_only)) == toset(keys(local.queues)) && length(local.queues) == 7
    error_message = "Every queue must refuse connections without TLS."
  }
  assert {
    condition     = aws_sqs_queue.rewards[0].visibility_timeout_seconds == 6 * local.rewards_timeout_seconds
    error_message = "The visibility timeout must be six times the function's timeout."
  }
  assert {
    condition = (
      aws_lambda_event_source_mapping.rewards[0].event_source_arn == aws_sqs_queue.rewards[0].arn && aws_lambda_event_source_mapping.rewards[0].function_name == module.rewards[0].alias_arn &&
      contains(aws_lambda_event_source_mapping.rewards[0].function_response_types, "ReportBatchItemFailures") &&
      aws_lambda_event_source_mapping.rewards[0].scaling_config[0].maximum_concurrency == var.function_concurrency.rewards
    )
    error_message = "The mapping must connect the rewards queue to the alias live of the function, with its concurrency and partial responses."
  }

  # tables

  assert {
    condition = alltrue([
      for table in [aws_dynamodb_table.coins[0], aws_dynamodb_table.progress[0]] : table.deletion_protection_enabled && table.billing_mode == "PAY_PER_REQUEST"
    ]) && aws_dynamodb_table.coins[0].point_in_time_recovery[0].enabled
    error_message = "The tables must be on-demand and protected from deletion, and coins must have point-in-time recovery."
  }
  assert {
    condition = [for key, value in jsondecode(aws_dynamodb_table_item.quests[0].item) : "${key} ${try(value.S, "")}"] == [
      "coin_id configured", "quests ", "user_id ~quests",
    ] && aws_dynamodb_table_item.quests[0].table_name == aws_dynamodb_table.coins[0].name
    error_message = "The quests must be the item that crates/store reads."
  }

  # page

  assert {
    condition     = strcontains(local.page_config, "export const hasQuests = true;")
    error_message = "The page must know that there are quests: ${local.page_config}"
  }

  # topic

  assert {
    condition     = aws_sns_topic.events["facts"].kms_master_key_id == "alias/aws/sns"
    error_message = "The topic must be encrypted."
  }
}

run "without_quests" {
  variables {
    quests = []
  }
  assert {
    condition = length(concat(
      aws_dynamodb_table.coins, aws_dynamodb_table.progress, aws_dynamodb_table_item.quests, aws_sqs_queue.rewards, aws_sqs_queue.rewards_dead_letters,
      values(aws_sqs_queue.event_pipe_dead_letters), values(aws_sns_topic.events), aws_sns_topic_subscription.rewards, values(aws_pipes_pipe.events), values(aws_iam_role.event_pipe),
      aws_lambda_event_source_mapping.rewards, module.rewards[*].name,
    )) == 0
    error_message = "Without quests nothing of rewards must be there."
  }
}

run "a_topic_alone" {
  variables {
    quests      = []
    facts_topic = true
  }
  assert {
    condition     = length(aws_pipes_pipe.events) == 1 && length(aws_sqs_queue.event_pipe_dead_letters) == 1 && length(aws_sqs_queue.rewards) == 0 && length(aws_dynamodb_table.coins) == 0
    error_message = "Other subscribers need the topic and its pipe, and none of rewards."
  }
}

run "own_key" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
  }
  assert {
    condition = aws_sns_topic.events["facts"].kms_master_key_id == var.kms_key_arn && alltrue([for queue in local.queues : queue.kms_master_key_id == var.kms_key_arn]) && alltrue([
      for table in [aws_dynamodb_table.coins[0], aws_dynamodb_table.progress[0]] : table.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    ])
    error_message = "Topic, queues and tables must be encrypted with kms_key_arn."
  }
}
