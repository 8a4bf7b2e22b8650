//! The seeds of a simulation: all of them, one of them, and the shortest way to what is broken.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::runtime::Runtime;

/// How often what came about.
pub(crate) type Tally = BTreeMap<&'static str, usize>;

/// What came of one seed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) kept: Result<(), String>,
    pub(crate) trace: Vec<String>,
    pub(crate) seen: Tally,
}

/// Those of one simulation.
pub(crate) struct Seeds {
    /// The variable that has one of them run, and all of it printed; with an S at its end, how many run.
    pub(crate) variable: &'static str,
    /// So many run else.
    pub(crate) count: u64,
    /// What has to come about in every thousand, or the simulation has gone blind.
    pub(crate) must_be_seen: &'static [(&'static str, usize)],
    /// So many steps one of them has.
    pub(crate) steps: fn(u64, &Runtime) -> usize,
    /// Runs one of them, without some of its steps, and with all that happens written down or not.
    pub(crate) attempt: fn(u64, &[usize], bool, &Runtime) -> Attempt,
}

impl Seeds {
    /// Fails where one of them is broken, be it so once or each time.
    pub(crate) fn run(&self) {
        if let Some(seed) = number_from_environment(self.variable) {
            return self.replay(seed);
        }
        let more = number_from_environment(&format!("{}S", self.variable));
        let count = more.unwrap_or(self.count);
        let next = AtomicU64::new(0);
        let all = thread::scope(|scope| {
            let workers = [(); 2].map(|()| scope.spawn(|| self.work(&next, count)));
            workers.map(|worker| worker.join().expect("what panics is caught inside"))
        });
        let mut seen = Tally::new();
        for (failed, counts) in all {
            if let Some((seed, broken)) = failed {
                self.explain(seed, &broken);
            }
            for (what, times) in counts {
                *seen.entry(what).or_default() += times;
            }
        }
        println!("{seen:?}");
        for (what, per_thousand) in self.must_be_seen {
            let times = seen.get(what).copied().unwrap_or_default();
            let least = per_thousand * usize::try_from(count).expect("it is small") / 1_000;
            assert!(
                times >= least,
                "`{what}` came about {times} times, expected {least}"
            );
        }
    }

    /// Takes seeds until one fails; the first to fail ends the work of all.
    fn work(&self, next: &AtomicU64, count: u64) -> (Option<(u64, String)>, Tally) {
        let runtime = runtime();
        let mut all = Tally::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return (None, all);
            }
            let Attempt { kept, seen, .. } = (self.attempt)(seed, &[], false, &runtime);
            for (what, times) in seen {
                *all.entry(what).or_default() += times;
            }
            if let Err(broken) = kept {
                next.store(count, Ordering::Relaxed);
                return (Some((seed, broken)), all);
            }
        }
    }

    fn replay(&self, seed: u64) {
        let Attempt { kept, trace, .. } = (self.attempt)(seed, &[], true, &runtime());
        println!("{}", trace.join("\n"));
        if let Err(broken) = kept {
            println!("{broken}");
            self.explain(seed, &broken);
        }
    }

    /// Leaves out every step that the failure does not need, and tells the rest.
    fn explain(&self, seed: u64, broken: &str) -> ! {
        let runtime = runtime();
        let mut without = Vec::new();
        let steps = (self.steps)(seed, &runtime);
        let is_broken = |without: &[usize]| {
            let attempt = (self.attempt)(seed, without, false, &runtime);
            attempt.kept.is_err()
        };
        assert!(
            is_broken(&without),
            "seed {seed}: {broken}\nIt holds when it is run again, which it may not do either"
        );
        loop {
            let before = without.len();
            for step in (0..steps).rev() {
                if without.contains(&step) {
                    continue;
                }
                without.push(step);
                if !is_broken(&without) {
                    without.pop();
                }
            }
            if without.len() == before {
                break;
            }
        }
        let Attempt { kept, trace, .. } = (self.attempt)(seed, &without, true, &runtime);
        panic!(
            "seed {seed}: {}\nThe shortest way there ({}={seed} shows all of it):\n{}",
            kept.err().unwrap_or_else(|| broken.to_owned()),
            self.variable,
            trace.join("\n")
        );
    }
}

/// What `run` comes to, be it a panic.
pub(crate) fn caught(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the program panicked".to_owned()))
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output can be made")
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is `{text}`, expected a number")))
}

/// Otherwise a fault that shows once in a while is none.
#[test]
#[should_panic(expected = "seed 3: broken for once")]
fn a_seed_that_is_broken_only_once_fails() {
    use std::sync::atomic::AtomicBool;

    static WAS_BROKEN: AtomicBool = AtomicBool::new(false);
    let seeds = Seeds {
        variable: "SEED_OF_NOTHING",
        count: 5,
        must_be_seen: &[],
        steps: |_, _| 2,
        attempt: |seed, _, _, _| Attempt {
            kept: if seed == 3 && !WAS_BROKEN.swap(true, Ordering::Relaxed) {
                Err("broken for once".to_owned())
            } else {
                Ok(())
            },
            trace: Vec::new(),
            seen: Tally::new(),
        },
    };
    seeds.run();
}
