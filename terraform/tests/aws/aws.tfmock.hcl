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
  target = aws_dynamodb_table.people
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-people"
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
    arn        = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-ingest:live"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:111122223333:function:podium-test-ingest:live/invocations"
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
    arn        = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-serve:live"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:111122223333:function:podium-test-serve:live/invocations"
  }
}

override_resource {
  target = module.directory.aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-directory"
    id  = "podium-test-directory"
  }
}

override_resource {
  target = module.directory.aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-directory"
  }
}

override_resource {
  target = module.directory.aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-directory"
    version = "7"
  }
}

override_resource {
  target = module.directory.aws_lambda_alias.live
  values = {
    arn        = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-directory:live"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:111122223333:function:podium-test-directory:live/invocations"
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
  target = aws_dynamodb_table.coins[0]
  values = {
    arn        = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-coins"
    stream_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-coins/stream/2026-01-01T00:00:00.000"
  }
}

override_resource {
  target = aws_dynamodb_table.progress[0]
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-progress"
  }
}

override_resource {
  target = aws_sqs_queue.rewards[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-rewards"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-rewards"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-rewards"
  }
}

override_resource {
  target = aws_sqs_queue.rewards_dead_letters[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-rewards-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-rewards-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-rewards-dlq"
  }
}

override_resource {
  target = aws_sqs_queue.event_pipe_dead_letters["facts"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-facts-pipe-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-facts-pipe-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-facts-pipe-dlq"
  }
}

override_resource {
  target = aws_sns_topic.events["facts"]
  values = {
    arn = "arn:aws:sns:us-east-1:111122223333:podium-test-facts"
  }
}

override_resource {
  target = aws_iam_role.event_pipe["facts"]
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-facts-pipe"
    id  = "podium-test-facts-pipe"
  }
}

override_resource {
  target = module.rewards[0].aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-rewards"
    id  = "podium-test-rewards"
  }
}

override_resource {
  target = module.rewards[0].aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-rewards"
  }
}

override_resource {
  target = module.rewards[0].aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-rewards"
    version = "7"
  }
}

override_resource {
  target = aws_sqs_queue.events[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-events"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-events"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-events"
  }
}

override_resource {
  target = aws_sqs_queue.events_dead_letters[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-events-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-events-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-events-dlq"
  }
}

override_resource {
  target = aws_cloudwatch_event_rule.events[0]
  values = {
    arn = "arn:aws:events:us-east-1:111122223333:rule/learning/podium-test-events"
  }
}

override_resource {
  target = aws_sqs_queue.notices["webhook-crm"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-webhook-crm"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-webhook-crm"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-webhook-crm"
  }
}

override_resource {
  target = aws_sqs_queue.notices_dead_letters["webhook-crm"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-webhook-crm-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-webhook-crm-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-webhook-crm-dlq"
  }
}

override_resource {
  target = aws_sqs_queue.notices["mail"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-mail"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-mail"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-mail"
  }
}

override_resource {
  target = aws_sqs_queue.notices_dead_letters["mail"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-mail-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-mail-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-mail-dlq"
  }
}

override_resource {
  target = aws_sqs_queue.event_pipe_dead_letters["coins"]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-coins-pipe-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-coins-pipe-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-coins-pipe-dlq"
  }
}

override_resource {
  target = aws_sns_topic.events["coins"]
  values = {
    arn = "arn:aws:sns:us-east-1:111122223333:podium-test-coins"
  }
}

override_resource {
  target = aws_sns_topic.coin_mail[0]
  values = {
    arn = "arn:aws:sns:us-east-1:111122223333:podium-test-coin-mail"
  }
}

override_resource {
  target = aws_iam_role.event_pipe["coins"]
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-coins-pipe"
    id  = "podium-test-coins-pipe"
  }
}

override_resource {
  target = aws_dynamodb_table.notices[0]
  values = {
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table/podium-test-notices"
  }
}

override_resource {
  target = module.notifier[0].aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-notifier"
    id  = "podium-test-notifier"
  }
}

override_resource {
  target = module.notifier[0].aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-notifier"
  }
}

override_resource {
  target = module.notifier[0].aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-notifier:live"
  }
}

override_resource {
  target = module.notifier[0].aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-notifier"
    version = "8"
  }
}

override_resource {
  target = module.bridge[0].aws_iam_role.function
  values = {
    arn = "arn:aws:iam::111122223333:role/podium-test-bridge"
    id  = "podium-test-bridge"
  }
}

override_resource {
  target = module.bridge[0].aws_cloudwatch_log_group.function
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/podium-test-bridge"
  }
}

override_resource {
  target = module.bridge[0].aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-bridge:live"
  }
}

override_resource {
  target = module.bridge[0].aws_lambda_function.function
  values = {
    arn     = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-bridge"
    version = "8"
  }
}

override_resource {
  target = aws_sqs_queue.bridge[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-bridge"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-bridge"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-bridge"
  }
}

override_resource {
  target = aws_sqs_queue.bridge_dead_letters[0]
  values = {
    arn = "arn:aws:sqs:us-east-1:111122223333:podium-test-bridge-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-bridge-dlq"
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/podium-test-bridge-dlq"
  }
}

override_resource {
  target = module.rewards[0].aws_lambda_alias.live
  values = {
    arn = "arn:aws:lambda:us-east-1:111122223333:function:podium-test-rewards:live"
  }
}

override_resource {
  target = aws_lambda_function_url.ingest
  values = {
    function_url = "https://ingest.lambda-url.us-east-1.on.aws/"
  }
}

override_resource {
  target = aws_lambda_function_url.serve
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
  target = aws_cloudfront_distribution.edge[0]
  values = {
    arn            = "arn:aws:cloudfront::111122223333:distribution/E1"
    id             = "E1"
    domain_name    = "board.cloudfront.net"
    hosted_zone_id = "Z2FDTNDATAQYW2"
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

override_resource {
  target = aws_cloudfront_origin_access_control.dashboard[0]
  values = { id = "access-to-files" }
}

override_resource {
  target = aws_cloudfront_origin_access_control.boards[0]
  values = { id = "access-to-boards" }
}

override_resource {
  target = aws_cloudfront_cache_policy.boards[0]
  values = { id = "cache-boards" }
}

override_resource {
  target = aws_cloudfront_response_headers_policy.dashboard[0]
  values = { id = "headers-of-page" }
}

override_resource {
  target = aws_cloudfront_response_headers_policy.api[0]
  values = { id = "headers-of-api" }
}

override_resource {
  target = aws_apigatewayv2_api.this[0]
  values = {
    id            = "api1"
    api_endpoint  = "https://api1.execute-api.us-east-1.amazonaws.com"
    execution_arn = "arn:aws:execute-api:us-east-1:111122223333:api1"
  }
}

override_resource {
  target = aws_apigatewayv2_authorizer.token[0]
  values = { id = "token1" }
}

override_resource {
  target = aws_apigatewayv2_integration.this["ingest"]
  values = { id = "to-ingest" }
}

override_resource {
  target = aws_apigatewayv2_integration.this["serve"]
  values = { id = "to-serve" }
}

override_resource {
  target = aws_apigatewayv2_integration.this["directory"]
  values = { id = "to-directory" }
}

override_resource {
  target = aws_cloudwatch_log_group.api[0]
  values = {
    arn = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/vendedlogs/apis/podium-test"
  }
}

override_resource {
  target = aws_wafv2_web_acl.edge[0]
  values = {
    arn = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/podium-test/1"
  }
}

override_resource {
  target = aws_acm_certificate.edge[0]
  values = {
    arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
    domain_validation_options = [{
      domain_name           = "podium.example.com"
      resource_record_name  = "_1.podium.example.com."
      resource_record_type  = "CNAME"
      resource_record_value = "_2.acm-validations.aws."
    }]
  }
}

override_resource {
  target = aws_acm_certificate_validation.edge[0]
  values = { certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1" }
}
