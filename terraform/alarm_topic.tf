# Alarms are published here: those to act on at once, and those to handle on the next working day. Subscribe a pager to
# the first and a chat to the second.
locals {
  alarm_topic_names = {
    now   = "${local.name}-alarms"
    today = "${local.name}-alarms-today"
  }

  alarm_emails = {
    now   = var.alarm_email_now == null ? var.alarm_email : var.alarm_email_now
    today = var.alarm_email
  }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:Encrypted with kms_key_arn if it is set. CloudWatch cannot publish to a topic that is encrypted with an AWS-managed key.
  for_each = local.alarm_topic_names

  name              = each.value
  kms_master_key_id = var.kms_key_arn
  tags              = { stage = "observability" }
}

resource "aws_sns_topic_policy" "alarms" {
  for_each = aws_sns_topic.alarms

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      merge(local.tls_only, {
        Action   = "sns:Publish"
        Resource = each.value.arn
      }),
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_email" {
  for_each = { for severity, email in local.alarm_emails : severity => email if email != null }

  topic_arn = aws_sns_topic.alarms[each.key].arn
  protocol  = "email"
  endpoint  = each.value
}

# There was one topic for all alarms. It is now the one for those to act on at once, since pagers are subscribed to it.
moved {
  from = aws_sns_topic.alarms
  to   = aws_sns_topic.alarms["now"]
}
moved {
  from = aws_sns_topic_policy.alarms
  to   = aws_sns_topic_policy.alarms["now"]
}
moved {
  from = aws_sns_topic_subscription.alarm_email[0]
  to   = aws_sns_topic_subscription.alarm_email["now"]
}
