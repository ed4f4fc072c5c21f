# One complete deployment on mocked AWS, which tests/on_aws inspect. They pass the environment:
# terraform test -test-directory=tests/deployments -var-file=environments/dev.tfvars

mock_provider "aws" {
  source = "./tests/aws"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/aws"
}

variables {
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "deployed" {}
