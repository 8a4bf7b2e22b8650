//! A kill at any step leaves a host that serves, and that the next run brings to its end.

use std::os::unix::process::ExitStatusExt as _;

use super::scene::{Scene, Start};
use super::strace::Fault;
use super::stride;

fn killed_at_each(start: Start, reload: &'static str, stride: usize) {
    let mut scene = Scene::new(start, reload);
    for number in (0..scene.steps().len()).step_by(stride) {
        scene.try_at(number, Fault::Killed, |step, done| {
            assert_eq!(done.status.signal(), Some(9), "{step}: {done:#?}");
        });
    }
}

#[test]
fn a_change_that_is_killed_at_any_step_is_completed_by_the_next_run() {
    killed_at_each(Start::Serving, "none", 1);
}

#[test]
fn the_first_run_may_be_killed_at_any_step_too() {
    killed_at_each(Start::Nothing, "none", 1);
}

#[test]
fn haproxy_serves_through_a_kill_at_any_step_of_a_change() {
    killed_at_each(Start::Serving, "sf", stride(4));
}

#[test]
fn haproxy_is_started_whatever_killed_the_first_run() {
    killed_at_each(Start::Nothing, "sf", stride(6));
}
