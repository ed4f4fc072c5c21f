//! Podium on AWS: what Terraform makes, over mocked AWS and over an emulator of it.

mod applied;
mod apply;
mod coupled;
mod defaults;
mod deployment;
mod emulator;
mod environments;
mod permissions;
mod pipe;
#[path = "../end_to_end/stack.rs"]
#[expect(dead_code, reason = "the end-to-end tests use all of it")]
mod stack;
mod zips;
