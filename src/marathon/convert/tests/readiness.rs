use super::only;
use crate::cluster::{Readiness, ReadinessResult};
use crate::marathon::apps;

#[test]
fn readiness_is_what_a_deployment_said_of_tasks() {
    let readiness = |fields: &str| only(&format!(r#"{{"id":"/a",{fields}}}"#)).readiness;
    let result = |task: &str, ready| ReadinessResult {
        task: task.into(),
        ready,
    };
    for (fields, want) in [
        (r#""readinessChecks":[],"deployments":[{"id":"d"}]"#, None),
        (r#""readinessChecks":null"#, None),
        (r#""readinessChecks":[{}]"#, Some((10, false, None))),
        (
            r#""readinessChecks":[{"timeoutSeconds":3},{"timeoutSeconds":4,"name":"x"},null],
               "deployments":[{"id":"d"}],"readinessCheckResults":[]"#,
            Some((4, true, Some(vec![]))),
        ),
        (
            r#""readinessChecks":[{}],"deployments":[],"readinessCheckResults":[null,{},
               {"name":"readinessCheck","taskId":"t","ready":false,"lastResponse":{"status":503}},
               {"taskId":"u","ready":true},{"taskId":"v"}]"#,
            Some((10, false, Some(vec![result("t", false), result("u", true)]))),
        ),
    ] {
        let want = want.map(|(timeout_seconds, deploying, results)| Readiness {
            timeout_seconds,
            deploying,
            results,
        });
        assert_eq!(readiness(fields), want, "{fields}");
    }
}

#[test]
fn readiness_in_a_wrong_form_costs_no_app() {
    for (fields, has_checks) in [
        (r#""readinessChecks":{"a":1}"#, false),
        (r#""readinessChecks":[{"timeoutSeconds":"soon"}]"#, false),
        (
            r#""readinessChecks":[{}],"readinessCheckResults":"none""#,
            true,
        ),
        (r#""readinessChecks":[{}],"deployments":7"#, true),
    ] {
        let body = format!(r#"{{"apps":[{{"id":"/a",{fields}}}]}}"#);
        let (read, warnings) = apps(&body).unwrap();
        assert_eq!(read[0].readiness.is_some(), has_checks, "{fields}");
        let said = warnings[0].to_string();
        assert!(said.contains("not heeded"), "{said}");
    }
}
