terraform {
  # The lock of the state with a file in its bucket needs 1.10.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      project = var.project
      stage   = "bootstrap"
    }
  }
}

data "aws_caller_identity" "current" {}
