//! Podium on AWS: what Terraform makes, over mocked AWS and over an emulator of it.

mod defaults;
mod deployment;
mod environments;
mod permissions;
mod pipe;
