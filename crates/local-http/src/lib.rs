//! How the local stack serves HTTP, whichever API stands behind the listener.

mod no_delay;

pub use no_delay::without_delay;
