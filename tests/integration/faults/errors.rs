//! A disk that is full or broken at any step costs that step: HAProxy serves, the run says what
//! failed and where, and the next run makes up for it.

use std::fs;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};

use super::cluster::Cluster;
use super::scene::{Scene, Start};
use super::strace::{Fault, Step};
use super::stride;
use crate::host::Host;
use crate::support::Done;

fn fails_at_each(cluster: Cluster, start: Start, reload: &'static str, stride: usize) {
    let mut scene = Scene::new(cluster, start, reload);
    for (first, error) in [(0, "ENOSPC"), (stride / 2, "EIO")] {
        for number in (first..scene.steps().len()).step_by(stride) {
            scene.try_at(number, Fault::Fails(error), judge);
        }
    }
}

fn judge(step: &Step, done: &Done) {
    assert!(
        matches!(done.status.code(), Some(0 | 1)),
        "{step}: {done:#?}"
    );
    if needs_no_word(step) {
        return;
    }
    let path = step.path.to_str().unwrap();
    let operations: &[&str] = match &*step.syscall {
        "openat" => &["cannot create", "cannot write", "cannot lock"],
        "write" | "ftruncate" => &["cannot write"],
        "fsync" => &["cannot fsync"],
        "rename" => &["cannot rename"],
        "unlink" => &["cannot remove"],
        "chmod" => &["cannot set the mode of"],
        "mkdir" => &["cannot make the folder", "cannot lock"],
        _ => &[],
    };
    let told = |line: &str| line.contains(path) && operations.iter().any(|o| line.contains(o));
    assert!(
        done.stderr.lines().any(told),
        "{step} failed unnoticed: {done:#?}"
    );
}

/// The note in the lock, without which it is as good; the mark of what HAProxy runs, which the state
/// tells as well; room for a turn that cannot be saved; and a scratch folder, in whose place another
/// does as well.
fn needs_no_word(step: &Step) -> bool {
    let is_note = step.path.ends_with("lock") && step.syscall != "openat";
    let is_mark = step.path.ends_with("ran") || step.path.ends_with("unsaved");
    is_note || is_mark || step.is_in_scratch()
}

#[test]
fn a_change_whose_disk_fails_at_any_step_is_completed_by_the_next_run() {
    fails_at_each(Cluster::bridge(), Start::Serving, "none", stride(2));
}

#[test]
fn the_first_run_may_fail_at_any_step_too() {
    fails_at_each(Cluster::bridge(), Start::Nothing, "none", stride(2));
}

#[test]
fn haproxy_serves_through_a_failure_at_any_step_of_a_change() {
    fails_at_each(Cluster::bridge(), Start::Serving, "sf", stride(8));
}

#[test]
fn a_change_of_maps_whose_disk_fails_at_any_step_is_completed_by_the_next_run() {
    fails_at_each(Cluster::labelled(), Start::Serving, "none", stride(6));
}

#[test]
fn the_first_run_with_maps_may_fail_at_any_step_too() {
    fails_at_each(Cluster::labelled(), Start::Nothing, "none", stride(16));
}

#[test]
fn haproxy_serves_hosts_through_a_failure_at_any_step_of_a_change() {
    fails_at_each(Cluster::labelled(), Start::Serving, "sf", stride(24));
}

/// The copies are then older than what HAProxy runs.
#[test]
fn a_failed_reload_brings_back_what_ran_even_if_no_copy_of_it_could_be_kept() {
    let (host, marathon) = (Host::new(), Marathon::start(Era::V1_8).unwrap());
    let ports = free_ports(3).unwrap();
    let deploy = |number: usize| {
        let app = App::new(&format!("/app-{number}")).service_port(ports[number]);
        marathon.deploy(app.task(Task::local(1)));
    };
    let refresh = || host.refresh(&[marathon.url()], &[]);
    deploy(0);
    refresh().expect(0);

    let in_the_way = host.state_folder().join("last-good/.files.json.new");
    fs::create_dir(&in_the_way).unwrap();
    deploy(1);
    refresh()
        .expect(0)
        .says(&["cannot be kept", ".files.json.new"]);
    let ran = host.installed();

    let taken = host.block_starts();
    deploy(2);
    refresh().expect(1).says(&["the reload failed"]);
    assert_eq!(host.installed(), ran);

    fs::remove_dir(in_the_way).unwrap();
    drop(taken);
}
