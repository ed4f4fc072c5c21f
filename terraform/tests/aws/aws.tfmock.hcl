# The values that AWS would assign. Every ARN and URL is unique, so that a test can tell them apart.
mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

override_resource {
  target = aws_dynamodb_table.activities
  values = {
    arn        = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-activities"
    stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-activities/stream/2026-11-21T00:00:00.000"
  }
}

override_resource {
  target = aws_dynamodb_table.dedup
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-dedup"
  }
}

override_resource {
  target = aws_dynamodb_table.standings
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-standings"
  }
}

override_resource {
  target = aws_dynamodb_table.snapshots
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-snapshots"
  }
}

override_resource {
  target = aws_sqs_queue.activities
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-activities"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-activities"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-activities"
  }
}

override_resource {
  target = aws_sqs_queue.activities_dead_letters
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-activities-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-activities-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-activities-dlq"
  }
}

override_resource {
  target = aws_sqs_queue.pipe_dead_letters
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-pipe-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-pipe-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-pipe-dlq"
  }
}

override_resource {
  target = aws_sqs_queue.snapshot_dead_letters
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-snapshot-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-snapshot-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-snapshot-dlq"
  }
}

override_resource {
  target = module.ingest.aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-ingest"
    id  = "podium-test-ingest"
  }
}

override_resource {
  target = module.ingest.aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-ingest"
  }
}

override_resource {
  target = module.ingest.aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-ingest"
    version = "7"
  }
}

override_resource {
  target = module.ingest.aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-ingest:live"
  }
}

override_resource {
  target = module.aggregator.aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-aggregator"
    id  = "podium-test-aggregator"
  }
}

override_resource {
  target = module.aggregator.aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-aggregator"
  }
}

override_resource {
  target = module.aggregator.aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-aggregator"
    version = "7"
  }
}

override_resource {
  target = module.aggregator.aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-aggregator:live"
  }
}

override_resource {
  target = module.snapshot.aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-snapshot"
    id  = "podium-test-snapshot"
  }
}

override_resource {
  target = module.snapshot.aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-snapshot"
  }
}

override_resource {
  target = module.snapshot.aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-snapshot"
    version = "7"
  }
}

override_resource {
  target = module.snapshot.aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-snapshot:live"
  }
}

override_resource {
  target = module.serve.aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-serve"
    id  = "podium-test-serve"
  }
}

override_resource {
  target = module.serve.aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-serve"
  }
}

override_resource {
  target = module.serve.aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-serve"
    version = "7"
  }
}

override_resource {
  target = module.serve.aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-serve:live"
  }
}

override_resource {
  target = aws_iam_role.pipe
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-pipe"
    id  = "podium-test-pipe"
  }
}

override_resource {
  target = aws_iam_role.snapshot_schedule
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-snapshot-schedule"
    id  = "podium-test-snapshot-schedule"
  }
}

override_resource {
  target = aws_cloudwatch_log_group.pipe
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/vendedlogs/pipes/podium-test"
  }
}

override_resource {
  target = module.ingest_url.aws_lambda_function_url.this
  values = {
    function_url = "https://ingest.lambda-url.us-east-1.on.aws/"
  }
}

override_resource {
  target = module.serve_url.aws_lambda_function_url.this
  values = {
    function_url = "https://serve.lambda-url.us-east-1.on.aws/"
  }
}

override_resource {
  target = aws_s3_bucket.dashboard[0]
  values = {
    arn                         = "arn:aws:s3:::podium-test-dashboard-111122223333-us-east-1"
    id                          = "podium-test-dashboard-111122223333-us-east-1"
    bucket_regional_domain_name = "podium-test-dashboard-111122223333-us-east-1.s3.amazonaws.com"
  }
}

override_resource {
  target = aws_cloudfront_distribution.dashboard[0]
  values = {
    arn         = "arn:aws:cloudfront::111122223333:distribution/E1"
    domain_name = "board.cloudfront.net"
  }
}

override_resource {
  target = aws_sns_topic.alarms["now"]
  values = {
    arn = "arn:aws:sns:us-east-1:111122223333:podium-test-alarms"
  }
}

override_resource {
  target = aws_sns_topic.alarms["today"]
  values = {
    arn = "arn:aws:sns:us-east-1:111122223333:podium-test-alarms-today"
  }
}
