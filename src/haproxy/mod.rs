//! Facts about the host's HAProxy: its version and dialect, its program, the processes that run
//! and what they say on their sockets.
//!
//! In come paths and texts from this host; out go typed facts. Nothing here knows of Marathon, and
//! nothing here changes a file or signals a process.

mod addable;
pub mod child;
pub mod certificates;
mod dialect;
pub mod down;
pub mod files;
pub mod global;
mod line;
pub mod listen;
pub mod master;
mod old;
pub mod open_files;
pub mod package;
pub mod password;
pub mod process;
pub mod program;
pub mod servers;
pub mod session;
mod short_address;
pub mod socket;
mod sockets;
pub mod statistics;
pub mod structure;
pub mod userlist;
pub mod version;

pub use addable::{SPARE, addable, is_spare, profile_of, sections};
pub use dialect::Dialect;
pub use global::opens_section;
pub use line::Line;
#[cfg(test)]
pub(crate) use line::words;
pub use old::{Connections, OldProcess, old_workers};
pub use process::{Proc, Process, Role};
pub use session::{Payload, Session};
pub use short_address::short_address;
pub use socket::{AskError, Info};
pub use structure::structure_hash;
pub use version::Version;
