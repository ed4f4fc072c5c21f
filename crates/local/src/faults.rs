//! Fault injection: the stack injects faults into itself to test the functions. They are drawn from a seed.
//!
//! Code that can inject a fault draws first. The n-th draw of a kind is a hash of the seed, the kind and
//! n, so the same seed gives the same decisions. A seed does not determine which call gets which decision,
//! because processes run concurrently: a second run resembles the first but does not repeat it step by
//! step. The simulation does that.

mod calls;
mod injector;
mod kind;
mod partial;
mod plan;
mod processes;

pub(crate) use self::calls::{CallFault, calls_from_function};
pub(crate) use self::injector::{Injector, Line};
pub use self::kind::{Fault, UnknownFault};
pub use self::plan::Faults;
