mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::podium-state-111122223333-us-east-1" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/podium/bootstrap/podium-boundary" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/podium/bootstrap/podium-role" }
  }
}

variables {
  repository = "example/podium"
}

run "roles_and_state" {
  assert {
    condition = {
      for name, role in merge(aws_iam_role.deploy, { plan = aws_iam_role.plan }) :
      name => jsondecode(role.assume_role_policy).Statement[0].Condition
      } == {
      for name, subject in {
        dev     = "repo:example/podium:environment:dev"
        staging = "repo:example/podium:environment:staging"
        prod    = "repo:example/podium:environment:prod"
        plan    = "repo:example/podium:pull_request"
      } :
      name => {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = subject
        }
      }
    }
    error_message = "Each role must trust the jobs of its own environment, and no others."
  }

  assert {
    condition = alltrue([
      for name, policy in aws_iam_role_policy.deploy :
      alltrue([for other in setsubtract(var.environments, [name]) : !strcontains(policy.policy, "podium-${other}") && !strcontains(policy.policy, "env:/${other}/")])
    ])
    error_message = "The role of one environment must not name resources or the state of another."
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.deploy : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Sid == "BoundedRoles" ? statement.Condition.StringEquals["iam:PermissionsBoundary"] == "arn:aws:iam::111122223333:policy/podium/bootstrap/podium-boundary" :
        length(setintersection(flatten([statement.Action]), ["*", "iam:*", "iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary"])) == 0
      ])
    ])
    error_message = "A deployment must not be able to make a role without the boundary."
  }

  # Actions that support no resource, or that read settings only.
  assert {
    condition = alltrue([
      for statement in concat(flatten([for policy in aws_iam_role_policy.deploy : jsondecode(policy.policy).Statement]), jsondecode(aws_iam_role_policy.plan.policy).Statement) :
      statement.Resource == "*" ? contains(["ReadSettings", "OwnMappings", "Unnamed"], statement.Sid) : true
    ])
    error_message = "Only these statements may apply to every resource."
  }

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Action if statement.Sid != "ReadQuests"]) :
      can(regex("^[a-z0-9]+:(Get|GET|List|Describe|View)", action)) && !contains(["dynamodb:GetItem", "dynamodb:GetRecords", "logs:GetLogEvents"], action)
    ])
    error_message = "The role of pull requests must only read, and no data."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement :
      "${statement.Action} ${jsonencode(statement.Condition["ForAllValues:StringEquals"])} ${jsonencode(statement.Condition.Null)}" if statement.Sid == "ReadQuests"
    ] == ["dynamodb:GetItem {\"dynamodb:LeadingKeys\":[\"~quests\"]} {\"dynamodb:LeadingKeys\":[\"false\"]}"]
    error_message = "Of the coins, the role of pull requests must read the quests alone."
  }

  # IAM's limit for all inline policies of a role, and for a managed policy.
  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.deploy : length(policy.policy) <= 10240]) && alltrue([for boundary in aws_iam_policy.boundary : length(boundary.policy) <= 6144])
    error_message = "A policy is longer than IAM allows."
  }

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled" && one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The state must be versioned and encrypted."
  }
  assert {
    condition     = alltrue([for blocked in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] : aws_s3_bucket_public_access_block.state[blocked]])
    error_message = "The state must not become public."
  }
  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : [statement.Effect, statement.Action, statement.Condition.Bool["aws:SecureTransport"]]] == [["Deny", "s3:*", "false"]]
    error_message = "The state must be reached by TLS only."
  }
}

run "refuses_names_that_reach_further" {
  command = plan

  variables {
    repository   = "example/*"
    environments = ["dev", "dev-2"]
  }

  expect_failures = [var.repository, var.environments]
}
