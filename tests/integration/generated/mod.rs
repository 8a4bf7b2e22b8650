//! Clusters that nobody thought of: a seed decides what apps, tasks, labels and flags there are.
//!
//! `HMB_TEST_SEED=N` replays one cluster. `haproxy -c` judges a sample of them, and with
//! `HMB_TEST_ALL=1` all.

mod cluster;
mod garbage;
mod nasty;
mod program;
mod reader;
mod rows;
mod rules;
mod servers;
#[path = "../../simulation/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use haproxy_marathon_bridge::apply::FileSet;
use haproxy_marathon_bridge::cluster::Warning;
use haproxy_marathon_bridge::diff::Change;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Test, haproxy};
use cluster::generate;
use program::{Flags, MAPS, Program};
use random::Random;

const CLUSTERS: u64 = 1000;

/// Of so many clusters HAProxy judges one.
const SAMPLE: u64 = 7;

/// Of so many clusters the program itself is run with one.
const RUNS: u64 = 100;

fn certificate() -> String {
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate.pem");
    certificate.to_str().unwrap().to_owned()
}

/// Calls `test` with every seed, on all processors, and names the seed with which it fails.
fn for_every_seed(test: impl Fn(u64, &mut Program) + Sync) {
    if let Ok(seed) = std::env::var("HMB_TEST_SEED") {
        return test(seed.parse().unwrap(), &mut Program::new(&certificate()));
    }
    let next = AtomicU64::new(0);
    let work = || {
        let mut program = Program::new(&certificate());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= CLUSTERS {
                return;
            }
            let tested = catch_unwind(AssertUnwindSafe(|| test(seed, &mut program)));
            if let Err(panic) = tested {
                eprintln!("HMB_TEST_SEED={seed} replays what failed");
                resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
}

#[test]
fn what_owners_write_is_rendered_alike_every_time_and_accepted() {
    let all = std::env::var_os("HMB_TEST_ALL").is_some();
    let one = std::env::var_os("HMB_TEST_SEED").is_some();
    for_every_seed(|seed, program| {
        let random = &mut Random::of_part(seed, 1);
        let flags = Flags::generate(random);
        let cluster = generate(&mut Random::of_part(seed, 0), &certificate(), flags.native);
        let answer = cluster.answer();
        let plan = program.plan(answer.clone(), &flags, None);
        holds_together(&plan.files);
        if !cluster.has_template_labels {
            no_control_characters(&plan.files);
            let labels: Vec<String> = plan
                .warnings
                .iter()
                .filter(|warning| warning.subject.starts_with("label"))
                // Two apps may want one host, or one port. And what fits each alone may not fit
                // together: a password and mode tcp.
                .filter(|_| !flags.native)
                .filter(|warning| {
                    let own = ["a host and a path of its own", "a port of its own"];
                    !own.contains(&warning.expected.as_str())
                })
                .map(ToString::to_string)
                .collect();
            assert!(labels.is_empty(), "{labels:#?}");
        }

        let again = program.plan(answer.clone(), &flags, Some(&plan.files.cfg));
        assert_eq!(again.change, Change::Nothing);
        assert_eq!(again.files, plan.files);
        let fresh = Program::new(&certificate()).plan(answer.clone(), &flags, None);
        assert_eq!(fresh.files, plan.files, "what was rendered before shows");
        if seed % RUNS == 0 {
            second_run_does_nothing(&answer, &flags);
        }
        if (all || one || seed % SAMPLE == 0) && !cluster.has_template_labels {
            accepted(&plan.files);
        }
        let other = cluster.shuffled(random).answer();
        let other = program.plan(other, &flags, None);
        assert_eq!(other.files, plan.files, "the order of the answer shows");
    });
}

#[test]
fn garbage_costs_its_own_service_and_nothing_else() {
    for_every_seed(|seed, program| {
        let random = &mut Random::new(seed);
        let in_texts = random.percent(30);
        let apps = garbage::generate(random, in_texts);
        let flags = Flags {
            groups: vec!["external".to_owned()],
            strict: false,
            health_check: false,
            ..Flags::generate(random)
        };
        let answer = json!({ "apps": apps }).to_string();
        let plan = program.plan(answer.clone(), &flags, None);
        let again = program.plan(answer, &flags, Some(&plan.files.cfg));
        assert_eq!(again.files, plan.files);
        assert_eq!(again.change, Change::Nothing);
        if !in_texts {
            no_control_characters(&plan.files);
        }
        for app in &apps {
            let id = app["id"].as_str().unwrap();
            let is_served = plan.proxies.owners().any(|owner| owner.app.as_str() == id);
            let about: Vec<&Warning> = plan
                .warnings
                .iter()
                .filter(|warning| warning.app.as_ref().is_some_and(|app| app.as_str() == id))
                .collect();
            let left_out = about
                .iter()
                .any(|warning| warning.effect.ends_with("left out"));
            if id.starts_with("/good") {
                assert!(is_served, "{id} is not served: {about:?}");
                assert!(about.is_empty(), "{about:?}");
            } else if is_served {
                assert!(!left_out, "{id} is served all the same: {about:?}");
            } else {
                let says = |name: &str| app["labels"].get(format!("HAPROXY_0_{name}")).is_some();
                assert!(
                    left_out || says("GROUP") || says("ENABLED"),
                    "{id} is not served"
                );
                let label = |warning: &&&Warning| warning.subject.starts_with("label `HAPROXY_0_");
                let is_named = about.iter().any(|warning| label(&warning));
                let is_clash = about
                    .iter()
                    .any(|warning| warning.expected == "a port of its own");
                assert!(is_named || is_clash || !left_out, "{about:?}");
            }
        }
    });
}

fn texts(files: &FileSet) -> impl Iterator<Item = (&str, &str)> {
    let maps = files.maps.iter();
    let maps = maps.map(|(name, text)| (name.as_str(), text.as_str()));
    [("haproxy.cfg", files.cfg.as_str())]
        .into_iter()
        .chain(maps)
}

/// No section comes twice, and every rule and every row of a map leads to one that is there.
#[track_caller]
fn holds_together(files: &FileSet) {
    let mut sections = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for line in files.cfg.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [kind @ ("backend" | "frontend" | "userlist"), name] if !line.starts_with(' ') => {
                assert!(sections.insert((kind, name)), "{line} comes twice");
            }
            ["use_backend", name, ..] if !name.starts_with('%') => {
                targets.insert(name);
            }
            _ => (),
        }
    }
    for target in targets {
        assert!(sections.contains(&("backend", target)), "no {target}");
    }
    rows::assert_whole(&files.cfg, &files.maps);
}

#[track_caller]
fn no_control_characters(files: &FileSet) {
    for (name, text) in texts(files) {
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{name}");
    }
}

#[track_caller]
fn accepted(files: &FileSet) {
    let folder = TempDir::new().unwrap();
    for (name, text) in texts(files) {
        let text = text.replace(MAPS, folder.path().to_str().unwrap());
        fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new(haproxy())
        .args(["-q", "-c", "-f"])
        .arg(folder.path().join("haproxy.cfg"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let alerts: Vec<&str> = told.lines().filter(|line| line.contains("ALERT")).collect();
    assert!(output.status.success(), "{alerts:#?}\n{}", files.cfg);
}

/// The program as cron runs it: what it finds in place it leaves.
#[track_caller]
fn second_run_does_nothing(answer: &str, flags: &Flags) {
    let test = Test::new().file("apps.json", answer);
    let own: &[&str] = if flags.native {
        &[
            "refresh",
            "--reload=command",
            "--reload-command=touch reloaded",
            "--template-labels=all",
        ]
    } else {
        &[
            "marathon-lb",
            "--skip-validation",
            "--command=touch reloaded",
            "--syslog-socket=/dev/null",
        ]
    };
    let mut words: Vec<String> = own.iter().map(ToString::to_string).collect();
    words.extend([
        "--marathon=file:apps.json".to_owned(),
        "--haproxy-config=haproxy.cfg".to_owned(),
        format!("--ssl-certs={}", certificate()),
    ]);
    words.extend(flags.groups.iter().map(|group| format!("--group={group}")));
    for (flag, is_given) in [
        ("--haproxy-map", flags.maps && !flags.native),
        ("--no-maps", !flags.maps && flags.native),
        ("--group-https-by-vhost", flags.grouped),
        ("--dont-bind-http-https", !flags.binds),
        ("--strict-mode", flags.strict),
        ("--health-check", flags.health_check),
    ] {
        words.extend(is_given.then(|| flag.to_owned()));
    }
    test.call(&words).expect(0);
    let reloaded = test.path().join("reloaded");
    fs::remove_file(&reloaded).unwrap();
    let done = test.call(&words).expect(0);
    assert!(!reloaded.exists(), "{}", done.stderr);
}
