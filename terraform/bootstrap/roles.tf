locals {
  account_id = data.aws_caller_identity.current.account_id
  issuer     = "token.actions.githubusercontent.com"
  provider_arn = (
    var.create_oidc_provider
    ? aws_iam_openid_connect_provider.github[0].arn
    : "arn:aws:iam::${local.account_id}:oidc-provider/${local.issuer}"
  )

  # Who may assume each role: a job of that environment, or of a pull request. GitHub puts this subject into the token
  # itself; a job cannot choose it.
  subjects = merge(
    { for name in var.environments : name => "repo:${var.repository}:environment:${name}" },
    { plan = "repo:${var.repository}:pull_request" },
  )

  trust_policies = {
    for role, subject in local.subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = subject
          }
        }
      }]
    })
  }

  # Outside the names of the deployments, so that no deployment can change the roles and boundaries made here.
  path = "/${var.project}/bootstrap/"
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "deploy" {
  for_each = var.environments

  name                 = "${var.project}-deploy-${each.key}"
  path                 = local.path
  description          = "Deploys ${each.key} from ${var.repository}."
  assume_role_policy   = local.trust_policies[each.key]
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "deploy" {
  #checkov:skip=CKV_AWS_286:It may create roles only within the boundary below, which bounds what they can do.
  #checkov:skip=CKV_AWS_287:It reads the tables of its own deployment, to test it.
  #checkov:skip=CKV_AWS_288:It reads the tables of its own deployment, to test it.
  #checkov:skip=CKV_AWS_289:It may create roles only within the boundary below, which bounds what they can do.
  #checkov:skip=CKV_AWS_290:Only actions that support no other resource have "*".
  #checkov:skip=CKV_AWS_355:Only actions that support no other resource have "*".
  for_each = var.environments

  name   = "deploy"
  role   = aws_iam_role.deploy[each.key].id
  policy = local.deploy_policies[each.key]
}

resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_290:A boundary grants nothing. Only X-Ray and KMS have "*": KMS's keys are not known here.
  #checkov:skip=CKV_AWS_355:A boundary grants nothing. Only X-Ray and KMS have "*": KMS's keys are not known here.
  for_each = var.environments

  name        = "${var.project}-boundary-${each.key}"
  path        = local.path
  description = "The most that a role of the deployment ${each.key} may do."
  policy      = local.boundaries[each.key]
}

resource "aws_iam_role" "plan" {
  name                 = "${var.project}-plan"
  path                 = local.path
  description          = "Plans for pull requests of ${var.repository}. Reads settings, and no data."
  assume_role_policy   = local.trust_policies["plan"]
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "plan" {
  #checkov:skip=CKV_AWS_355:Only actions that read settings and support no other resource have "*".
  name   = "plan"
  role   = aws_iam_role.plan.id
  policy = local.plan_policy
}
