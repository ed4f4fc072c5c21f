//! Tests of the whole system: the real function binaries on the embedded stack, or the functions' libraries
//! on its tables where a test needs to control the clock.

mod arrays;
mod aws_cli;
mod bad_input;
mod boards;
mod cli;
mod corpus;
mod counting;
mod data_set;
mod erasure;
mod events;
mod failures;
mod fixtures;
mod generations;
mod history;
mod ids;
mod independence;
mod legacy_answer;
mod login;
mod migration;
mod openapi;
mod people;
mod periods;
mod points;
mod release;
mod retries;
mod rewards;
mod serving;
mod stack;
mod tables;
mod teams;
mod ties;
mod windows;
