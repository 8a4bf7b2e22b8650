//! Many events, one after another.

use super::TASKS;
use super::cluster::{Watcher, task};

/// Resident memory at the end, beside that after the first tenth.
const PROMISE: f64 = 1.05;

/// Events that are sent before the file is awaited.
const AT_ONCE: usize = 100;

/// Prints the memory as it grows, or does not; `false` when a promise is broken.
pub(crate) fn measure(apps: usize, events: usize) -> bool {
    let watcher = Watcher::start(apps, TASKS);
    println!("soak, {events} events, {apps} apps x {TASKS} tasks");
    let mut early = 0;
    let mut sent = 0;
    while sent < events {
        let inode = watcher.inode();
        for _ in 0..AT_ONCE / 2 {
            let number = sent / 2 % apps;
            let id = format!("/team-{}/app-{number}", number % 37);
            let started = watcher.marathon.start_task(&id, task(apps * TASKS + sent));
            let ended = watcher.marathon.app(&id).expect("the app").tasks()[0]
                .id()
                .to_owned();
            drop(started.expect("the app is there"));
            watcher
                .marathon
                .fail_task(&ended)
                .expect("the task is there");
            sent += 2;
        }
        watcher.until_installed(inode);
        if sent % (events / 10) == 0 {
            let now = watcher.memory("VmRSS");
            println!("{sent:>8} events: {:>6.1} MB", now as f64 / 1e3);
            if early == 0 {
                early = now;
            }
        }
    }
    let ratio = watcher.memory("VmRSS") as f64 / early as f64;
    let kept = ratio <= PROMISE;
    println!(
        "{ratio:.3} of what it was after the first tenth, promise {PROMISE} ({})",
        if kept { "kept" } else { "BROKEN" }
    );
    println!();
    kept
}
