use proptest::prelude::*;

use super::{WrongBody, app, apps};
use crate::cluster::{ServingTasks, service_ports};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_wrong_type_costs_that_app_and_says_where_it_stood() {
    for (fields, field, found, expected) in [
        (
            r#""ports":[1,-7]"#,
            "ports[1]",
            "integer `-7`",
            "a port from 0 to 65535",
        ),
        (
            r#""ports":[-1]"#,
            "ports[0]",
            "integer `-1`",
            "a port from 0 to 65535",
        ),
        (
            r#""ports":[80.5]"#,
            "ports[0]",
            "floating point `80.5`",
            "a port from 0 to 65535",
        ),
        (
            r#""ports":["80"]"#,
            "ports[0]",
            r#"string "80""#,
            "a port from 0 to 65535",
        ),
        (
            r#""ports":[null]"#,
            "ports[0]",
            "null",
            "a port from 0 to 65535",
        ),
        (r#""ports":{}"#, "ports", "an object", "a list"),
        (r#""ports":80"#, "ports", "integer `80`", "a list"),
        (r#""labels":{"a":1}"#, "labels.a", "integer `1`", "a string"),
        (r#""labels":[]"#, "labels", "a list", "an object of strings"),
        (
            r#""env":"x""#,
            "env",
            r#"string "x""#,
            "an object of strings",
        ),
        (
            r#""instances":"many""#,
            "instances",
            r#"string "many""#,
            "a whole number from 0",
        ),
        (
            r#""instances":-1"#,
            "instances",
            "integer `-1`",
            "a whole number from 0",
        ),
        (r#""version":1"#, "version", "integer `1`", "a string"),
        (
            r#""versionInfo":"x""#,
            "versionInfo",
            r#"string "x""#,
            "an object",
        ),
        (
            r#""container":true"#,
            "container",
            "boolean `true`",
            "an object",
        ),
        (
            r#""container":{"docker":"x"}"#,
            "container.docker",
            r#"string "x""#,
            "an object",
        ),
        (
            r#""container":{"portMappings":[{},{"servicePort":"x, expected u16 at line 1"}]}"#,
            "container.portMappings[1].servicePort",
            r#"string "x, expected u16 at line 1""#,
            "a port from 0 to 65535",
        ),
        (
            r#""portDefinitions":[5]"#,
            "portDefinitions[0]",
            "integer `5`",
            "an object",
        ),
        (
            r#""portDefinitions":[{"port":-1}]"#,
            "portDefinitions[0].port",
            "integer `-1`",
            "a port from 0 to 65535",
        ),
        (
            r#""networks":{"mode":"host"}"#,
            "networks",
            "an object",
            "a list",
        ),
        (
            r#""networks":[{"mode":7}]"#,
            "networks[0].mode",
            "integer `7`",
            "a string",
        ),
        (
            r#""networks":[{"mode":"x\n"}]"#,
            "networks",
            r"mode `x\n`",
            "host, container or container/bridge",
        ),
        (r#""ipAddress":[]"#, "ipAddress", "a list", "an object"),
        (
            r#""ipAddress":{"discovery":{"ports":[{"number":"x"}]}}"#,
            "ipAddress.discovery.ports[0].number",
            r#"string "x""#,
            "a port from 0 to 65535",
        ),
        (r#""tasks":{}"#, "tasks", "an object", "a list"),
    ] {
        let json = format!(r#"{{"apps":[{{"id":"/x"}},{{{fields},"id":"b/c"}},{{"id":"/y"}}]}}"#);
        let (apps, warnings) = apps(&json).unwrap();
        let ids: Vec<_> = apps.iter().map(|app| app.id.as_str()).collect();
        assert_eq!(ids, ["/x", "/y"], "{fields}");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let want = format!(
            "app `/b/c`: field `{field}`: found {found}, expected {expected}; app left out"
        );
        assert_eq!(warnings, [want]);
    }
}

#[test]
fn an_app_without_a_usable_id_is_named_by_its_place() {
    let path =
        "expected a path of at most 1000 letters, digits, `-`, `.`, `_` and `/`; app left out";
    for (json, want) in [
        (
            "{}",
            format!("id of app number 2 of the answer: found no id, {path}"),
        ),
        (
            r#"{"id":null}"#,
            format!("id of app number 2 of the answer: found no id, {path}"),
        ),
        (
            r#"{"id":""}"#,
            format!("id of app number 2 of the answer: found ``, {path}"),
        ),
        (
            r#"{"id":"/"}"#,
            format!("id of app number 2 of the answer: found `/`, {path}"),
        ),
        (
            r#"{"id":"/a\nb"}"#,
            format!(r"id of app number 2 of the answer: found `/a\nb`, {path}"),
        ),
        (
            r#"{"id":"/a b"}"#,
            format!("id of app number 2 of the answer: found `/a b`, {path}"),
        ),
        (
            r#"{"id":5}"#,
            "field `id` of app number 2 of the answer: found integer `5`, expected a string; app \
             left out"
                .to_owned(),
        ),
        (
            r#"{"ports":5}"#,
            "field `ports` of app number 2 of the answer: found integer `5`, expected a list; app \
             left out"
                .to_owned(),
        ),
        (
            "7",
            "app number 2 of the answer: found integer `7`, expected an object; app left out"
                .to_owned(),
        ),
    ] {
        let json = format!(r#"{{"apps":[{{"id":"/x"}},{json},{{"id":"/y"}}]}}"#);
        let (apps, warnings) = apps(&json).unwrap();
        assert_eq!(apps.len(), 2, "{json}");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [want], "{json}");
    }
    assert_eq!(apps(r#"{"apps":[null]}"#).unwrap(), (vec![], vec![]));
}

#[test]
fn what_was_found_is_shown_on_one_short_line_and_never_from_the_environment() {
    let long = "x".repeat(500);
    let json = format!(r#"{{"apps":[{{"id":"/a","ports":["{long}"],"env":{{"S":12345}}}}]}}"#);
    let warning = apps(&json).unwrap().1.remove(0).to_string();
    assert!(warning.len() < 250 && warning.contains("xx…"), "{warning}");
    assert!(!warning.contains("12345"), "{warning}");
}

#[test]
fn an_answer_without_a_list_of_apps_is_none() {
    let wrong = |found: &str| WrongBody::WrongForm {
        found: found.to_owned(),
        expected: "an object with the list `apps`",
    };
    for (json, want) in [
        ("{}", wrong("no `apps`")),
        (r#"{"apps":null}"#, wrong("no `apps`")),
        (r#"{"apps":{}}"#, wrong("an object")),
        (r#"{"apps":"x"}"#, wrong("string \"x\"")),
        (r#"{"message":"x"}"#, wrong("no `apps`")),
        (r#"{"tasks":[]}"#, wrong("no `apps`")),
        ("5", wrong("integer `5`")),
    ] {
        assert_eq!(apps(json), Err(want), "{json}");
    }
    let cut = r#"{"apps":[{"id":"/a"},{"id":"/b"}]}"#;
    for length in 0..cut.len() {
        assert!(
            matches!(apps(&cut[..length]), Err(WrongBody::NotJson(_))),
            "{length}"
        );
    }
    for json in [
        "<html>",
        "not json",
        r#"{"apps":[]} {"#,
        r#"{"apps":[{"ports":5},}"#,
    ] {
        let message = apps(json).unwrap_err().to_string();
        assert!(
            message.starts_with("found a body that is no complete JSON ("),
            "{message}"
        );
    }
}

#[test]
fn one_app_is_read_as_in_a_list() {
    let (read, warnings) = app(r#"{"app":{"id":"/a","ports":[1]}}"#).unwrap();
    assert_eq!((read.unwrap().id.as_str(), warnings), ("/a", vec![]));

    let (read, warnings) = app(r#"{"app":{"id":"/a","ports":5}}"#).unwrap();
    assert_eq!(read, None);
    let want = "app `/a`: field `ports`: found integer `5`, expected a list; app left out";
    assert_eq!(warnings[0].to_string(), want);

    let message = app(r#"{"message":"App '/a' does not exist"}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "found no `app`, expected an object with the object `app`"
    );
}

/// Any JSON, written with the names that Marathon uses, so that it gets past the first field.
pub(in crate::marathon) fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        (0..=u16::MAX).prop_map(|n| n.to_string()),
        prop_oneof![Just("1.5".to_owned()), Just("1e99".to_owned())],
        r"[a-z/\PC]{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        prop::sample::select(vec!["BRIDGE", "TASK_RUNNING", "tcp", "10.0.0.1"])
            .prop_map(|w| format!("\"{w}\"")),
    ];
    let names = prop::sample::select(vec![
        "apps",
        "id",
        "labels",
        "env",
        "ipAddress",
        "networks",
        "mode",
        "container",
        "docker",
        "network",
        "portMappings",
        "portDefinitions",
        "ports",
        "port",
        "servicePort",
        "hostPort",
        "containerPort",
        "healthChecks",
        "tasks",
        "host",
        "ipAddresses",
        "state",
        "discovery",
        "healthCheckResults",
        "versionInfo",
        "protocol",
        "number",
        "other",
    ]);
    leaf.prop_recursive(7, 96, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|l| format!("[{}]", l.join(","))),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_app_is_read_or_warned_of_and_hurts_no_other(json in any_json()) {
        let body = format!(r#"{{"apps":[{{"id":"/x"}},{json},{{"id":"/y"}}]}}"#);
        let (apps, warnings) = apps(&body).unwrap();
        prop_assert!(apps.first().is_some_and(|app| app.id.as_str() == "/x"));
        prop_assert!(apps.last().is_some_and(|app| app.id.as_str() == "/y"));
        prop_assert!(apps.len() == 3 || json == "null" || !warnings.is_empty());
        for warning in warnings {
            prop_assert!(!warning.to_string().contains(char::is_control));
        }
        for app in &apps {
            let (ports, _) = service_ports(app, ServingTasks::RunningOrOutOfSight);
            prop_assert!(ports.iter().all(|port| port.service_port != 0));
            prop_assert!(ports.iter().flat_map(|port| &port.endpoints).all(|e| e.port != 0));
        }
    }

    #[test]
    fn any_json_and_any_text_is_an_answer_or_none(json in any_json(), text in r"\PC*") {
        for body in [json, text] {
            let _ = (apps(&body), app(&body));
        }
    }
}

#[test]
fn an_id_that_several_apps_have_is_told() {
    let body = r#"{"apps":[{"id":"/a","ports":[1]},{"id":"/b"},{"id":"a","ports":[2]}]}"#;
    let told = "app `/a`: field `id`: found 2 apps of this id in one answer, expected one; the last \
                of them counts";
    // The second is read app by app.
    for body in [body.to_owned(), body.replace("[2]", "[2],\"tasks\":[5]")] {
        let (_, warnings) = apps(&body).unwrap();
        assert_eq!(warnings.last().unwrap().to_string(), told);
    }
}

#[test]
fn a_list_in_the_place_of_an_object_is_called_one() {
    for field in ["versionInfo", "container", "ipAddress"] {
        let (_, warnings) = apps(&format!(r#"{{"apps":[{{"id":"/a","{field}":[]}}]}}"#)).unwrap();
        let told = warnings[0].to_string();
        assert!(told.contains("found a list, expected an object"), "{told}");
    }
}

#[test]
fn an_id_without_end_is_none() {
    let id = format!("/{}", "a".repeat(100_000));
    let (read, warnings) = apps(&format!(r#"{{"apps":[{{"id":"{id}"}}]}}"#)).unwrap();
    assert_eq!(read, []);
    let told = warnings[0].to_string();
    assert!(told.contains("at most 1000") && told.len() < 500, "{told}");
}
