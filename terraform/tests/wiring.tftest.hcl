# How the resources are connected, on mocked AWS with unique ARNs and URLs. tests/on_aws can read the modules, so they
# check the environment and permissions of each function.

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
}

run "default" {
  # stream -> pipe -> queue

  assert {
    condition     = aws_dynamodb_table.activities.stream_enabled && aws_dynamodb_table.activities.stream_view_type == "NEW_IMAGE"
    error_message = "The table of activities must stream new images."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source == aws_dynamodb_table.activities.stream_arn && aws_pipes_pipe.activities.target == aws_sqs_queue.activities.arn
    error_message = "The pipe must connect the stream of the table activities to the queue activities."
  }
  assert {
    condition     = aws_pipes_pipe.activities.role_arn == aws_iam_role.pipe.arn
    error_message = "The pipe must have its own role."
  }
  assert {
    condition     = jsondecode(aws_pipes_pipe.activities.source_parameters[0].filter_criteria[0].filter[0].pattern) == { eventName = ["INSERT"] }
    error_message = "The pipe must pass only new activities on: the expiry of a heartbeat is a stream record, too."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].starting_position == "TRIM_HORIZON"
    error_message = "The pipe must start at the oldest record, or it loses activities that are written before it runs."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].on_partial_batch_item_failure == "AUTOMATIC_BISECT"
    error_message = "The pipe must bisect a batch that fails."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].dead_letter_config[0].arn == aws_sqs_queue.pipe_dead_letters.arn
    error_message = "Records that the pipe gives up must go to its DLQ."
  }
  assert {
    condition = alltrue([
      for number in [
        aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].maximum_retry_attempts,
        aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].maximum_record_age_in_seconds,
      ] : number > 0
    ])
    error_message = "The pipe's retries and record age must be limited: with -1, one bad record blocks its shard."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].maximum_retry_attempts == 10000 && length(aws_pipes_pipe.activities.target_parameters) == 0
    error_message = "An outage must not use up the retries, and an empty block would change the pipe in every plan."
  }
  assert {
    condition     = aws_pipes_pipe.activities.source_parameters[0].dynamodb_stream_parameters[0].maximum_record_age_in_seconds < 24 * 3600
    error_message = "The pipe must give up a record before the stream drops it after 24 hours."
  }
  assert {
    condition     = aws_pipes_pipe.activities.log_configuration[0].cloudwatch_logs_log_destination[0].log_group_arn == aws_cloudwatch_log_group.pipe.arn
    error_message = "The pipe must log."
  }

  # queue -> aggregator, and dead letters

  assert {
    condition     = jsondecode(aws_sqs_queue.activities.redrive_policy).deadLetterTargetArn == aws_sqs_queue.activities_dead_letters.arn
    error_message = "Messages that keep failing must go to the DLQ of the activities."
  }
  assert {
    condition = jsondecode(aws_sqs_queue_redrive_allow_policy.activities_dead_letters.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = [aws_sqs_queue.activities.arn]
    }
    error_message = "Only the queue of the activities may use the DLQ of the activities."
  }
  assert {
    condition     = aws_sqs_queue.activities.visibility_timeout_seconds == 6 * local.aggregator_timeout_seconds
    error_message = "The visibility timeout must be six times the aggregator's timeout."
  }
  assert {
    condition     = aws_sqs_queue.activities.message_retention_seconds == 1209600 && aws_sqs_queue.activities_dead_letters.message_retention_seconds == 1209600
    error_message = "Messages must be kept for 14 days, the maximum of SQS."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.activities.event_source_arn == aws_sqs_queue.activities.arn && aws_lambda_event_source_mapping.activities.function_name == module.aggregator.alias_arn
    error_message = "The mapping must connect the queue to the alias live of the aggregator."
  }
  assert {
    condition     = contains(aws_lambda_event_source_mapping.activities.function_response_types, "ReportBatchItemFailures")
    error_message = "The mapping must accept partial batch responses, or one bad message causes the whole batch to be redelivered."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.activities.scaling_config[0].maximum_concurrency == var.function_concurrency.aggregator
    error_message = "The mapping's concurrency must be the aggregator's, or throttled messages use up their deliveries."
  }
  assert {
    condition     = toset(keys(aws_sqs_queue_policy.tls_only)) == toset(keys(local.queues))
    error_message = "Every queue must refuse connections without TLS."
  }

  assert {
    # crates/aggregator/src/queue.rs has the pauses: their sum for 1,000 deliveries is longer than the queue keeps a message.
    condition     = jsondecode(aws_sqs_queue.activities.redrive_policy).maxReceiveCount == 1000
    error_message = "An outage must not turn messages into dead letters for as long as the queue keeps them. SQS allows 1,000 receives."
  }

  # scheduler -> snapshot

  assert {
    condition     = aws_scheduler_schedule.snapshot.target[0].arn == module.snapshot.alias_arn && aws_scheduler_schedule.snapshot.target[0].role_arn == aws_iam_role.snapshot_schedule.arn
    error_message = "The schedule must invoke the alias live of the snapshot, with its own role."
  }
  assert {
    condition     = aws_scheduler_schedule.snapshot.target[0].dead_letter_config[0].arn == aws_sqs_queue.snapshot_dead_letters.arn
    error_message = "Runs that the scheduler cannot start must go to a DLQ."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.snapshot.destination_config[0].on_failure[0].destination == aws_sqs_queue.snapshot_dead_letters.arn && aws_lambda_function_event_invoke_config.snapshot.qualifier == module.snapshot.alias_name
    error_message = "Failed runs of the snapshot's alias live must go to a DLQ."
  }
  assert {
    condition     = aws_scheduler_schedule.snapshot.schedule_expression == "rate(1 minute)"
    error_message = "By default the boards must be published every minute."
  }
  assert {
    condition     = local.stale_age_seconds >= 2 * local.snapshot_every_seconds
    error_message = "A board must not be stale before two snapshots are missing."
  }

  # page

  assert {
    condition     = length(setsubtract(["index.html", "admin.html", "admin/admin.js"], keys(aws_s3_object.dashboard))) == 0 && !contains(keys(aws_s3_object.dashboard), "config.js")
    error_message = "All files of the page must be deployed, except the config.js of the local stack."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.dashboard[0].policy).Statement :
      statement.Condition.StringEquals["AWS:SourceArn"] == aws_cloudfront_distribution.edge[0].arn
      if statement.Effect == "Allow"
    ])
    error_message = "Only this distribution may read the bucket."
  }
  assert {
    condition     = aws_cloudfront_distribution.edge[0].default_cache_behavior[0].response_headers_policy_id == aws_cloudfront_response_headers_policy.dashboard[0].id
    error_message = "The page must be served with its security headers."
  }

  # what is closed by default

  assert {
    condition     = aws_lambda_function_url.ingest.authorization_type == "AWS_IAM" && aws_lambda_function_url.serve.authorization_type == "AWS_IAM"
    error_message = "Function URLs must want signed requests."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.dashboard[0].block_public_acls,
      aws_s3_bucket_public_access_block.dashboard[0].block_public_policy,
      aws_s3_bucket_public_access_block.dashboard[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.dashboard[0].restrict_public_buckets,
    ])
    error_message = "The bucket must not be public."
  }
  assert {
    condition = alltrue([
      for table in [aws_dynamodb_table.activities, aws_dynamodb_table.dedup, aws_dynamodb_table.standings, aws_dynamodb_table.snapshots, aws_dynamodb_table.people] :
      table.deletion_protection_enabled && table.billing_mode == "PAY_PER_REQUEST"
    ])
    error_message = "By default tables must be on-demand and protected from deletion."
  }
  assert {
    condition     = aws_dynamodb_table.activities.point_in_time_recovery[0].enabled && aws_dynamodb_table.people.point_in_time_recovery[0].enabled
    error_message = "By default the tables of activities and people, which cannot be rebuilt, must have point-in-time recovery."
  }

  # the profiles stay in their table

  assert {
    condition     = aws_dynamodb_table.people.hash_key == "directory" && aws_dynamodb_table.people.range_key == "id"
    error_message = "The table of people must have the keys that crates/store has."
  }
  assert {
    condition     = !coalesce(aws_dynamodb_table.people.stream_enabled, false) && length(aws_dynamodb_table.people.ttl) == 0
    error_message = "Profiles must not leave their table by a stream, and must not expire."
  }
}

run "prompt" {
  variables {
    batching = "prompt"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.activities.batch_size == 10 && aws_lambda_event_source_mapping.activities.maximum_batching_window_in_seconds == 0
    error_message = "Prompt batching must not wait."
  }
}

run "every_five_minutes" {
  variables {
    snapshot_every_minutes = 5
  }
  assert {
    condition     = aws_scheduler_schedule.snapshot.schedule_expression == "rate(5 minutes)" && local.stale_age_seconds == 900
    error_message = "The schedule and the limit of staleness must follow snapshot_every_minutes."
  }
}

run "own_key" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
  }
  assert {
    condition = alltrue([
      for table in [aws_dynamodb_table.activities, aws_dynamodb_table.dedup, aws_dynamodb_table.standings, aws_dynamodb_table.snapshots, aws_dynamodb_table.people] :
      table.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    ])
    error_message = "Every table must be encrypted with kms_key_arn."
  }
  assert {
    condition     = alltrue([for queue in local.queues : queue.kms_master_key_id == var.kms_key_arn])
    error_message = "Every queue must be encrypted with kms_key_arn."
  }
}
