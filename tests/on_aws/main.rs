//! Podium on AWS: what Terraform creates, on mocked AWS and in an AWS emulator.

mod applied;
mod coupled;
mod defaults;
mod deployment;
/// Takes minutes, mostly of waiting: `scripts/test` runs it beside the other tests.
mod emulated;
mod emulator;
mod environments;
mod permissions;
mod pipe;
mod provider;
#[path = "../end_to_end/stack.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest of it")]
mod stack;
mod tables;
mod zips;
