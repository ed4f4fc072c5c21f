//! What is deployed to AWS, as far as it can be tried without AWS.

mod zips;
