use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(kind: &str, data: &Value) -> Meaning {
    raw(kind, data.to_string().as_bytes())
}

fn raw(kind: &str, data: &[u8]) -> Meaning {
    read(Frame {
        kind: kind.as_bytes(),
        data: Data::Whole(data),
    })
}

fn ids(apps: &[&str]) -> BTreeSet<AppId> {
    apps.iter().map(|id| AppId::new(id)).collect()
}

fn apps(apps: &[&str]) -> Meaning {
    Meaning::Apps(ids(apps))
}

fn unreadable(kind: &'static str) -> Meaning {
    Meaning::Doubt(Doubt::Unreadable(kind.into()))
}

/// Each in the form of the versions that told it.
#[test]
fn events_name_the_app_that_they_touch() {
    for (kind, data) in [
        (
            "status_update_event",
            json!({"slaveId": "S6", "taskId": "a.0664256e", "taskStatus": "TASK_FAILED",
                "message": "exit status: 256", "appId": "/a", "host": "srv5", "ports": [31776],
                "version": "2015-09-30T09:09:17.614Z", "eventType": "status_update_event",
                "timestamp": "2015-09-30T12:44:45.681Z"}),
        ),
        // Before 0.7 ids had no slash.
        (
            "status_update_event",
            json!({"appId": "a", "host": null, "ports": null}),
        ),
        (
            "health_status_changed_event",
            json!({"appId": "/a", "taskId": "a.1", "version": "v", "alive": true}),
        ),
        (
            "health_status_changed_event",
            json!({"appId": "/a", "instanceId": "a.instance-1", "version": "v", "alive": false}),
        ),
        (
            "instance_health_changed_event",
            json!({"instanceId": "i", "runSpecId": "/a", "healthy": null, "runSpecVersion": "v"}),
        ),
        (
            "instance_changed_event",
            json!({"instanceId": "i", "condition": "Unreachable ", "runSpecId": "/a",
                "agentId": "S1", "host": "h", "runSpecVersion": "v"}),
        ),
        (
            "unknown_instance_terminated_event",
            json!({"instanceId": "i", "runSpecId": "/a", "condition": "Finished"}),
        ),
        (
            "unknown_task_terminated_event",
            json!({"id": "t", "runSpecId": "/a", "status": "Finished"}),
        ),
        ("app_terminated_event", json!({"appId": "/a"})),
        (
            "add_health_check_event",
            json!({"appId": "/a", "healthCheck": {"protocol": "HTTP"}}),
        ),
        ("remove_health_check_event", json!({"appId": "/a"})),
        (
            "api_post_event",
            json!({"clientIp": "0:0:0:0:0:0:0:1", "uri": "/v2/apps/a",
                "appDefinition": {"id": "/a", "labels": {"id": "/b"}, "ports": [10001]}}),
        ),
    ] {
        assert_eq!(event(kind, &data), apps(&["/a"]), "{kind}");
    }
}

#[test]
fn deployments_name_their_apps_in_the_forms_of_all_versions() {
    let step = |apps: &[&str]| Some(ids(apps));
    for (data, want) in [
        // Light plans (1.6 and later).
        (
            json!({"plan": {"id": "d"}, "currentStep": {"actions": [
                {"action": "ScaleApplication", "app": "/a"}, {"action": "StopPod", "pod": "/p"}]}}),
            Deployment {
                id: Some("d".into()),
                step: step(&["/a"]),
                ..Deployment::default()
            },
        ),
        (
            json!({"plan": {"id": "d", "version": "v", "original": {"id": "/", "apps": []},
                "target": {"id": "/", "apps": [{"id": "/c"}]}, "steps": [
                    {"actions": [{"type": "StartApplication", "app": "/a"}]},
                    {"action": "ScaleApplication", "app": "/b"}]},
                "currentStep": {"actions": [{"type": "StartApplication", "app": "/a"}]}}),
            Deployment {
                id: Some("d".into()),
                version: Some("v".into()),
                step: step(&["/a"]),
                all: step(&["/a", "/b"]),
            },
        ),
        (
            json!({"plan": {"id": "d", "steps": [[{"action": "StopApplication", "app": "/a"}]]}}),
            Deployment {
                id: Some("d".into()),
                all: step(&["/a"]),
                ..Deployment::default()
            },
        ),
        (
            json!({"plan": {"id": "d", "steps": []}, "currentStep": null}),
            Deployment {
                id: Some("d".into()),
                all: step(&[]),
                ..Deployment::default()
            },
        ),
        // A plan that is not understood leaves the step.
        (
            json!({"plan": {"id": "d", "steps": "none"}, "currentStep": {"actions": []}}),
            Deployment {
                id: Some("d".into()),
                step: step(&[]),
                ..Deployment::default()
            },
        ),
    ] {
        for kind in [
            "deployment_info",
            "deployment_step_success",
            "deployment_step_failure",
        ] {
            assert_eq!(event(kind, &data), Meaning::Step(want.clone()), "{data}");
        }
        for kind in ["deployment_success", "deployment_failed"] {
            assert_eq!(event(kind, &data), Meaning::End(want.clone()), "{data}");
        }
    }
    let alone = Deployment {
        id: Some("d".into()),
        ..Deployment::default()
    };
    assert_eq!(
        event("deployment_success", &json!({"id": "d"})),
        Meaning::End(alone)
    );
    for data in [
        json!({}),
        json!({"plan": {"id": "d"}}),
        json!({"plan": {"id": "d"}, "currentStep": {"actions": [{"app": 7}]}}),
        json!({"plan": {"id": "d"}, "currentStep": {"actions": [{"action": "x"}]}}),
    ] {
        assert_eq!(
            event("deployment_info", &data),
            unreadable("deployment_info"),
            "{data}"
        );
    }
}

#[test]
fn some_events_concern_every_app() {
    let version = Some("v".into());
    for kind in ["group_change_success", "group_change_failed"] {
        let data = json!({"groupId": "/", "version": "v"});
        assert_eq!(
            event(kind, &data),
            Meaning::GroupChanged {
                version: version.clone()
            }
        );
    }
    for kind in ["scheduler_registered_event", "scheduler_reregistered_event"] {
        assert_eq!(event(kind, &json!({})), Meaning::Doubt(Doubt::Registered));
    }
}

#[test]
fn what_cannot_change_routing_says_nothing() {
    for kind in [
        "failed_health_check_event",
        "unhealthy_task_kill_event",
        "unhealthy_instance_kill_event",
        "pod_created_event",
        "pod_updated_event",
        "pod_deleted_event",
        "scheduler_disconnected_event",
        "subscribe_event",
        "unsubscribe_event",
        "event_stream_detached",
        "framework_message_event",
        "an_event_of_the_future",
        "STATUS_UPDATE_EVENT",
    ] {
        assert_eq!(
            raw(kind, b"{\"appId\": \"/a\"}"),
            Meaning::Nothing,
            "{kind}"
        );
        assert_eq!(raw(kind, b"garbage"), Meaning::Nothing, "{kind}");
        let too_large = Frame {
            kind: kind.as_bytes(),
            data: Data::TooLarge,
        };
        assert_eq!(read(too_large), Meaning::Nothing, "{kind}");
    }
    assert_eq!(raw("event_stream_attached", b"garbage"), Meaning::Attached);
}

#[test]
fn a_known_event_that_cannot_be_read_is_a_doubt() {
    for data in [
        "",
        "{",
        "null",
        "[]",
        "7",
        "{}",
        "{\"appId\": null}",
        "{\"appId\": 7}",
        "{\"appId\": {}}",
        "{\"appId\": \"\"}",
        "{\"appId\": \"/\"}",
        "{\"appId\": \"/a b\"}",
        "{\"appId\": \"/a/../b\"}",
        "{\"appId\": \"/..\"}",
        "{\"appId\": \"/a//b\"}",
        "{\"appId\": \"/a/\"}",
        "{\"appId\": \"/a?x\"}",
        "{\"appId\": \"/a\", \"appId\": \"/b\"}",
        "{\"appId\": \"/a\"} x",
        "\u{feff}{\"appId\": \"/a\"}",
    ] {
        let kind = "status_update_event";
        assert_eq!(raw(kind, data.as_bytes()), unreadable(kind), "{data}");
    }
    assert_eq!(
        raw("app_terminated_event", b"{\"appId\": \"/\xff\"}"),
        unreadable("app_terminated_event")
    );
    for data in [
        "{}",
        "{\"appDefinition\": null}",
        "{\"appDefinition\": {\"id\": null}}",
    ] {
        assert_eq!(
            raw("api_post_event", data.as_bytes()),
            unreadable("api_post_event")
        );
    }
    assert_eq!(
        raw("group_change_success", b"[]x"),
        unreadable("group_change_success")
    );
    for (data, doubt) in [
        (
            Data::TooLarge,
            Doubt::TooLarge("status_update_event".into()),
        ),
        (Data::Garbled, Doubt::Garbled),
    ] {
        let kind = b"status_update_event".as_slice();
        assert_eq!(read(Frame { kind, data }), Meaning::Doubt(doubt));
    }
}

#[test]
fn the_type_may_stand_in_the_data_alone() {
    let data = json!({"appId": "/a", "eventType": "status_update_event"});
    assert_eq!(event("", &data), apps(&["/a"]));
    let unknown = json!({"appId": "/a", "eventType": "framework_message_event"});
    assert_eq!(event("", &unknown), Meaning::Nothing);
    for data in ["garbage", "{}", "{\"eventType\": null}"] {
        assert_eq!(raw("", data.as_bytes()), unreadable(UNTYPED), "{data}");
    }
}

#[test]
fn the_question_names_every_type_that_counts() {
    let query = query();
    assert!(
        query.starts_with("plan-format=light&event_type="),
        "{query}"
    );
    for (kind, _) in KINDS {
        let hits = query
            .split('&')
            .filter(|part| *part == format!("event_type={kind}"));
        assert_eq!(hits.count(), 1, "{kind}");
    }
    // What any server takes as one line.
    assert!(query.len() < 2000, "{}", query.len());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z/.]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-z]{1,3}",
        Just("appId".to_owned()),
        Just("plan".to_owned()),
        Just("steps".to_owned()),
        Just("currentStep".to_owned()),
        Just("actions".to_owned()),
        Just("app".to_owned()),
        Just("appDefinition".to_owned()),
        Just("id".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_an_event_holds_it_has_a_meaning(
        kind in proptest::sample::select(KINDS),
        data in any_json(),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        for meaning in [event(kind.0, &data), raw(kind.0, &bytes)] {
            prop_assert_ne!(meaning, Meaning::Nothing);
        }
    }

    #[test]
    fn the_order_of_fields_does_not_matter(mut fields in Just(vec![
        "\"appId\":\"/a\"", "\"ports\":[1]", "\"host\":null", "\"more\":{\"appId\":\"/b\"}",
        "\"eventType\":\"x\"",
    ]).prop_shuffle()) {
        fields.truncate(5);
        let data = format!("{{{}}}", fields.join(","));
        prop_assert_eq!(raw("status_update_event", data.as_bytes()), apps(&["/a"]));
    }
}
