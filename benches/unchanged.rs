//! A `refresh` that finds nothing to do, beside `haproxy -c` of the same file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::generate::{cpu, haproxy};
use super::{TASKS, cluster};

const RUNS: usize = 7;

/// What a cron job costs every minute, beside what one check costs.
const PROMISE: f64 = 0.35;

/// Prints the costs and their ratios; `false` when the promise is broken.
pub(crate) fn measure(apps: usize) -> bool {
    let folder = TempDir::new().expect("a temporary folder");
    let answer = folder.path().join("apps.json");
    let cfg = folder.path().join("haproxy.cfg");
    let body = cluster::answer(apps, TASKS);
    fs::write(&answer, &body).expect("the answer is written");
    cpu(&mut refresh(folder.path()));

    let mut check = Command::new(haproxy());
    check.arg("-c").arg("-f").arg(&cfg);
    let (mut same, mut restless, mut theirs) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for run in 0..RUNS {
        same = same.min(cpu(&mut refresh(folder.path())));
        theirs = theirs.min(cpu(&mut check));
        // Health checks that go on succeeding change an answer that asks for nothing new.
        let ticked = body.replace(
            "2016-10-21T11:02",
            &format!("2016-10-21T11:{:02}", run + 10),
        );
        fs::write(&answer, ticked).expect("the answer is written");
        restless = restless.min(cpu(&mut refresh(folder.path())));
    }
    let ratio = same.as_secs_f64() / theirs.as_secs_f64();
    let kept = ratio <= PROMISE;
    println!("unchanged refresh, CPU ms (best of {RUNS}), {apps} apps x {TASKS} tasks");
    println!("{:>20} {:>8.1}", "same answer", same.as_secs_f64() * 1e3);
    println!(
        "{:>20} {:>8.1}",
        "other check times",
        restless.as_secs_f64() * 1e3
    );
    println!("{:>20} {:>8.1}", "haproxy -c", theirs.as_secs_f64() * 1e3);
    println!(
        "{:>20} {ratio:>8.2}  (promise: at most {PROMISE}, {})",
        "ratio, same answer",
        if kept { "kept" } else { "BROKEN" }
    );
    println!(
        "{:>20} {:>8.2}\n",
        "ratio, other times",
        restless.as_secs_f64() / theirs.as_secs_f64()
    );
    kept
}

fn refresh(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
    command.args([
        "refresh",
        "--template-set",
        "bridge",
        "--reload",
        "none",
        "--marathon",
    ]);
    command.arg(format!("file:{}", folder.join("apps.json").display()));
    command
        .arg("--haproxy-config")
        .arg(folder.join("haproxy.cfg"));
    command.arg("--state-dir").arg(folder.join("state"));
    command
}
