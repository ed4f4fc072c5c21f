output "repository_variables" {
  description = "Variables of the repository on GitHub, for the plans of pull requests, which are for dev."
  value = {
    AWS_ACCOUNT_ID              = local.account_id
    AWS_REGION                  = var.region
    AWS_ROLE_ARN                = aws_iam_role.plan.arn
    PODIUM_STATE_BUCKET         = aws_s3_bucket.state.bucket
    PODIUM_PERMISSIONS_BOUNDARY = try(aws_iam_policy.boundary["dev"].arn, null)
  }
}

output "environment_variables" {
  description = "Variables of each environment of the repository on GitHub."
  value = {
    for name in var.environments : name => {
      AWS_ROLE_ARN                = aws_iam_role.deploy[name].arn
      PODIUM_PERMISSIONS_BOUNDARY = aws_iam_policy.boundary[name].arn
    }
  }
}
