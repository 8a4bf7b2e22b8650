//! How long the parts of a turn take, and the whole program beside `haproxy -c`, by size of the
//! cluster.
//!
//! Times are of the processor, the best of several runs, since machines are shared. `--assert`
//! fails when a promise is broken; promises are ratios within one run, so that they hold anywhere.

mod cluster;
mod generate;
mod labelled;
mod stages;
mod unchanged;

/// Apps, each with this many tasks.
const TASKS: usize = 4;

fn main() {
    let assert = std::env::args().any(|argument| argument == "--assert");
    stages::measure(&[100, 1_000, 5_000, 10_000]);
    let mut kept = generate::measure(5_000);
    kept &= unchanged::measure(5_000);
    kept &= labelled::measure(10_000);
    if assert && !kept {
        eprintln!("a promise is broken");
        std::process::exit(1);
    }
}
