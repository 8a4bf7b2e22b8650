use super::*;
use crate::cluster::fixtures;
use crate::cluster::{Network, ReadinessResult, TaskState};

const OLD: &str = "2026-01-01T00:00:00.000Z";
const NEW: &str = "2026-01-02T00:00:00.000Z";
const NEWER: &str = "2026-01-03T00:00:00.000Z";

/// Tasks start at this moment; a check may take 10 s.
const STARTED: &str = "2026-01-02T00:00:10.000Z";

fn at(second: u64) -> Time {
    let text = format!("\"2026-01-02T00:{:02}:{:02}Z\"", second / 60, second % 60);
    serde_json::from_str(&text).unwrap()
}

fn task(id: &str, version: &str) -> Task {
    Task {
        version: Some(version.into()),
        started_at: Some(STARTED.into()),
        ..fixtures::task(id, &[31000])
    }
}

/// The app in its version `NEW`, with these results.
fn app(tasks: &[(&str, &str)], deploying: bool, results: &[(&str, bool)]) -> App {
    let mut app = fixtures::app("/a", Network::Host);
    app.version = Some(NEW.into());
    app.last_config_change_at = Some(NEW.into());
    app.instances = tasks.len() as u64;
    app.tasks = tasks
        .iter()
        .map(|(id, version)| task(id, version))
        .collect();
    let result = |&(task, ready): &(&str, bool)| ReadinessResult {
        task: task.into(),
        ready,
    };
    app.readiness = Some(Readiness {
        timeout_seconds: 10,
        deploying,
        results: Some(results.iter().map(result).collect()),
    });
    app
}

/// Who may have clients, and when that changes by itself.
fn admits(memory: &mut ReadinessMemory, app: &App, second: u64) -> (String, Option<Time>) {
    let apps = [Arc::new(app.clone())];
    let (admitted, waiting) = without_waiting(&apps, memory, at(second));
    let ids: Vec<&str> = admitted[0].tasks.iter().map(|task| &*task.id).collect();
    let left_out = app.tasks.len() - ids.len();
    let expected = (0 < left_out).then_some(&left_out);
    assert_eq!(waiting.tasks.get(&app.id), expected);
    assert_eq!(
        admitted[0].instances + left_out as u64,
        app.instances,
        "those that wait take over nothing"
    );
    (ids.join(" "), waiting.until)
}

fn admitted(app: &App, second: u64) -> String {
    admits(&mut ReadinessMemory::default(), app, second).0
}

#[test]
fn a_task_has_clients_once_marathon_calls_it_ready_and_older_ones_meanwhile() {
    let tasks = &[("old", OLD), ("new", NEW)];
    for (results, want) in [
        (&[("new", false)][..], "old"),
        (&[("new", true)], "old new"),
        (&[("new", true), ("new", false)], "old"),
        (&[("new", false), ("new", true)], "old"),
        (&[("old", false), ("new", false)], ""),
        (&[("somebody else", false), ("new", true)], "old new"),
    ] {
        assert_eq!(admitted(&app(tasks, true, results), 3599), want);
    }
    let first = app(&[("new", NEW)], true, &[("new", false)]);
    assert_eq!(
        admitted(&first, 3599),
        "",
        "nobody serves who never was ready"
    );
}

#[test]
fn where_nothing_is_asked_everybody_is_ready() {
    let tasks = &[("one", NEW), ("two", NEW)];
    assert_eq!(admitted(&app(tasks, false, &[]), 11), "one two");
    let mut not_told = app(tasks, true, &[]);
    not_told.readiness.as_mut().unwrap().results = None;
    assert_eq!(admitted(&not_told, 11), "one two");
    let mut unchecked = app(tasks, true, &[]);
    unchecked.readiness = None;
    assert_eq!(admitted(&unchecked, 11), "one two");
}

#[test]
fn a_task_without_a_result_waits_for_it_as_long_as_one_may_take() {
    let app = app(
        &[
            ("old", OLD),
            ("scaled", "2026-01-01T23:00:00Z"),
            ("new", NEW),
        ],
        true,
        &[],
    );
    let memory = &mut ReadinessMemory::default();
    let until = Some(at(25));
    assert_eq!(admits(memory, &app, 10), ("old scaled".to_owned(), until));
    assert_eq!(admits(memory, &app, 24), ("old scaled".to_owned(), until));
    assert_eq!(
        admits(memory, &app, 25),
        ("old scaled new".to_owned(), None)
    );
    // A clock that is behind a little lengthens it a little, one that is far behind has no say.
    assert_eq!(admits(memory, &app, 0).0, "old scaled");
    let mut far = app.clone();
    far.tasks[2].started_at = Some("2026-01-02T01:00:00Z".into());
    assert_eq!(admits(memory, &far, 0).0, "old scaled new");
    for unknown in [None, Some("soon")] {
        far.tasks[2].started_at = unknown.map(Into::into);
        assert_eq!(admits(memory, &far, 11).0, "old scaled new");
    }
}

/// The results of an app are gone once its step is over, while those of other apps go on.
#[test]
fn later_steps_of_a_deployment_take_nobody_out() {
    let memory = &mut ReadinessMemory::default();
    let tasks = &[("one", NEW), ("two", NEW)];
    let during = app(tasks, true, &[("one", true), ("two", false)]);
    assert_eq!(admits(memory, &during, 12).0, "one");
    let later = app(tasks, true, &[]);
    // The word that made the second one ready was missed.
    assert_eq!(admits(memory, &later, 13), ("one".to_owned(), Some(at(27))));
    assert_eq!(admits(memory, &later, 27).0, "one two");
    assert_eq!(admits(memory, &later, 28).0, "one two");
    let over = app(tasks, false, &[]);
    assert_eq!(admits(memory, &over, 29).0, "one two");
    assert_eq!(*memory, ReadinessMemory::default());
}

#[test]
fn a_deployment_that_is_over_makes_everybody_ready_at_once() {
    let memory = &mut ReadinessMemory::default();
    let tasks = &[("one", NEW)];
    assert_eq!(
        admits(memory, &app(tasks, true, &[("one", false)]), 12).0,
        ""
    );
    assert_eq!(admits(memory, &app(tasks, false, &[]), 13).0, "one");
    // What it was told once says nothing when it is replaced later.
    let mut next = app(&[("one", NEW), ("next", NEWER)], true, &[("next", false)]);
    next.version = Some(NEWER.into());
    next.last_config_change_at = Some(NEWER.into());
    assert_eq!(admits(memory, &next, 60).0, "one");
}

#[test]
fn a_new_leader_takes_nobody_out_and_lets_nobody_in() {
    let tasks = &[("old", OLD), ("ready", NEW), ("busy", NEW)];
    let memory = &mut ReadinessMemory::default();
    let before = app(tasks, true, &[("ready", true), ("busy", false)]);
    assert_eq!(admits(memory, &before, 12).0, "old ready");
    // It knows of no deployment, then of no results, and asks them anew.
    assert_eq!(admits(memory, &app(tasks, false, &[]), 13).0, "old ready");
    assert_eq!(admits(memory, &app(tasks, true, &[]), 14).0, "old ready");
    let anew = app(tasks, true, &[("ready", false), ("busy", false)]);
    assert_eq!(admits(memory, &anew, 15).0, "old ready");
    let at_last = app(tasks, true, &[("ready", true), ("busy", true)]);
    assert_eq!(admits(memory, &at_last, 16).0, "old ready busy");
    // Who knows nothing of what was before takes nobody out who serves for long.
    assert_eq!(admitted(&app(tasks, true, &[]), 60), "old ready busy");
}

#[test]
fn who_was_not_ready_before_a_rollback_is_not_after_it_either() {
    let memory = &mut ReadinessMemory::default();
    let tasks = &[("old", OLD), ("bad", NEW), ("back", NEWER)];
    assert_eq!(
        admits(memory, &app(&tasks[..2], true, &[("bad", false)]), 12).0,
        "old"
    );
    let mut back = app(tasks, true, &[("back", false)]);
    back.version = Some(NEWER.into());
    back.last_config_change_at = Some(NEWER.into());
    assert_eq!(admits(memory, &back, 3000).0, "old");
    // The same where only more tasks are wanted: nobody asks them any more, so this comes to an end.
    let mut scaled = app(&tasks[..2], true, &[]);
    scaled.version = Some(NEWER.into());
    assert_eq!(admits(memory, &scaled, 3001).0, "old bad");
    let memory = &mut ReadinessMemory::default();
    admits(memory, &app(&tasks[..2], true, &[("bad", false)]), 12);
    assert_eq!(
        admits(memory, &scaled, 13),
        ("old".to_owned(), Some(at(27)))
    );
}

#[test]
fn who_does_not_run_neither_waits_nor_is_remembered() {
    let memory = &mut ReadinessMemory::default();
    let mut app = app(&[("one", NEW)], true, &[("one", false)]);
    app.tasks[0].state = Some(TaskState::Killing);
    assert_eq!(admits(memory, &app, 11).0, "one");
    assert_eq!(*memory, ReadinessMemory::default());
    app.tasks[0].state = Some(TaskState::Running);
    admits(memory, &app, 11);
    assert_eq!(memory.waiting.len(), 1);
    app.tasks.clear();
    admits(memory, &app, 12);
    assert_eq!(*memory, ReadinessMemory::default());
}
