//! What it costs to bring servers to a running HAProxy, beside a reload, and whether requests are lost.
//!
//! The whole program runs beside the built-in Marathon and a real HAProxy, with the native set.
//! `--assert` fails when a promise is broken; `--latency` and `--churn` measure one part alone.

mod churn;
mod host;
mod latency;

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut kept = true;
    if !has("--churn") {
        kept &= latency::measure();
    }
    if !has("--latency") {
        kept &= churn::measure();
    }
    if has("--assert") && !kept {
        eprintln!("a promise is broken");
        std::process::exit(1);
    }
}
