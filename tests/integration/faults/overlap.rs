//! Many runs at once, as cron starts them when one of them takes longer than its interval.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;

use crate::host::{Host, ask_once, wait_until};
use crate::support::Done;

const RUNS: usize = 200;
const AT_ONCE: usize = 16;

/// As many states of the cluster, each with its one task somewhere else.
const STATES: usize = 24;

#[test]
fn two_hundred_overlapping_runs_lose_no_change_and_mix_no_files() {
    let host = Host::new();
    let port = free_ports(1).unwrap()[0];
    let target = (Ipv4Addr::LOCALHOST, port).into();
    let instances: Vec<Backend> = (0..STATES)
        .map(|state| Instance::tcp(&format!("state-{state}")).start().unwrap())
        .collect();
    let source = format!("file:{}", host.path("apps.json").display());
    let tell = |state: usize| {
        // Another thread may be told to write the next one at the same time.
        let name = format!("apps.json.{state}");
        let new = host.write(&name, &apps(port, instances[state].port()));
        fs::rename(new, host.path("apps.json")).unwrap();
    };
    let refresh = || host.refresh(std::slice::from_ref(&source), &[]);

    tell(0);
    refresh().expect(0);
    let first = host.installed();
    let server = |state: usize| format!(" 127.0.0.1:{} ", instances[state].port());
    let texts: Vec<String> = (0..STATES)
        .map(|state| first.replace(&server(0), &server(state)))
        .collect();

    let (begun, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (runs, seen) = thread::scope(|scope| {
        let run = || {
            let mut runs = Vec::new();
            loop {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                if number >= RUNS {
                    return runs;
                }
                // The state that is told with run N is there for all later ones.
                if number.is_multiple_of(RUNS / STATES) {
                    tell((number * STATES / RUNS).max(1));
                }
                runs.push(refresh());
            }
        };
        let pool: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(run)).collect();
        let look = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.insert(host.installed());
                let answer = ask_once(target);
                assert!(
                    answer.is_some_and(|name| name.starts_with("state-")),
                    "not served"
                );
                thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        let runs: Vec<_> = pool.into_iter().map(ScopedJoinHandle::join).collect();
        // Whatever came of them: else nobody looks away.
        over.store(true, Ordering::Relaxed);
        let runs: Vec<Done> = runs.into_iter().flat_map(Result::unwrap).collect();
        (runs, look.join().unwrap())
    });

    assert_eq!(runs.len(), RUNS);
    for run in runs {
        run.expect(0);
    }
    for text in &seen {
        assert!(texts.contains(text), "nobody rendered this:\n{text}");
    }
    assert!(
        seen.len() > STATES / 2,
        "the runs saw {} states",
        seen.len()
    );

    let last = STATES - 1;
    tell(last);
    refresh().expect(0);
    assert_eq!(host.installed(), texts[last]);
    wait_until("the last state", || {
        ask_once(target).as_deref() == Some(instances[last].name())
    });
    wait_until("the end of the old processes", || {
        host.haproxies().len() == 1
    });
    host.untouched(refresh).expect(0);
}

/// Runs that share nothing but `haproxy.cfg`, on a disk that is slow: what one writes, no other
/// renames.
#[test]
fn overlapping_runs_with_two_state_folders_install_whole_files() {
    const RUNS: usize = 12;
    let host = Host::new();
    let ports = free_ports(1).unwrap();
    let file = |number: usize| host.path(&format!("apps-{number}.json"));
    let refresh = |number: usize| {
        let source = format!("file:{}", file(number).display());
        let inner = host.refresh_command(&[source], &["--reload", "none"]);
        let mut slow = Command::new("strace");
        slow.args(["-qq", "-o", "/dev/null", "-e", "trace=fsync"]);
        slow.args(["-e", "inject=fsync:delay_enter=8000"]);
        slow.arg(inner.get_program()).args(inner.get_args());
        slow.current_dir(inner.get_current_dir().unwrap());
        slow.env_clear();
        let own = inner.get_envs().map(|(name, value)| (name, value.unwrap()));
        slow.envs(own);
        slow.env("HMB_STATE_DIR", host.path(&format!("state-{}", number % 2)));
        Done::of(slow)
    };
    let tell = |number: usize, task: u16| {
        fs::write(file(number), apps(ports[0], task)).unwrap();
    };

    tell(0, 31_000);
    refresh(0).expect(0);
    let first = host.installed();
    let over = AtomicBool::new(false);
    let run = |number: usize| {
        for turn in 0..RUNS {
            tell(
                number,
                31_000 + u16::try_from(number * RUNS + turn).unwrap(),
            );
            refresh(number).expect(0);
        }
    };
    let run = &run;
    thread::scope(|scope| {
        let look = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.insert(host.installed());
            }
            seen
        });
        let loops: Vec<_> = (0..4).map(|n| scope.spawn(move || run(n))).collect();
        let ended: Vec<_> = loops
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        let texts: Vec<String> = (31_000..31_000 + 4 * RUNS)
            .map(|task| first.replace(":31000 ", &format!(":{task} ")))
            .collect();
        for text in look.join().unwrap() {
            assert!(texts.contains(&text), "nobody rendered this:\n{text}");
        }
        assert!(ended.iter().all(Result::is_ok), "a run failed");
    });
    let mut left = host.footprint("etc").into_keys();
    let leftover = left.find(|path| path.to_string_lossy().contains(".hmb-"));
    assert_eq!(leftover, None);
}

fn apps(service_port: u16, port: u16) -> String {
    format!(
        r#"{{"apps": [{{"id": "/web", "instances": 1, "ports": [{service_port}], "tasks": [
            {{"id": "web.1", "host": "127.0.0.1", "ports": [{port}], "state": "TASK_RUNNING"}}]}}]}}"#
    )
}
