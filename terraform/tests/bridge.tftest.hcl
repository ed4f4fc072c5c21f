# What moving in from another system makes, how it is connected, that without one there is none of it, and what is refused.

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
  legacy                   = { prefix = "edl", stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities/stream/2026-01-01T00:00:00.000" }
}

run "with_another_system" {
  # its stream -> function -> queue of events

  assert {
    condition = (
      aws_lambda_event_source_mapping.legacy[0].event_source_arn == var.legacy.stream_arn && aws_lambda_event_source_mapping.legacy[0].function_name == module.bridge[0].alias_arn &&
      aws_lambda_event_source_mapping.legacy[0].starting_position == "TRIM_HORIZON" && aws_lambda_event_source_mapping.legacy[0].bisect_batch_on_function_error &&
      contains(aws_lambda_event_source_mapping.legacy[0].function_response_types, "ReportBatchItemFailures") &&
      aws_lambda_event_source_mapping.legacy[0].destination_config[0].on_failure[0].destination_arn == aws_sqs_queue.bridge_dead_letters[0].arn
    )
    error_message = "The mapping must begin with the oldest record, repeat from the first that failed, and send what it gives up to the DLQ."
  }
  assert {
    condition     = local.has_event_queue && length(aws_cloudwatch_event_rule.events) == 0
    error_message = "The queue of events must be there, without a rule where there is no bus."
  }
  assert {
    condition = jsondecode(local.legacy_mapping) == {
      table  = "edl-Activities"
      map    = { activity_id = "event_id", user_id = "employee_id", program_id = "program_id", kind = "activity_type", occurred_at = "ts", points = "points_awarded" }
      joined = { ts_event = ["ts", "event_id"] }
    }
    error_message = "Without a mapping the function must read the table of the published system."
  }

  # topic of facts -> queue -> function

  assert {
    condition = (
      aws_sns_topic_subscription.bridge[0].topic_arn == aws_sns_topic.events["facts"].arn && aws_sns_topic_subscription.bridge[0].endpoint == aws_sqs_queue.bridge[0].arn &&
      aws_sns_topic_subscription.bridge[0].raw_message_delivery && jsondecode(aws_sns_topic_subscription.bridge[0].redrive_policy).deadLetterTargetArn == aws_sqs_queue.bridge_dead_letters[0].arn &&
      aws_lambda_event_source_mapping.bridge[0].event_source_arn == aws_sqs_queue.bridge[0].arn && aws_lambda_event_source_mapping.bridge[0].function_name == module.bridge[0].alias_arn &&
      aws_sqs_queue.bridge[0].visibility_timeout_seconds == 6 * local.bridge_timeout_seconds
    )
    error_message = "Facts must come by the topic and the queue to the function, and what cannot be delivered to the DLQ."
  }
  assert {
    condition     = alltrue([for name in ["bridge-behind", "bridge-queue-age", "bridge-dead-letters", "bridge-errors", "bridge-throttles"] : contains(keys(local.every_alarm), name)])
    error_message = "The stream, the queue, its DLQ and the function must have their alarms."
  }
}

run "without_another_system" {
  variables {
    legacy = null
  }
  assert {
    condition = length(concat(
      aws_sqs_queue.bridge, aws_sqs_queue.bridge_dead_letters, aws_sqs_queue.events, aws_lambda_event_source_mapping.legacy, module.bridge[*].name,
      [for name in keys(local.every_alarm) : name if startswith(name, "bridge-")],
    )) == 0
    error_message = "Where nobody moves in, nothing for it must be there."
  }
}

run "the_arn_of_a_table_is_refused" {
  command = plan
  variables {
    legacy = { prefix = "edl", stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities" }
  }
  expect_failures = [var.legacy]
}

run "a_prefix_that_no_table_has_is_refused" {
  command = plan
  variables {
    legacy = { prefix = "edl dev", stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities/stream/2026-01-01T00:00:00.000" }
  }
  expect_failures = [var.legacy]
}

run "a_mapping_that_is_no_json_is_refused" {
  command = plan
  variables {
    legacy = { prefix = "edl", stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities/stream/2026-01-01T00:00:00.000", mapping = "edl.podium-mapping.json" }
  }
  expect_failures = [var.legacy]
}
