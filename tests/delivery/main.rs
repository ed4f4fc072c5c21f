//! Deploying: the scripts, with programs in place of Terraform and AWS that write down how they are called, and the
//! workflows; and the security policy.

mod account;
mod deploy;
mod sandbox;
mod security;
mod tools;
mod workflows;
