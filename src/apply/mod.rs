//! Brings the host to a candidate: who may change it, and how the files get there whole.
//!
//! In comes a set of files that HAProxy accepted; out comes what was replaced. At every step in
//! between, and after a kill or a full disk at any of them, the files that lie there are a set that
//! HAProxy accepts and that serves.

mod again;
mod at_runtime;
mod audit;
mod balancer;
mod beside;
mod certificates;
mod files;
mod journal;
mod last_good;
mod leftovers;
mod listen_again;
mod local;
mod lock;
mod look_after;
mod maps;
mod mark;
mod meanwhile;
mod outcome;
mod plan;
mod proved;
mod put_back;
mod recover;
pub mod reload;
pub mod runtime;
mod servers;
mod stand_ins;
mod standby;
mod standing;
mod transaction;
pub mod validate;
mod way_back;
mod wish;

pub use at_runtime::Untold;
pub use balancer::{Balancer, Retry, Try};
pub use beside::Beside;
pub use files::{FileSet, InstallError, Installation, Installed, differences, install};
pub use last_good::{GoodSet, forget_good, good_sets, keep_last_good, load_last_good};
pub use local::LocalHaproxy;
pub use lock::{
    Acquired, FolderLock, Holder, Kind, LockPlaces, Locked, acquire, acquire_folder, watcher,
};
pub use look_after::Looked;
pub use mark::reserve_mark;
pub use meanwhile::tell_servers_alone;
pub use outcome::Outcome;
pub use proved::{installed, is_proved, trust_installed};
pub use recover::{Recovered, Recovery, recover};
pub use standby::Standby;
pub use standing::Standing;
pub use transaction::{Accepted, Host};
pub use validate::CheckMessage;
pub use way_back::WayBack;

#[cfg(test)]
mod tests;
