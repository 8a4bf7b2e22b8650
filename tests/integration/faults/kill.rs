//! A kill at any step leaves a host that serves, and that the next run brings to its end.

use std::os::unix::process::ExitStatusExt as _;

use super::cluster::Cluster;
use super::scene::{Scene, Start};
use super::strace::Fault;
use super::stride;

fn killed_at_each(cluster: Cluster, start: Start, reload: &'static str, stride: usize) {
    let mut scene = Scene::new(cluster, start, reload);
    for number in (0..scene.steps().len()).step_by(stride) {
        scene.try_at(number, Fault::Killed, |step, done| {
            assert_eq!(done.status.signal(), Some(9), "{step}: {done:#?}");
        });
    }
}

#[test]
fn a_change_that_is_killed_at_any_step_is_completed_by_the_next_run() {
    killed_at_each(Cluster::bridge(), Start::Serving, "none", 1);
}

#[test]
fn the_first_run_may_be_killed_at_any_step_too() {
    killed_at_each(Cluster::bridge(), Start::Nothing, "none", 1);
}

#[test]
fn haproxy_serves_through_a_kill_at_any_step_of_a_change() {
    killed_at_each(Cluster::bridge(), Start::Serving, "sf", stride(4));
}

#[test]
fn haproxy_is_started_whatever_killed_the_first_run() {
    killed_at_each(Cluster::bridge(), Start::Nothing, "sf", stride(6));
}

#[test]
fn a_change_of_maps_that_is_killed_at_any_step_is_completed_by_the_next_run() {
    killed_at_each(Cluster::labelled(), Start::Serving, "none", stride(2));
}

#[test]
fn haproxy_serves_hosts_through_a_kill_at_any_step_of_a_change() {
    killed_at_each(Cluster::labelled(), Start::Serving, "sf", stride(12));
}

#[test]
fn the_first_run_with_maps_may_be_killed_at_any_step_too() {
    killed_at_each(Cluster::labelled(), Start::Nothing, "none", stride(8));
}
