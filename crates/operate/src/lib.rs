//! Tools for operators. Each subcommand is a module with its arguments, its help and `run`: [`dlq`],
//! [`reconcile`] and [`rebuild`]. They work alike on the local stack and on AWS.

mod counts;
pub mod deployment;
pub mod dlq;
pub mod price;
pub mod rebuild;
pub mod reconcile;
