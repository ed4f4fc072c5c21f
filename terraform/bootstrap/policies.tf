locals {
  # The resources of a deployment, whose names all begin with PROJECT-ENVIRONMENT.
  resources = {
    for name in var.environments : name => {
      for kind, arn in {
        tables    = "dynamodb:${local.here}:table/NAME-*"
        queues    = "sqs:${local.here}:NAME-*"
        functions = "lambda:${local.here}:function:NAME-*"
        topics    = "sns:${local.here}:NAME-*"
        secrets   = "secretsmanager:${local.here}:secret:NAME/*"
        pipes     = "pipes:${local.here}:pipe/NAME-*"
        # Of the default bus, and of a bus with a name.
        rules     = "events:${local.here}:rule/NAME-*"
        bus_rules = "events:${local.here}:rule/*/NAME-*"
        schedules = "scheduler:${local.here}:schedule/NAME-*"
        groups    = "scheduler:${local.here}:schedule-group/NAME-*"
        alarms    = "cloudwatch:${local.here}:alarm:NAME-*"
        boards    = "cloudwatch::${local.account_id}:dashboard/NAME"
        logs      = "logs:${local.here}:log-group:/aws/lambda/NAME-*"
        pipe_logs = "logs:${local.here}:log-group:/aws/vendedlogs/pipes/NAME*"
        api_logs  = "logs:${local.here}:log-group:/aws/vendedlogs/apis/NAME*"
        firewalls = "wafv2:us-east-1:${local.account_id}:global/webacl/NAME/*"
        roles     = "iam::${local.account_id}:role/NAME-*"
        policies  = "iam::${local.account_id}:policy/NAME-*"
        files     = "s3:::NAME-dashboard-*"
        budgets   = "budgets::${local.account_id}:budget/NAME-*"
      } : kind => "arn:aws:${replace(arn, "NAME", "${var.project}-${name}")}"
    }
  }
  here = "${var.region}:${local.account_id}"

  # Terraform names the state of a workspace like this.
  states = { for name in var.environments : name => "${aws_s3_bucket.state.arn}/env:/${name}/podium.tfstate" }

  # AWS chooses the ids of HTTP APIs and certificates, so these are those of all environments.
  apis         = [for path in ["apis", "apis/*", "tags/*"] : "arn:aws:apigateway:${var.region}::/${path}"]
  certificates = "arn:aws:acm:us-east-1:${local.account_id}:certificate/*"
  # The rules that AWS writes, which a firewall refers to.
  managed_rules = "arn:aws:wafv2:us-east-1:${local.account_id}:global/managedruleset/*/*"

  # Settings that a plan reads. None of these actions returns what users sent.
  reads_of_settings = [
    "acm:DescribeCertificate", "acm:ListTagsForCertificate",
    "apigateway:GET",
    "budgets:ListTagsForResource", "budgets:ViewBudget",
    "cloudformation:GetResource", "cloudformation:GetResourceRequestStatus", "cloudformation:ListResources",
    "cloudfront:Get*", "cloudfront:List*",
    "cloudwatch:DescribeAlarms", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
    "dynamodb:Describe*", "dynamodb:ListTagsOfResource",
    "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule",
    "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole", "iam:ListPolicyVersions", "iam:ListRolePolicies",
    "lambda:Get*", "lambda:List*",
    "logs:DescribeLogGroups", "logs:DescribeMetricFilters", "logs:ListTagsForResource",
    "pipes:DescribePipe", "pipes:ListTagsForResource",
    "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetAccelerateConfiguration",
    "s3:GetReplicationConfiguration", "s3:ListBucket",
    "scheduler:GetSchedule", "scheduler:GetScheduleGroup", "scheduler:ListTagsForResource",
    "sns:Get*", "sns:ListTagsForResource",
    "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags",
    "wafv2:GetWebACL", "wafv2:ListTagsForResource",
  ]

  deploy_policies = {
    for name, arns in local.resources : name => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "State"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = [local.states[name], "${local.states[name]}.tflock"]
        },
        {
          Sid      = "ReadSettings"
          Effect   = "Allow"
          Action   = local.reads_of_settings
          Resource = "*"
        },
        {
          Sid    = "OwnResources"
          Effect = "Allow"
          Action = [
            "budgets:*", "cloudwatch:*", "dynamodb:*", "events:*", "lambda:*", "logs:*", "pipes:*", "s3:*", "scheduler:*", "sns:*", "sqs:*",
            "wafv2:*",
          ]
          Resource = concat(
            [
              arns.tables, arns.queues, arns.functions, arns.topics, arns.pipes, arns.rules, arns.bus_rules, arns.schedules, arns.groups,
              arns.alarms, arns.boards, arns.logs, arns.pipe_logs, arns.api_logs,
              arns.budgets, arns.firewalls, local.managed_rules,
            ],
            [arns.files, "${arns.files}/*"],
          )
        },
        {
          Sid      = "Apis"
          Effect   = "Allow"
          Action   = ["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT", "apigateway:TagResource", "apigateway:UntagResource"]
          Resource = local.apis
        },
        {
          Sid      = "Certificates"
          Effect   = "Allow"
          Action   = ["acm:AddTagsToCertificate", "acm:DeleteCertificate", "acm:RemoveTagsFromCertificate", "acm:RequestCertificate"]
          Resource = local.certificates
        },
        {
          Sid       = "OwnMappings"
          Effect    = "Allow"
          Action    = ["lambda:CreateEventSourceMapping", "lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"]
          Resource  = "*"
          Condition = { ArnLike = { "lambda:FunctionArn" = arns.functions } }
        },
        {
          # Their names are chosen by AWS, or they support no resource.
          Sid    = "Unnamed"
          Effect = "Allow"
          Action = [
            "cloudformation:CreateResource", "cloudformation:DeleteResource", "cloudformation:UpdateResource",
            "cloudfront:CreateCachePolicy", "cloudfront:CreateDistribution", "cloudfront:CreateOriginAccessControl",
            "cloudfront:CreateResponseHeadersPolicy",
            "cloudfront:DeleteCachePolicy", "cloudfront:DeleteDistribution", "cloudfront:DeleteOriginAccessControl",
            "cloudfront:DeleteResponseHeadersPolicy",
            "cloudfront:TagResource", "cloudfront:UntagResource",
            "cloudfront:UpdateCachePolicy", "cloudfront:UpdateDistribution", "cloudfront:UpdateOriginAccessControl",
            "cloudfront:UpdateResponseHeadersPolicy",
            "lambda:TagResource", "lambda:UntagResource",
            "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies", "logs:GetLogDelivery",
            "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
          ]
          Resource = "*"
        },
        {
          # Without the boundary, a new role could do anything.
          Sid       = "BoundedRoles"
          Effect    = "Allow"
          Action    = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
          Resource  = arns.roles
          Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary[name].arn } }
        },
        {
          Sid      = "OwnRoles"
          Effect   = "Allow"
          Action   = ["iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"]
          Resource = arns.roles
        },
        {
          Sid       = "PassRoles"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = arns.roles
          Condition = { StringEquals = { "iam:PassedToService" = ["lambda.amazonaws.com", "pipes.amazonaws.com", "scheduler.amazonaws.com"] } }
        },
        {
          Sid    = "OwnPolicies"
          Effect = "Allow"
          Action = [
            "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion",
            "iam:TagPolicy", "iam:UntagPolicy",
          ]
          Resource = arns.policies
        },
      ]
    })
  }

  boundaries = {
    for name, arns in local.resources : name => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "OwnData"
          Effect = "Allow"
          Action = [
            "dynamodb:*Item", "dynamodb:PartiQL*", "dynamodb:Query", "dynamodb:Scan",
            "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
            "lambda:InvokeFunction",
            "logs:CreateLogStream", "logs:PutLogEvents",
            "sns:Publish",
            "sqs:ChangeMessageVisibility*", "sqs:DeleteMessage*", "sqs:GetQueue*", "sqs:ReceiveMessage", "sqs:SendMessage*",
          ]
          Resource = [arns.tables, arns.functions, arns.logs, arns.pipe_logs, arns.queues, arns.topics]
        },
        {
          # What signs the events of webhooks.
          Sid      = "OwnSecrets"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = arns.secrets
        },
        {
          Sid      = "Trace"
          Effect   = "Allow"
          Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
          Resource = "*"
        },
        {
          Sid       = "UseKeysThroughServices"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = "*"
          Condition = { StringLike = { "kms:ViaService" = [for service in ["dynamodb", "lambda", "sns", "sqs"] : "${service}.${var.region}.amazonaws.com"] } }
        },
      ]
    })
  }

  plan_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadStates"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for name, state in local.states : state]
      },
      {
        # A plan compares the dashboard's files, which are public.
        Sid      = "ReadFiles"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectTagging"]
        Resource = [for name, arns in local.resources : "${arns.files}/*"]
      },
      {
        # The quests are an item of the table of coins. What else is in it says what people did.
        Sid      = "ReadQuests"
        Effect   = "Allow"
        Action   = "dynamodb:GetItem"
        Resource = [for name, arns in local.resources : replace(arns.tables, "-*", "-coins")]
        Condition = {
          "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["~quests"] }
          # ForAllValues is also true of a request without keys.
          Null = { "dynamodb:LeadingKeys" = ["false"] }
        }
      },
      {
        Sid      = "ReadSettings"
        Effect   = "Allow"
        Action   = local.reads_of_settings
        Resource = "*"
      },
    ]
  })
}
