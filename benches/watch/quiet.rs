//! A cluster in which nothing happens.

use std::thread::sleep;
use std::time::Duration;

use super::TASKS;
use super::cluster::Watcher;

const TIME: Duration = Duration::from_secs(60);

/// Of the processor.
const PROMISE: Duration = Duration::from_millis(50);

/// Prints what a quiet minute costs; `false` when a promise is broken.
pub(crate) fn measure(apps: usize) -> bool {
    let watcher = Watcher::start(apps, TASKS);
    // What the first turn left to be done.
    sleep(Duration::from_secs(3));
    let (before, requests) = (watcher.cost(), watcher.marathon.all_requests());
    sleep(TIME);
    let after = watcher.cost();
    let cost = after.all().saturating_sub(before.all());
    let asked = watcher.marathon.all_requests() - requests;
    let kept = cost <= PROMISE && asked == 0;
    println!(
        "a quiet minute, {apps} apps x {TASKS} tasks: {} ms of the processor (promise {}), {asked} requests ({})",
        cost.as_millis(),
        PROMISE.as_millis(),
        if kept { "kept" } else { "BROKEN" }
    );
    println!();
    kept
}
