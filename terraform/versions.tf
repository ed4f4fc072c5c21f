terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

locals {
  tags = {
    project     = var.project
    environment = var.environment
    # Both together, because a budget counts the costs of one tag.
    deployment = local.name
  }
}

provider "aws" {
  region = var.region

  # An emulator has no instance metadata or real account, and serves everything at AWS_ENDPOINT_URL.
  skip_credentials_validation = var.emulated
  skip_metadata_api_check     = var.emulated
  s3_use_path_style           = var.emulated
  max_retries                 = var.emulated ? 2 : null

  default_tags {
    tags = local.tags
  }
}

# CloudFront takes its certificate and its firewall from this region.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"

  skip_credentials_validation = var.emulated
  skip_metadata_api_check     = var.emulated
  max_retries                 = var.emulated ? 2 : null

  default_tags {
    tags = local.tags
  }
}

data "aws_caller_identity" "current" {}
