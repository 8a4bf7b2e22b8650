//! What it costs to follow Marathon: from an event to the installed file, processor, bytes, memory.
//!
//! The whole program runs beside the built-in Marathon, with the real `haproxy -c`. `--assert` fails
//! when a promise is broken; `--soak` sends 100,000 events and looks at memory alone.

mod cluster;
mod follow;
mod quiet;
mod soak;

/// Each app has this many tasks.
const TASKS: usize = 4;

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let kept = if has("--soak") {
        soak::measure(1_000, 100_000)
    } else {
        follow::measure(&[100, 1_000, 5_000, 10_000]) & quiet::measure(1_000)
    };
    if has("--assert") && !kept {
        eprintln!("a promise is broken");
        std::process::exit(1);
    }
}
