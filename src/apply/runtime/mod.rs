//! Brings a running HAProxy to servers, backends, maps and certificates that came, went or changed, without a
//! reload.
//!
//! In come the files that are installed and the stats socket; out goes what was told, or why a reload
//! has to do it. The file is written first, so that whoever starts HAProxy meanwhile has the same.

mod backends;
mod certificates;
mod converge;
mod fallback;
mod frame;
mod maps;
mod step;
mod tell;
mod told;
mod wanted;

pub use certificates::Renewed;
pub use converge::{Compared, Refusal, converge};
pub use fallback::Fallback;
pub use frame::Frame;
pub use maps::MapText;
pub use step::{Addition, Patience, Reply, Step, Target, Will};
pub use tell::{Limits, Serving, Text, mark_of, tell, tell_over};
pub use told::Told;
pub use wanted::{Backend, Said, Server, backends};
