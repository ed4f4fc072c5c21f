//! Who may do what.

mod bad_tokens;
pub mod callers;
mod issuer;
mod tools;
