use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::{App, Warning};
use crate::marathon::{app, apps};

/// The one between two others, which are as always, and what was said of it.
fn between_others(own: &str) -> (Option<App>, Vec<Warning>) {
    let body = format!(r#"{{"apps":[{{"id":"/x"}},{own},{{"id":"/y","ports":[1]}}]}}"#);
    let (mut all, warnings) = apps(&body).unwrap();
    let last = all.pop().unwrap();
    assert_eq!((last.id.as_str(), last.ports), ("/y", Some(vec![1])));
    assert_eq!(all.remove(0).id.as_str(), "/x");
    (all.pop(), warnings)
}

#[test]
fn a_task_that_cannot_be_read_costs_that_task_alone() {
    for (task, field, found, expected) in [
        (r#""t""#, "", r#"string "t""#, "an object"),
        ("5", "", "integer `5`", "an object"),
        (
            r#"{"ports":[1,70000]}"#,
            ".ports[1]",
            "integer `70000`",
            "a port from 0 to 65535",
        ),
        (
            r#"{"ports":[-1]}"#,
            ".ports[0]",
            "integer `-1`",
            "a port from 0 to 65535",
        ),
        (
            r#"{"ports":[1.5]}"#,
            ".ports[0]",
            "floating point `1.5`",
            "a port from 0 to 65535",
        ),
        (
            r#"{"ports":["31000"]}"#,
            ".ports[0]",
            r#"string "31000""#,
            "a port from 0 to 65535",
        ),
        (
            r#"{"ports":[1,{}]}"#,
            ".ports[1]",
            "an object",
            "a port from 0 to 65535",
        ),
        (r#"{"ports":31000}"#, ".ports", "integer `31000`", "a list"),
        (r#"{"host":5}"#, ".host", "integer `5`", "a string"),
        (r#"{"state":{"x":1}}"#, ".state", "an object", "a string"),
    ] {
        let good = r#"{"id":"good","host":"h","ports":[31000],"state":"TASK_RUNNING"}"#;
        let own = format!(r#"{{"id":"/a","ports":[80],"tasks":[{good},{task},{good}]}}"#);
        let want = format!(
            "app `/a`: field `tasks[1]{field}`: found {found}, expected {expected}; task left out"
        );
        for (read, warnings) in [
            between_others(&own),
            app(&format!(r#"{{"app":{own}}}"#)).unwrap(),
        ] {
            let read = read.unwrap();
            let tasks: Vec<_> = read.tasks.iter().map(|task| &*task.id).collect();
            assert_eq!(tasks, ["good", "good"], "{task}");
            assert_eq!(read.ports, Some(vec![80]), "{task}");
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [&*want], "{task}");
        }
    }
}

#[test]
fn a_result_of_a_health_check_that_cannot_be_read_costs_that_result_alone() {
    for (results, field, found, expected, effect, left) in [
        (
            r#"[{"alive":"yes"},{"alive":false}]"#,
            "[0].alive",
            r#"string "yes""#,
            "true or false",
            "health check result left out",
            Some(1),
        ),
        (
            r#"[{"alive":true},5]"#,
            "[1]",
            "integer `5`",
            "an object",
            "health check result left out",
            Some(1),
        ),
        (
            r#""none""#,
            "",
            r#"string "none""#,
            "a list",
            "health check results left out",
            None,
        ),
    ] {
        let task = format!(r#"{{"id":"t","host":"h","ports":[1],"healthCheckResults":{results}}}"#);
        let (read, warnings) = between_others(&format!(r#"{{"id":"/a","tasks":[{task}]}}"#));
        let tasks = read.unwrap().tasks;
        assert_eq!((&*tasks[0].id, tasks[0].ports[0]), ("t", 1));
        assert_eq!(tasks[0].health.as_ref().map(Vec::len), left);
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let place = format!("tasks[0].healthCheckResults{field}");
        let want =
            format!("app `/a`: field `{place}`: found {found}, expected {expected}; {effect}");
        assert_eq!(warnings, [want]);
    }
    // What else is wrong with it costs the task.
    let task = r#"{"id":"t","ports":[-1],"healthCheckResults":[5]}"#;
    let (read, warnings) = between_others(&format!(r#"{{"id":"/a","tasks":[{task}]}}"#));
    assert_eq!(read.unwrap().tasks, []);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn a_health_check_that_cannot_be_read_costs_that_check_alone() {
    for (check, field, found, expected) in [
        (r#""x""#, "", r#"string "x""#, "an object"),
        (
            r#"{"portIndex":-1}"#,
            ".portIndex",
            "integer `-1`",
            "a whole number from 0",
        ),
        (
            r#"{"portIndex":99999999999999999999}"#,
            ".portIndex",
            "floating point `1e+20`",
            "a whole number from 0",
        ),
        (
            r#"{"portIndex":"0"}"#,
            ".portIndex",
            r#"string "0""#,
            "a whole number from 0",
        ),
        (
            r#"{"port":70000}"#,
            ".port",
            "integer `70000`",
            "a port from 0 to 65535",
        ),
        (r#"{"path":["/"]}"#, ".path", "a list", "a string"),
    ] {
        let own = format!(
            r#"{{"id":"/a","healthChecks":[{check},{{"path":"/good"}}],"tasks":[{{"id":"t"}}]}}"#
        );
        let (read, warnings) = between_others(&own);
        let read = read.unwrap();
        let paths: Vec<_> = read
            .health_checks
            .iter()
            .map(|c| c.path.as_deref())
            .collect();
        assert_eq!(paths, [Some("/good")], "{check}");
        assert_eq!(read.tasks.len(), 1, "{check}");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let want = format!(
            "app `/a`: field `healthChecks[0]{field}`: found {found}, expected {expected}; health \
             check left out"
        );
        assert_eq!(warnings, [want], "{check}");
    }
}

#[test]
fn a_number_of_a_health_check_that_is_none_is_taken_for_its_default() {
    for (wrong, found) in [
        ("0.5", "`0.5`"),
        ("-1", "`-1`"),
        ("1e99", "`1e99`"),
        ("99999999999999999999", "`99999999999999999999`"),
        (r#""10""#, r#"`"10"`"#),
        ("{}", "`{}`"),
    ] {
        let numbers = [
            "gracePeriodSeconds",
            "intervalSeconds",
            "timeoutSeconds",
            "maxConsecutiveFailures",
        ];
        let members = numbers.map(|name| format!(r#""{name}":{wrong}"#)).join(",");
        let own = format!(
            r#"{{"id":"/a","healthChecks":[null,{{"path":"/p","portIndex":1,{members}}}]}}"#
        );
        let (read, warnings) = between_others(&own);
        let read = read.unwrap();
        let right = r#"{"id":"/a","healthChecks":[{"path":"/p","portIndex":1}]}"#;
        assert_eq!(read, between_others(right).0.unwrap(), "{wrong}");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let want = numbers.map(|name| {
            format!(
                "app `/a`: field `healthChecks[1].{name}`: found {found}, expected a whole number \
                 from 0; its default counts"
            )
        });
        assert_eq!(warnings, want, "{wrong}");
    }
}

/// As Marathon writes it, with all that is read of it.
fn whole() -> Value {
    let task = |id: &str| {
        json!({
            "id": id,
            "host": "10.0.0.1",
            "ports": [31000, 31001],
            "ipAddresses": [{"ipAddress": "172.17.0.2", "protocol": "IPv4"}],
            "state": "TASK_RUNNING",
            "startedAt": "2026-01-01T00:00:00.000Z",
            "version": "2026-01-01T00:00:00.000Z",
            "healthCheckResults": [{"alive": true, "consecutiveFailures": 0}],
        })
    };
    let check = |path: &str| {
        json!({
            "protocol": "HTTP",
            "path": path,
            "port": 8080,
            "portIndex": 1,
            "gracePeriodSeconds": 5,
            "intervalSeconds": 10,
            "timeoutSeconds": 2,
            "maxConsecutiveFailures": 3,
            "ignoreHttp1xx": false,
        })
    };
    json!({
        "id": "/a",
        "labels": {"HAPROXY_GROUP": "x"},
        "env": {"A": "b", "S": {"secret": "s"}},
        "networks": [{"mode": "container/bridge"}],
        "container": {"docker": {"network": "BRIDGE"}, "portMappings": [
            {"containerPort": 80, "hostPort": 0, "servicePort": 10000, "protocol": "tcp"}]},
        "portDefinitions": [{"port": 10000, "protocol": "tcp", "name": "n", "labels": {}}],
        "ports": [10000],
        "healthChecks": [check("/1"), check("/2")],
        "readinessChecks": [{"timeoutSeconds": 5}],
        "instances": 2,
        "version": "2026-01-01T00:00:00.000Z",
        "versionInfo": {"lastConfigChangeAt": "2026-01-01T00:00:00.000Z"},
        "tasks": [task("t1"), task("t2"), task("t3")],
    })
}

/// The way to every value of `value`, itself excepted.
fn ways(value: &Value, way: &str, all: &mut Vec<String>) {
    let mut below = |name: &str, value: &Value| {
        let way = format!("{way}/{name}");
        all.push(way.clone());
        ways(value, &way, all);
    };
    match value {
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                below(&index.to_string(), value);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                below(name, value);
            }
        }
        _ => (),
    }
}

fn garbage() -> impl Strategy<Value = Value> {
    let fixed = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(65_536),
        json!(4_294_967_296_u64),
        json!(u64::MAX),
        json!(0.5),
        json!(1e99),
        json!(""),
        json!("x\n"),
        json!([]),
        json!({}),
        json!([null, "x", -1]),
        json!({"x": [1]}),
    ]);
    prop_oneof![
        fixed,
        any::<i64>().prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from)
    ]
}

/// Which of a list is at the way, if it is one of that.
fn place(way: &str, list: &str) -> Option<usize> {
    let rest = way
        .strip_prefix('/')?
        .strip_prefix(list)?
        .strip_prefix('/')?;
    rest.split('/').next()?.parse().ok()
}

/// Whether `now` is `before`, but for the one at `place`, which may be another or none.
fn is_but_for<T: PartialEq>(now: &[T], before: &[T], place: usize) -> bool {
    let (ahead, behind) = (&before[..place], &before[place + 1..]);
    now.starts_with(ahead) && now.ends_with(behind) && now.len() + 1 >= before.len()
}

proptest! {
    #[test]
    fn one_garbled_field_costs_no_more_than_what_it_is_a_field_of(
        chosen in any::<prop::sample::Index>(),
        garbage in garbage(),
    ) {
        let before = between_others(&whole().to_string()).0.unwrap();
        let mut all = Vec::new();
        ways(&whole(), "", &mut all);
        let way = &all[chosen.index(all.len())];
        let mut garbled = whole();
        *garbled.pointer_mut(way).unwrap() = garbage;
        let (now, warnings) = between_others(&garbled.to_string());
        let Some(mut now) = now else {
            prop_assert!(!warnings.is_empty(), "{way}");
            let costs_all = place(way, "tasks").or(place(way, "healthChecks")).is_none();
            prop_assert!(costs_all, "{way}: {warnings:?}");
            return Ok(());
        };
        if let Some(place) = place(way, "tasks") {
            prop_assert!(is_but_for(&now.tasks, &before.tasks, place), "{way}: {now:?}");
            let is_null = garbled.pointer(&format!("/tasks/{place}")) == Some(&Value::Null);
            let is_told = is_null || !warnings.is_empty();
            prop_assert!(is_told || now.tasks.len() == before.tasks.len(), "{way}: {now:?}");
            now.tasks.clone_from(&before.tasks);
            prop_assert_eq!(now, before);
        } else if let Some(place) = place(way, "healthChecks") {
            let checks = (&now.health_checks, &before.health_checks);
            prop_assert!(is_but_for(checks.0, checks.1, place), "{way}: {now:?}");
            now.health_checks.clone_from(&before.health_checks);
            prop_assert_eq!(now, before);
        }
    }
}
