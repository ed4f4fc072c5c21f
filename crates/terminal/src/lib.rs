//! Parses and prints values for commands: durations, grouped numbers, ages and untrusted text.

pub mod duration;
pub mod text;
