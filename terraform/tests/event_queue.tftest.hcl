# What a bus of EventBridge makes, how it is connected, that without one there is none of it, and what is refused.

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
  event_bus                = { name = "learning", pattern = "{\"source\":[\"com.example.lms\"]}" }
}

run "with_a_bus" {
  # bus -> rule -> queue

  assert {
    condition = (
      aws_cloudwatch_event_rule.events[0].event_bus_name == "learning" && jsondecode(aws_cloudwatch_event_rule.events[0].event_pattern) == { source = ["com.example.lms"] } &&
      aws_cloudwatch_event_target.events[0].event_bus_name == "learning" && aws_cloudwatch_event_target.events[0].rule == aws_cloudwatch_event_rule.events[0].name &&
      aws_cloudwatch_event_target.events[0].arn == aws_sqs_queue.events[0].arn && aws_cloudwatch_event_target.events[0].input == null && aws_cloudwatch_event_target.events[0].input_path == null
    )
    error_message = "The rule must send what the pattern chooses to the queue, as whole events."
  }
  assert {
    condition = (
      aws_cloudwatch_event_target.events[0].dead_letter_config[0].arn == aws_sqs_queue.events_dead_letters[0].arn &&
      jsondecode(aws_sqs_queue.events[0].redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.events_dead_letters[0].arn, maxReceiveCount = 1000 }
    )
    error_message = "What cannot be delivered, and what keeps failing, must go to the DLQ of events."
  }
  assert {
    condition = alltrue([
      for name in ["events", "events_dead_letters"] : [
        for statement in jsondecode(aws_sqs_queue_policy.tls_only[name].policy).Statement :
        [statement.Principal, statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Allow"
      ] == [[{ Service = "events.amazonaws.com" }, "sqs:SendMessage", local.queues[name].arn, { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.events[0].arn } }]]
    ])
    error_message = "The rule, and nobody else, must be allowed to send to the queue and its DLQ by their policies."
  }
  assert {
    condition     = toset(keys(aws_sqs_queue_policy.tls_only)) == toset(keys(local.queues)) && !contains(keys(aws_sqs_queue_redrive_allow_policy.no_source), "events_dead_letters")
    error_message = "Every queue must refuse connections without TLS, and only the queue of events may move messages to its DLQ."
  }

  # queue -> function

  assert {
    condition = (
      aws_lambda_event_source_mapping.events[0].event_source_arn == aws_sqs_queue.events[0].arn && aws_lambda_event_source_mapping.events[0].function_name == module.ingest.alias_arn &&
      contains(aws_lambda_event_source_mapping.events[0].function_response_types, "ReportBatchItemFailures") &&
      aws_lambda_event_source_mapping.events[0].scaling_config[0].maximum_concurrency < var.function_concurrency.ingest
    )
    error_message = "The mapping must connect the queue to the alias live of ingest with partial responses, and leave most of its concurrency to those who post."
  }
  assert {
    condition     = alltrue([for name in ["events-queue-age", "events-deferred", "events-dead-letters"] : contains(keys(local.every_alarm), name)])
    error_message = "The queue and its DLQ must have their alarms."
  }
}

run "without_a_bus" {
  variables {
    event_bus = null
  }
  assert {
    condition = length(concat(
      aws_sqs_queue.events, aws_sqs_queue.events_dead_letters, aws_cloudwatch_event_rule.events, aws_cloudwatch_event_target.events,
      aws_lambda_event_source_mapping.events, [for name in keys(local.every_alarm) : name if startswith(name, "events-")],
    )) == 0
    error_message = "Where no events come by a bus, nothing for it must be there."
  }
}

run "a_pattern_that_is_no_json_is_refused" {
  command = plan
  variables {
    event_bus = { name = "learning", pattern = "com.example.lms" }
  }
  expect_failures = [var.event_bus]
}

run "a_pattern_that_chooses_nothing_is_refused" {
  command = plan
  variables {
    event_bus = { name = "learning", pattern = "{}" }
  }
  expect_failures = [var.event_bus]
}

run "the_arn_of_a_bus_is_refused" {
  command = plan
  variables {
    event_bus = { name = "arn:aws:events:us-east-1:111122223333:event-bus/learning", pattern = "{\"source\":[\"com.example.lms\"]}" }
  }
  expect_failures = [var.event_bus]
}
