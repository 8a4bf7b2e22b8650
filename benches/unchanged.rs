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

/// An answer that asks for nothing new, made of the first by putting another text for each run in
/// the place of one that is in every task or app.
struct Case {
    name: &'static str,
    from: &'static str,
    to: fn(usize) -> String,
    /// Whether the promise holds for it, or it is told to be watched.
    promised: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "same answer",
        from: "",
        to: |_| String::new(),
        promised: true,
    },
    // A Marathon that checks the health of its tasks never gives the same answer twice.
    Case {
        name: "other check times",
        from: "2016-10-21T11:02",
        to: |run| format!("2016-10-21T11:{:02}", run + 10),
        promised: true,
    },
    Case {
        name: "other unread fields",
        from: "\"tasksUnhealthy\":0",
        to: |run| format!("\"tasksUnhealthy\":{}", run + 1),
        promised: false,
    },
];

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
    let (mut ours, mut theirs) = ([Duration::MAX; CASES.len()], Duration::MAX);
    for run in 0..RUNS {
        theirs = theirs.min(cpu(&mut check));
        for (case, best) in CASES.iter().zip(&mut ours) {
            if case.from.is_empty() {
                // The answer before was another one.
                fs::write(&answer, &body).expect("the answer is written");
                cpu(&mut refresh(folder.path()));
            } else {
                let other = body.replace(case.from, &(case.to)(run));
                fs::write(&answer, other).expect("the answer is written");
            }
            *best = cpu(&mut refresh(folder.path())).min(*best);
        }
    }
    println!("unchanged refresh, CPU ms (best of {RUNS}), {apps} apps x {TASKS} tasks");
    println!("{:>20} {:>8.1}", "haproxy -c", theirs.as_secs_f64() * 1e3);
    let mut all_kept = true;
    for (case, best) in CASES.iter().zip(ours) {
        let ratio = best.as_secs_f64() / theirs.as_secs_f64();
        let kept = ratio <= PROMISE;
        all_kept &= kept || !case.promised;
        let said = match (case.promised, kept) {
            (false, _) => String::new(),
            (true, true) => format!("  (promise: at most {PROMISE}, kept)"),
            (true, false) => format!("  (promise: at most {PROMISE}, BROKEN)"),
        };
        let ms = best.as_secs_f64() * 1e3;
        println!("{:>20} {ms:>8.1}, ratio {ratio:.2}{said}", case.name);
    }
    println!();
    all_kept
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
