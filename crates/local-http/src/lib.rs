//! How the local stack serves HTTP, whichever API is behind the listener: with bounded connections
//! ([`serve`]), and behind a [`Guard`] of hosts, methods and bodies.

mod body;
mod guard;
mod host;
mod open_files;
mod server;

pub use guard::Guard;
pub use host::{ALLOWED_HOSTS_MAX, AllowedHosts, Host, InvalidHost, requested_host};
pub use open_files::raise_open_files_limit;
pub use server::{CONNECTIONS_MAX, IDLE_MAX, serve};
