//! Tools for operators: [`dlq`], [`reconcile`], [`rebuild`], [`archive`], and what concerns one person ([`person`], [`erase`]). Each
//! subcommand is a module with its arguments, its help and `run`. They work the same way on the local stack and on AWS.

pub mod archive;
mod counts;
pub mod deployment;
pub mod dlq;
pub mod erase;
pub mod person;
pub mod price;
pub mod rebuild;
pub mod reconcile;
mod rewards;
