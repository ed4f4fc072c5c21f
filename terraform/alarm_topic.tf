# Alarms are published here. Subscribe a pager or a chat to it as well.
resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:Encrypted with kms_key_arn if it is set. CloudWatch cannot publish to a topic that is encrypted with an AWS-managed key.
  name              = "${local.name}-alarms"
  kms_master_key_id = var.kms_key_arn
  tags              = { stage = "observability" }
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      merge(local.tls_only, {
        Action   = "sns:Publish"
        Resource = aws_sns_topic.alarms.arn
      }),
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_email" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}
