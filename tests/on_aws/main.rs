//! What runs on AWS, as Terraform wires it.

mod pipe;
