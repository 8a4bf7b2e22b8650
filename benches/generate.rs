//! The whole program beside `haproxy -c` on what it wrote.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

use super::{TASKS, cluster};

const RUNS: usize = 7;

/// `generate` costs at most as much as HAProxy's own check of the result.
const PROMISE: f64 = 1.0;

/// Prints the two and their ratio; `false` when the promise is broken.
pub(crate) fn measure(apps: usize) -> bool {
    let folder = TempDir::new().expect("a temporary folder");
    let answer = folder.path().join("apps.json");
    let cfg = folder.path().join("haproxy.cfg");
    fs::write(&answer, cluster::answer(apps, TASKS)).expect("the answer is written");
    let mut generate = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
    generate.args(["generate", "--template-set", "bridge", "--marathon"]);
    generate.arg(format!("file:{}", answer.display()));
    let mut check = Command::new(haproxy());
    check.arg("-c").arg("-f").arg(&cfg);

    // Alternately, so that both meet the same weather.
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        ours = ours.min(cpu(
            generate.stdout(fs::File::create(&cfg).expect("the output is made"))
        ));
        theirs = theirs.min(cpu(&mut check));
    }
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let kept = ratio <= PROMISE;
    println!("whole program, CPU ms (best of {RUNS}), {apps} apps x {TASKS} tasks");
    println!("{:>20} {:>8.1}", "generate", ours.as_secs_f64() * 1e3);
    println!("{:>20} {:>8.1}", "haproxy -c", theirs.as_secs_f64() * 1e3);
    println!(
        "{:>20} {ratio:>8.2}  (promise: at most {PROMISE}, {})",
        "ratio",
        if kept { "kept" } else { "BROKEN" }
    );
    println!();
    kept
}

/// Processor time of one run, user and system.
pub(crate) fn cpu(command: &mut Command) -> Duration {
    let before = children();
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    children().saturating_sub(before)
}

fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children is always known");
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(microseconds).expect("times are not negative"))
        })
        .sum()
}

pub(crate) fn haproxy() -> &'static Path {
    let places = [
        "/usr/sbin/haproxy",
        "/usr/local/sbin/haproxy",
        "/usr/bin/haproxy",
    ];
    places
        .map(Path::new)
        .into_iter()
        .find(|place| place.exists())
        .expect("run tests/needs")
}
