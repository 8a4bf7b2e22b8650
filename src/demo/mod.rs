//! A small cluster inside this process: a Marathon, backends that really answer, and a client that
//! counts. The `demo` command shows the program at work with it, and the tests judge the program
//! by it.
//!
//! Nothing comes in but calls; what goes out is HTTP and TCP on 127.0.0.1. Every part runs on a
//! thread of its own, so that neither blocks the program under test nor is blocked by it, and
//! so that dropping a part ends it as a crash would: at once, with all its connections. Every wait
//! has a limit and says what was missing. No other module imports this one.

pub mod marathon;
mod ports;
mod thread;
mod wait;

pub use ports::free_ports;
pub use wait::Late;
