//! The command line of marathon-lb on a host that has nothing yet, beside `haproxy -c` on what it
//! wrote.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::marathon::{Era, Marathon};
use tempfile::TempDir;

use super::generate::{cpu, haproxy};
use super::{TASKS, cluster};

const RUNS: usize = 5;

/// The whole run costs at most this share of HAProxy's own check of its output.
const PROMISE: f64 = 0.35;

/// The same with maps, which HAProxy reads much faster than rules.
const PROMISE_WITH_MAPS: f64 = 1.0;

/// Prints the costs and their ratios; `false` when a promise is broken.
pub(crate) fn measure(apps: usize) -> bool {
    let folder = TempDir::new().expect("a temporary folder");
    let body = cluster::labelled_answer(apps, TASKS);
    let answer = folder.path().join("apps.json");
    std::fs::write(&answer, &body).expect("the answer is written");
    let file = format!("file:{}", answer.display());
    let marathon = Marathon::start(Era::V1_8).expect("a free port");
    marathon.serve_saved_apps(&body);

    println!("marathon-lb, CPU ms (best of {RUNS}), {apps} apps x {TASKS} tasks");
    println!(
        "{:>20} {:>8} {:>8} {:>11} {:>8} {:>8}",
        "", "file:", "http:", "haproxy -c", "ratio", "promise"
    );
    let mut kept = true;
    for (name, promise, flags) in [
        ("rules", PROMISE, &[][..]),
        ("maps", PROMISE_WITH_MAPS, &["--haproxy-map"]),
        ("a frontend a host", PROMISE, &["--group-https-by-vhost"]),
    ] {
        let (mut saved, mut asked, mut theirs) = (Duration::MAX, Duration::MAX, Duration::MAX);
        // In turns, so that all meet the same weather.
        for _ in 0..RUNS {
            let fresh = TempDir::new().expect("a temporary folder");
            saved = saved.min(cpu(&mut marathon_lb(&file, fresh.path(), flags)));
            let mut check = Command::new(haproxy());
            check
                .arg("-c")
                .arg("-f")
                .arg(fresh.path().join("haproxy.cfg"));
            theirs = theirs.min(cpu(&mut check));
            let fresh = TempDir::new().expect("a temporary folder");
            let url = marathon.url();
            // The built-in Marathon is a thread of this process: its time is not counted.
            asked = asked.min(cpu(&mut marathon_lb(&url, fresh.path(), flags)));
        }
        let [saved, asked, theirs] = [saved, asked, theirs].map(|time| time.as_secs_f64() * 1e3);
        let ratio = saved.max(asked) / theirs;
        kept &= ratio <= promise;
        println!(
            "{name:>20} {saved:>8.1} {asked:>8.1} {theirs:>11.1} {ratio:>8.2} {promise:>8} ({})",
            if ratio <= promise { "kept" } else { "BROKEN" }
        );
    }
    println!();
    kept
}

fn marathon_lb(url: &str, folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
    command.args(["marathon-lb", "-m", url, "--haproxy-config"]);
    command.arg(folder.join("haproxy.cfg"));
    command.args(["--group=external", "--group=internal", "--group=partners"]);
    command.args(["--skip-validation", "--command=true", "--log-level=error"]);
    command.args(["--syslog-socket=/dev/null", "--ssl-certs"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate.pem"));
    command.args(flags);
    command.env("HMB_STATE_DIR", folder.join("state"));
    command
}
