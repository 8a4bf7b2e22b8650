//! A deterministic simulation of hosts on which everything goes wrong.
//!
//! Every seed stands for one host and one order of changes and faults: apps come, go, break and
//! quarrel about ports, and in a third of the seeds say by labels what they want; Marathon, DNS, the
//! disk and HAProxy fail in all their ways; operators pause, resume and roll back; the program is
//! killed at any step and the power goes. The stages, the guard, the transaction and what is
//! remembered are the real ones, and `promises` says after every turn whether what was promised
//! still holds, with `labelled` for what only labels make possible. `events` has what can happen,
//! and how more is added.
//!
//! On a quarter of the hosts a watcher lives: `watcher` does what `watch` does between turns, which
//! the real schedule calls for, `stream` what becomes of Marathon's events, and `stretch` what happens
//! to a watcher alone. `calm` says what it owes once nothing is broken any more.
//!
//! Those hosts have their HAProxy read files. `socket` has another kind, whose HAProxy is told on its
//! socket; there it is `SOCKET_SEED` and `SOCKET_SEEDS`.
//!
//! A seed that fails is printed with what led to it. `SIMULATION_SEED=17` runs one seed and prints
//! everything, `SIMULATION_SEEDS=100000` runs more of them. Without a number, `HMB_TEST_ALL=1` runs all
//! seeds and else a part of them runs.

mod beside;
mod calm;
mod cluster;
mod events;
mod haproxy;
mod judge;
mod labelled;
mod labels;
mod nodes;
mod operator;
mod outside;
mod peace;
mod program;
mod promises;
mod random;
mod sections;
mod setting;
mod socket;
mod stream;
mod stretch;
mod watcher;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::runtime::Runtime;

use promises::Broken;
use world::World;

const SEEDS: u64 = 10_000;

/// What has to come about in every thousand seeds, or the simulation has gone blind.
const MUST_BE_SEEN: [(&str, usize); 38] = [
    ("applied", 1_000),
    ("unchanged", 1_000),
    ("killed", 1_000),
    ("failed", 500),
    ("rejected", 100),
    ("reload failed", 100),
    ("waiting", 50),
    ("checking", 50),
    ("light turn while something waits", 1),
    ("not running", 50),
    ("port held", 50),
    ("power cut", 100),
    ("asked for the same", 100),
    ("held, then let go", 100),
    ("held where labels count", 200),
    ("served as before", 80),
    ("left out", 200),
    ("paused", 500),
    ("rolled back", 60),
    ("killed in a rollback", 20),
    ("light turn", 150),
    ("light turn compared", 100),
    ("other servers at once", 80),
    ("new servers proved", 60),
    ("apps asked for alone", 800),
    ("all asked for after one", 2),
    ("what was missed made good", 30),
    ("watcher killed", 140),
    ("watcher killed beside a turn", 2),
    ("stream attached", 600),
    ("stream lost", 700),
    ("told of a doubt", 180),
    ("caught up by a new stream", 25),
    ("brought up between turns", 4),
    ("no program haproxy", 500),
    ("templates edited", 70),
    ("one app followed", 200),
    ("burst followed", 120),
];

#[test]
fn promises_hold_in_every_order_of_faults_and_changes() {
    if let Some(seed) = number_from_environment("SIMULATION_SEED") {
        return replay(seed);
    }
    let seeds = seeds("SIMULATION_SEEDS", SEEDS);
    let next = AtomicU64::new(0);
    let seen = thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(|| work(&next, seeds)));
        workers.map(|worker| worker.join().expect("what panics is caught inside"))
    });
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for (failed, counts) in seen {
        if let Some(seed) = failed {
            explain(seed);
        }
        for (what, times) in counts {
            *all.entry(what).or_default() += times;
        }
    }
    println!("{all:?}");
    for (what, per_thousand) in MUST_BE_SEEN {
        let times = all.get(what).copied().unwrap_or_default();
        let least = per_thousand * usize::try_from(seeds).expect("it is small") / 1_000;
        assert!(
            times >= least,
            "`{what}` came about {times} times, expected {least}"
        );
    }
}

#[test]
fn the_same_seed_leads_to_the_same_bytes() {
    let runtime = runtime();
    for seed in 0..100 {
        let [one, other] = [(); 2].map(|()| {
            let (kept, trace, _) = attempt(seed, &[], true, &runtime);
            (kept.map_err(|broken| broken.to_string()), trace)
        });
        assert_eq!(one, other, "seed {seed}");
    }
}

/// Takes seeds until one fails; the first to fail ends the work of all.
fn work(next: &AtomicU64, seeds: u64) -> (Option<u64>, BTreeMap<&'static str, usize>) {
    let runtime = runtime();
    let mut tally = BTreeMap::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds {
            return (None, tally);
        }
        let (kept, _, counts) = attempt(seed, &[], false, &runtime);
        for (what, times) in counts {
            *tally.entry(what).or_default() += times;
        }
        if kept.is_err() {
            next.store(seeds, Ordering::Relaxed);
            return (Some(seed), tally);
        }
    }
}

type Attempt = (
    Result<(), Broken>,
    Vec<String>,
    BTreeMap<&'static str, usize>,
);

fn attempt(seed: u64, without: &[usize], traced: bool, runtime: &Runtime) -> Attempt {
    let mut world = World::new(seed, traced, runtime);
    let kept = catch_unwind(AssertUnwindSafe(|| world.run(without)))
        .unwrap_or_else(|_| Err(Broken("the program panicked".to_owned())));
    let tally = std::mem::take(&mut world.seen);
    (kept, world.into_trace(), tally)
}

/// Leaves out every step that the failure does not need, and tells the rest.
fn explain(seed: u64) -> ! {
    let runtime = runtime();
    let mut without = Vec::new();
    let steps = World::new(seed, false, &runtime).setting.steps;
    loop {
        let before = without.len();
        for step in (0..steps).rev() {
            if without.contains(&step) {
                continue;
            }
            without.push(step);
            if attempt(seed, &without, false, &runtime).0.is_ok() {
                without.pop();
            }
        }
        if without.len() == before {
            break;
        }
    }
    let (kept, trace, _) = attempt(seed, &without, true, &runtime);
    let broken = kept
        .err()
        .map_or_else(|| "it holds when it is run again".to_owned(), |b| b.0);
    panic!(
        "seed {seed}: {broken}\nThe shortest way there (SIMULATION_SEED={seed} shows all of it):\n{}",
        trace.join("\n")
    );
}

fn replay(seed: u64) {
    let (kept, trace, _) = attempt(seed, &[], true, &runtime());
    println!("{}", trace.join("\n"));
    if let Err(broken) = kept {
        println!("{broken}");
        explain(seed);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output can be made")
}

/// How many run: as `name` says, else all, or two fifths where time counts.
fn seeds(name: &str, all: u64) -> u64 {
    let is_thorough = std::env::var_os("HMB_TEST_ALL").is_some();
    number_from_environment(name).unwrap_or(if is_thorough { all } else { all * 2 / 5 })
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is `{text}`, expected a number")))
}
