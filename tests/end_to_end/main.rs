//! The whole system: the real function binaries over the embedded stack, and the functions'
//! libraries over its tables where a test needs a clock of its own.

mod aws_cli;
mod bad_input;
mod cli;
mod corpus;
mod counting;
mod data_set;
mod fixtures;
mod generations;
mod history;
mod independence;
mod openapi;
mod release;
mod serving;
mod stack;
mod tables;
mod windows;
