//! Deploying: the scripts, with programs in place of Terraform and AWS that write down how they are called, and the
//! workflows.

mod account;
mod deploy;
mod sandbox;
mod tools;
mod workflows;
