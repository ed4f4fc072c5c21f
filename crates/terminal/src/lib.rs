//! How commands parse and print values: durations, grouped numbers, ages, and text from others.

pub mod duration;
pub mod text;
