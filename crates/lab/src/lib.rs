//! Measurements and trials of the whole system. Each subcommand is a module with its arguments, its
//! help and `run`: [`bench`], [`load`], [`chaos`], [`compare`] and [`legacy`]. Only `podium`'s dispatch and
//! tests depend on this crate.

pub mod bench;
pub mod chaos;
pub mod compare;
pub mod coupled;
pub mod legacy;
pub mod load;
mod measure;
mod trial;
