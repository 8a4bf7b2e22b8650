use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::body::tests::any_json;
use super::super::{app, apps};
use super::*;

type Apps = Vec<Arc<App>>;

/// What is read of a body, and what is read of that once it is written again.
fn twice(body: &str) -> Option<(Apps, Apps)> {
    let read = |body: &str| apps(body).map(|(apps, _)| apps.into_iter().map(Arc::new).collect());
    let first: Apps = read(body).ok()?;
    let second = read(&answer(&first).unwrap()).unwrap();
    Some((first, second))
}

#[test]
fn apps_of_every_version_are_the_same_when_they_are_written_and_read_again() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut read = 0;
    for case in fs::read_dir(cases).unwrap() {
        let Ok(body) = fs::read_to_string(case.unwrap().path().join("apps.json")) else {
            continue;
        };
        let Some((first, second)) = twice(&body) else {
            continue;
        };
        read += first.len();
        assert_eq!(first, second);
    }
    assert!(read > 50, "{read}");
}

#[test]
fn what_is_written_bears_no_warning() {
    let one = r#"{"id":"/x","networks":[{"name":"n"},{"mode":"container/bridge"}],
        "container":{"portMappings":[{"containerPort":80,"protocol":"udp,tcp"},null]},
        "healthChecks":[{"protocol":"COMMAND","command":{"value":"true"},"z":1,"a":2.5}],
        "tasks":[{"id":"t","host":"agent","state":"TASK_NEW","ipAddresses":[{"ipAddress":"::1"}],
                  "healthCheckResults":[{"alive":true}],"startedAt":"now"}],
        "readinessChecks":[{"timeoutSeconds":7}],"deployments":[{"id":"d"}],
        "readinessCheckResults":[{"taskId":"t","ready":false}]}"#;
    let (first, _) = app(&format!(r#"{{"app":{one}}}"#)).unwrap();
    let first = Arc::new(first.unwrap());
    let (second, warnings) = apps(&answer(&[Arc::clone(&first)]).unwrap()).unwrap();
    assert_eq!((&*first, warnings), (&second[0], Vec::new()));
    assert!(first.readiness.is_some());
}

proptest! {
    #[test]
    fn any_app_is_the_same_when_it_is_written_and_read_again(json in any_json()) {
        let (first, second) = twice(&format!(r#"{{"apps":[{json}]}}"#)).unwrap();
        prop_assert_eq!(first, second);
    }
}
