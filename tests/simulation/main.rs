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
//! everything, `SIMULATION_SEEDS=100000` runs more of them.

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
mod seeds;
mod setting;
mod socket;
mod stream;
mod stretch;
mod watcher;
mod world;

use tokio::runtime::Runtime;

use seeds::{Attempt, Seeds, caught, runtime};
use world::World;

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
    let seeds = Seeds {
        variable: "SIMULATION_SEED",
        count: 10_000,
        must_be_seen: &MUST_BE_SEEN,
        steps: |seed, runtime| World::new(seed, false, runtime).setting.steps,
        attempt,
    };
    seeds.run();
}

#[test]
fn the_same_seed_leads_to_the_same_bytes() {
    let runtime = runtime();
    for seed in 0..100 {
        let [one, other] = [(); 2].map(|()| attempt(seed, &[], true, &runtime));
        assert_eq!(one, other, "seed {seed}");
    }
}

fn attempt(seed: u64, without: &[usize], traced: bool, runtime: &Runtime) -> Attempt {
    let mut world = World::new(seed, traced, runtime);
    let kept = caught(|| world.run(without).map_err(|broken| broken.0));
    Attempt {
        kept,
        seen: std::mem::take(&mut world.seen),
        trace: world.into_trace(),
    }
}
