# One whole deployment over mocked AWS, for tests/on_aws to look at. The environment is given from outside:
# terraform test -test-directory=tests/deployments -var-file=environments/dev.tfvars

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "deployed" {}
