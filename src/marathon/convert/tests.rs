use crate::cluster::{
    App, CheckProtocol, CheckTarget, HealthResult, Network, Protocol, ServingTasks, TaskState,
    service_ports,
};
use crate::marathon::apps;

mod readiness;

/// The only app of an answer that has nothing to complain about.
fn only(app: &str) -> App {
    let (mut apps, warnings) = apps(&format!(r#"{{"apps":[{app}]}}"#)).unwrap();
    assert_eq!(warnings, [], "{app}");
    assert_eq!(apps.len(), 1, "{app}");
    apps.remove(0)
}

/// `service port=addresses`, one word for each service port.
fn served(app: &App) -> String {
    let (ports, warnings) = service_ports(app, ServingTasks::Running);
    assert_eq!(warnings, []);
    let words = ports.iter().map(|port| {
        let addresses = port.endpoints.iter();
        let addresses: Vec<_> = addresses
            .map(|e| format!("{}:{}", e.host, e.port))
            .collect();
        format!("{}={}", port.service_port, addresses.join(","))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_form_of_every_version_is_served() {
    use Network::{Bridge, Container, Host};
    for (form, json, network, want) in [
        (
            "0.7 host: no labels, no state, the start tells that it runs",
            r#"{"id":"/a/b","cmd":"x","env":{},"instances":2,"cpus":0.1,"ports":[10001,10002],
                "container":null,"healthChecks":[],"version":"2014-09-25T00:00:00.000Z",
                "tasksRunning":1,"tasks":[
                {"id":"a_b.1","host":"h1","ports":[31001,31002],"startedAt":"2014-09-25T00:00:01.000Z",
                 "stagedAt":"2014-09-25T00:00:00.000Z","version":"2014-09-25T00:00:00.000Z"},
                {"id":"a_b.2","host":"h2","ports":[31001,31002],"startedAt":null,
                 "stagedAt":"2014-09-25T00:00:00.000Z","version":"2014-09-25T00:00:00.000Z"}]}"#,
            Host,
            "10001=h1:31001 10002=h1:31002",
        ),
        (
            "0.8 host in Docker",
            r#"{"id":"/a","labels":{"k":"v"},"ports":[10001],"container":{"type":"DOCKER",
                "volumes":[],"docker":{"image":"x","network":"HOST","portMappings":null}},
                "tasks":[{"appId":"/a","id":"t","host":"h1","ports":[31001],"startedAt":"x",
                "servicePorts":[10001],"healthCheckResults":[null]}]}"#,
            Host,
            "10001=h1:31001",
        ),
        (
            "BRIDGE up to 1.4",
            r#"{"id":"/a","ports":[10001,10002],"ipAddress":null,"container":{"docker":{
                "network":"BRIDGE","portMappings":[
                {"containerPort":80,"hostPort":0,"servicePort":10001,"protocol":"tcp"},
                {"containerPort":81,"hostPort":0,"servicePort":10002,"protocol":"udp,tcp",
                 "name":"x","labels":{"VIP_0":"/x:1"}}]}},
                "tasks":[{"id":"t","host":"h1","ports":[31001,31002],"state":"TASK_RUNNING"}]}"#,
            Bridge,
            "10001=h1:31001 10002=h1:31002",
        ),
        (
            "USER up to 1.4",
            r#"{"id":"/a","ports":[10001,10002],"ipAddress":{"networkName":"dcos","groups":[],
                "labels":{},"discovery":{"ports":[]}},"container":{"docker":{"network":"USER",
                "portMappings":[{"containerPort":80,"servicePort":10001,"protocol":"tcp"},
                {"containerPort":81,"hostPort":0,"servicePort":10002,"protocol":"tcp"}]}},
                "tasks":[{"id":"t","host":"h1","ports":[31002],"state":"TASK_RUNNING",
                "ipAddresses":[{"ipAddress":"9.0.0.1","protocol":"IPv4"}]}]}"#,
            Container,
            "10001=9.0.0.1:80 10002=h1:31002",
        ),
        (
            "an address per task, with discovery",
            r#"{"id":"/a","ports":[10001],"portDefinitions":[],"ipAddress":{"groups":["dev"],
                "labels":{},"discovery":{"ports":[{"number":8080,"name":"x","protocol":"tcp",
                "labels":{}}]}},"tasks":[{"id":"t","host":"h1","ports":[],"state":"TASK_RUNNING",
                "ipAddresses":[{"ipAddress":"9.0.0.1","protocol":"IPv4"}]}]}"#,
            Container,
            "10001=9.0.0.1:8080",
        ),
        (
            "an empty ipAddress is none",
            r#"{"id":"/a","ports":[10001],"ipAddress":{},"tasks":[]}"#,
            Host,
            "10001=",
        ),
        (
            "1.0 host: definitions beside ports",
            r#"{"id":"/a","ports":[10001],"portDefinitions":[{"port":10001,"protocol":"tcp",
                "name":"http","labels":{"l":"1"}}],"requirePorts":false,"tasks":[
                {"id":"t","host":"h1","ports":[31001],"state":"TASK_RUNNING"}]}"#,
            Host,
            "10001=h1:31001",
        ),
        (
            "1.5 host",
            r#"{"id":"/a","networks":[{"mode":"host"}],"portDefinitions":[{"port":10001,
                "protocol":"tcp","name":"default"}],"tasks":[{"id":"t","host":"h1",
                "ports":[31001],"ipAddresses":[{"ipAddress":"10.0.0.1","protocol":"IPv4"}],
                "state":"TASK_RUNNING","region":"r","zone":"z"}]}"#,
            Host,
            "10001=h1:31001",
        ),
        (
            "1.5 bridge",
            r#"{"id":"/a","networks":[{"mode":"container/bridge"}],"container":{"type":"MESOS",
                "portMappings":[{"containerPort":80,"hostPort":0,"labels":{},"name":"x",
                "protocol":"tcp","servicePort":10001}]},"tasks":[{"id":"t","host":"h1",
                "ports":[31001],"ipAddresses":[{"ipAddress":"172.17.0.2","protocol":"IPv4"}],
                "state":"TASK_RUNNING"}]}"#,
            Bridge,
            "10001=h1:31001",
        ),
        (
            "1.5 container: a null host port and an allocated one",
            r#"{"id":"/a","networks":[{"mode":"container","name":"dcos"}],"container":{
                "docker":{"image":"x"},"portMappings":[
                {"containerPort":80,"hostPort":null,"servicePort":10001,"protocol":"tcp"},
                {"containerPort":81,"hostPort":0,"servicePort":10002,"protocol":"tcp"},
                {"containerPort":82,"servicePort":10003,"protocol":"tcp"},
                {"containerPort":83,"servicePort":0,"protocol":"tcp"}]},"tasks":[{"id":"t",
                "host":"h1","ports":[31002],"state":"TASK_RUNNING",
                "ipAddresses":[{"ipAddress":"9.0.0.1"}]}]}"#,
            Container,
            "10001=9.0.0.1:80 10002=h1:31002 10003=9.0.0.1:82",
        ),
        (
            "several networks and addresses",
            r#"{"id":"/a","networks":[{"mode":"container","name":"red"},{"name":"blue"}],
                "container":{"portMappings":[
                {"containerPort":80,"servicePort":10001,"networkNames":["blue"]},
                {"containerPort":81,"servicePort":10002,"networkNames":["red"]}]},
                "tasks":[{"id":"t","state":"TASK_RUNNING","ipAddresses":[
                {"ipAddress":"9.0.0.1"},{"ipAddress":"9.9.0.1"}]}]}"#,
            Container,
            "10001=9.9.0.1:80 10002=9.0.0.1:81",
        ),
        (
            "IPv6, of the task and of the agent",
            r#"{"id":"/a","networks":[{"mode":"container","name":"x"}],"container":{
                "portMappings":[{"containerPort":80,"servicePort":10001},
                {"containerPort":81,"hostPort":0,"servicePort":10002}]},"tasks":[{"id":"t",
                "host":"fd00::5","ports":[31002],"state":"TASK_RUNNING",
                "ipAddresses":[{"ipAddress":"fd01::1","protocol":"IPv6"}]}]}"#,
            Container,
            "10001=[fd01::1]:80 10002=[fd00::5]:31002",
        ),
        (
            "1.10: a role, and fields that nobody knows yet",
            r#"{"id":"/a","role":"*","networks":[{"mode":"host","new":{"deep":[[{}]]}}],"x":[1.5e9],
                "portDefinitions":[{"port":10001}],"tasks":[{"id":"t","host":"h1",
                "ports":[31001],"role":"*","state":"TASK_RUNNING","y":"\u0041"}]}"#,
            Host,
            "10001=h1:31001",
        ),
    ] {
        let app = only(json);
        assert_eq!(app.network, network, "{form}");
        assert_eq!(served(&app), want, "{form}");
    }
}

#[test]
fn the_way_of_networking_follows_the_newest_word() {
    use Network::{Bridge, Container, Host};
    for (fields, want) in [
        (r#""x":1"#, Host),
        (r#""ipAddress":{}"#, Host),
        (r#""ipAddress":{"networkName":null,"x":null}"#, Host),
        (r#""ipAddress":{"groups":[]}"#, Container),
        (r#""ipAddress":{"networkName":"n"}"#, Container),
        (r#""ipAddress":{"discovery":{}}"#, Container),
        (r#""container":{"docker":{"network":"USER"}}"#, Container),
        (r#""container":{"docker":{"network":"BRIDGE"}}"#, Bridge),
        (r#""container":{"docker":{"network":"HOST"}}"#, Host),
        (r#""container":{"docker":{"network":null}}"#, Host),
        (
            r#""ipAddress":{"groups":[]},"container":{"docker":{"network":"BRIDGE"}}"#,
            Bridge,
        ),
        (
            r#""ipAddress":{"groups":[]},"container":{"docker":{"network":"HOST"}}"#,
            Container,
        ),
        (r#""networks":null"#, Host),
        (r#""networks":[]"#, Host),
        (r#""networks":[{}]"#, Container),
        (r#""networks":[null]"#, Container),
        (r#""networks":[{"mode":null}]"#, Container),
        (r#""networks":[{"mode":"container"}]"#, Container),
        (r#""networks":[{"mode":"container/bridge"}]"#, Bridge),
        (r#""networks":[{"mode":"container"},{"mode":"host"}]"#, Host),
        (
            r#""networks":[{"mode":"host"}],"container":{"docker":{"network":"BRIDGE"}}"#,
            Host,
        ),
    ] {
        let app = only(&format!(r#"{{"id":"/a",{fields}}}"#));
        assert_eq!(app.network, want, "{fields}");
    }
}

#[test]
fn ports_are_taken_from_where_the_version_has_them() {
    type Ports = (usize, Option<Vec<Option<u32>>>, Option<Vec<u32>>);
    let cases: [(&str, Ports); 10] = [
        (r#""x":1"#, (0, None, None)),
        (r#""ports":null,"portDefinitions":null"#, (0, None, None)),
        (r#""ports":[]"#, (0, Some(vec![]), Some(vec![]))),
        (
            r#""ports":[1,2]"#,
            (0, Some(vec![Some(1), Some(2)]), Some(vec![1, 2])),
        ),
        (
            r#""ports":[1],"portDefinitions":null"#,
            (0, Some(vec![Some(1)]), Some(vec![1])),
        ),
        (
            r#""ports":[1],"portDefinitions":[{"port":2}]"#,
            (0, Some(vec![Some(2)]), Some(vec![1])),
        ),
        (
            r#""portDefinitions":[{},null,{"port":3}]"#,
            (0, Some(vec![None, None, Some(3)]), None),
        ),
        (r#""container":{"portMappings":[{},null]}"#, (2, None, None)),
        (
            r#""container":{"docker":{"portMappings":[]},"portMappings":[{}]}"#,
            (1, None, None),
        ),
        (
            r#""container":{"docker":{"portMappings":[{},{}]},"portMappings":[{}]}"#,
            (2, None, None),
        ),
    ];
    for (fields, want) in cases {
        let app = only(&format!(r#"{{"id":"/a",{fields}}}"#));
        let definitions = app.port_definitions.as_ref();
        let definitions = definitions.map(|list| list.iter().map(|d| d.port).collect());
        assert_eq!(
            (app.port_mappings.len(), definitions, app.ports),
            want,
            "{fields}"
        );
    }
}

#[test]
fn everything_but_the_id_may_be_missing_null_or_empty() {
    let nothing = only(r#"{"id":"/a"}"#);
    assert_eq!((nothing.instances, nothing.tasks.len()), (1, 0));
    let fields = [
        "labels",
        "env",
        "ipAddress",
        "networks",
        "container",
        "portDefinitions",
        "ports",
        "healthChecks",
        "instances",
        "version",
        "versionInfo",
        "tasks",
    ];
    for field in fields {
        assert_eq!(
            only(&format!(r#"{{"id":"/a","{field}":null}}"#)),
            nothing,
            "{field}"
        );
    }
    for field in ["labels", "env", "ipAddress", "container", "versionInfo"] {
        assert_eq!(
            only(&format!(r#"{{"id":"/a","{field}":{{}}}}"#)),
            nothing,
            "{field}"
        );
    }
    for field in ["networks", "healthChecks", "tasks"] {
        assert_eq!(
            only(&format!(r#"{{"id":"/a","{field}":[]}}"#)),
            nothing,
            "{field}"
        );
        assert_eq!(
            only(&format!(r#"{{"id":"/a","{field}":null}}"#)),
            nothing,
            "{field}"
        );
    }
    for field in ["healthChecks", "tasks"] {
        assert_eq!(
            only(&format!(r#"{{"id":"/a","{field}":[null]}}"#)),
            nothing,
            "{field}"
        );
    }
}

#[test]
fn every_field_of_a_task_may_be_missing_or_null() {
    let nothing = only(r#"{"id":"/a","tasks":[{}]}"#).tasks.remove(0);
    assert_eq!(
        (nothing.host.as_deref(), nothing.state, &nothing.started_at),
        (None, None, &None)
    );
    assert_eq!((&*nothing.id, nothing.health.as_ref()), ("", None));
    for field in [
        "id",
        "host",
        "ports",
        "ipAddresses",
        "state",
        "startedAt",
        "version",
        "healthCheckResults",
    ] {
        let json = format!(r#"{{"id":"/a","tasks":[{{"{field}":null}}]}}"#);
        assert_eq!(only(&json).tasks, std::slice::from_ref(&nothing), "{field}");
    }
    let empty = r#"{"id":"/a","tasks":[{"host":"","ports":[],"startedAt":"","ipAddresses":
        [null,{},{"ipAddress":null},{"ipAddress":""}]}]}"#;
    assert_eq!(only(empty).tasks, [nothing]);
}

#[test]
fn health_results_tell_nothing_from_an_empty_list() {
    let result = |alive, consecutive_failures| HealthResult {
        alive,
        consecutive_failures,
    };
    for (json, want) in [
        ("null", None),
        ("[]", Some(vec![])),
        ("[null,{},{\"alive\":null}]", Some(vec![])),
        (
            r#"[{"alive":true,"consecutiveFailures":0,"lastFailure":null,"taskId":"t"},null,
               {"alive":false,"consecutiveFailures":2,"instanceId":"i"},{"alive":false}]"#,
            Some(vec![result(true, 0), result(false, 2), result(false, 0)]),
        ),
    ] {
        let json = format!(r#"{{"id":"/a","tasks":[{{"healthCheckResults":{json}}}]}}"#);
        assert_eq!(only(&json).tasks[0].health, want, "{json}");
    }
}

#[test]
fn health_checks_have_marathons_defaults() {
    let json = r#"{"id":"/a","healthChecks":[{},{"protocol":"MESOS_HTTPS","path":"/p","portIndex":2,
        "gracePeriodSeconds":1,"intervalSeconds":2,"timeoutSeconds":3,"maxConsecutiveFailures":0},
        {"protocol":"TCP","port":8080,"portIndex":1},{"protocol":"COMMAND","command":{"value":"x"}}]}"#;
    let checks = only(json).health_checks;
    let words: Vec<_> = checks
        .iter()
        .map(|c| (c.protocol, c.path.as_deref(), c.target))
        .collect();
    let want = [
        (CheckProtocol::Http, None, CheckTarget::Unsaid),
        (CheckProtocol::MesosHttps, Some("/p"), CheckTarget::Index(2)),
        (CheckProtocol::Tcp, None, CheckTarget::Port(8080)),
        (CheckProtocol::Command, None, CheckTarget::Unsaid),
    ];
    assert_eq!(words, want);
    let numbers = |index: usize| {
        let check = &checks[index];
        let failures = check.max_consecutive_failures;
        [
            check.grace_period_seconds,
            check.interval_seconds,
            check.timeout_seconds,
            failures,
        ]
    };
    assert_eq!((numbers(0), numbers(1)), ([300, 60, 20, 3], [1, 2, 3, 0]));
}

#[test]
fn texts_without_a_text_are_left_out() {
    let app = only(
        r#"{"id":"/a","labels":{"A":"1","B":null,"C":""},
            "env":{"A":"1","S":{"secret":"s"},"N":null,"I":5,"L":[1],"T":true,"E":"\n"}}"#,
    );
    let texts = |map: &std::collections::BTreeMap<Box<str>, Box<str>>| {
        let words = map.iter().map(|(name, value)| format!("{name}={value}"));
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(texts(&app.labels), "A=1 C=");
    assert_eq!(texts(&app.env), "A=1 E=\n");
}

#[test]
fn the_other_fields_arrive() {
    let app = only(
        r#"{"id":"a/b","instances":3,"version":"v1","versionInfo":{"lastConfigChangeAt":"c",
            "lastScalingAt":"s"},"networks":[{"mode":"container","name":"n"}],
            "container":{"portMappings":[{"name":"http","labels":{"k":"v"},"protocol":"UDP"}]},
            "tasks":[{"id":"t","version":"v0","state":"TASK_GONE_BY_OPERATOR"},
            {"id":"u","state":"TASK_DANCING"}]}"#,
    );
    assert_eq!(
        app.id.as_str(),
        "/a/b",
        "ids before 0.7 have no slash in front"
    );
    assert_eq!((app.instances, app.version.as_deref()), (3, Some("v1")));
    let times = (
        app.last_config_change_at.as_deref(),
        app.last_scaling_at.as_deref(),
    );
    assert_eq!(times, (Some("c"), Some("s")));
    assert_eq!(app.network_names, ["n".into()]);
    let mapping = &app.port_mappings[0];
    assert_eq!(
        (mapping.name.as_deref(), mapping.protocol),
        (Some("http"), Protocol::Udp)
    );
    assert_eq!(mapping.labels.get("k").map(|v| &**v), Some("v"));
    let states: Vec<_> = app.tasks.iter().map(|task| task.state).collect();
    assert_eq!(
        states,
        [Some(TaskState::GoneByOperator), Some(TaskState::Unheard)]
    );
    assert_eq!(app.tasks[0].version.as_deref(), Some("v0"));
}

#[test]
fn lesser_faults_cost_less_than_the_app() {
    let json = r#"{"apps":[{"id":"/a","portDefinitions":[{"port":1,"protocol":"sctp"},{"port":2}],
        "healthChecks":[{"protocol":"GRPC"},{}],"tasks":[
        {"id":"t","host":"no host"},
        {"id":"u","ipAddresses":[{"ipAddress":"here"},{"ipAddress":"9.0.0.1"}]}]}]}"#;
    let (apps, warnings) = apps(json).unwrap();
    let app = &apps[0];
    assert_eq!(app.port_definitions.as_ref().unwrap().len(), 2);
    assert_eq!((app.health_checks.len(), app.tasks.len()), (1, 1));
    assert_eq!(app.tasks[0].ip_addresses.len(), 1);
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let want = [
        "app `/a`: protocol of port definition 0: found `sctp`, expected tcp, udp or udp,tcp; port \
         not served",
        "app `/a`: protocol of a health check: found `GRPC`, expected HTTP, HTTPS, TCP, COMMAND, \
         MESOS_HTTP, MESOS_HTTPS or MESOS_TCP; health check left out",
        "app `/a`: host of task `t`: found `no host`, expected the name or address of its agent; \
         task left out",
        "app `/a`: address of task `u`: found `here`, expected an IPv4 or IPv6 address; address \
         left out",
    ];
    assert_eq!(warnings, want);
}

#[test]
fn a_check_of_a_port_that_the_app_has_not_is_told() {
    let told = |fields: &str, check: &str| {
        let body = format!(r#"{{"apps":[{{"id":"/a",{fields}"healthChecks":[{check}]}}]}}"#);
        let (read, warnings) = apps(&body).unwrap();
        assert_eq!(read[0].health_checks.len(), 1);
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let two = r#""portDefinitions":[{"port":1},{"port":2}],"#;
    for (fields, index) in [(two, 0), (two, 1), ("", 9), (r#""ports":[],"#, 9)] {
        let check = format!(r#"{{"portIndex":{index}}}"#);
        assert_eq!(told(fields, &check), [""; 0], "{fields} {index}");
    }
    let want = "app `/a`: field `healthChecks[0].portIndex`: found `2`, expected the position of a port \
                of the app, of which there are 2, counted from 0; none of its ports is checked by it";
    assert_eq!(told(two, r#"{"portIndex":2}"#), [want]);
    assert_eq!(
        told(two, r#"{"portIndex":2,"protocol":"COMMAND"}"#),
        [""; 0]
    );
}

#[test]
fn json_is_told_as_it_was_written() {
    let body =
        "{\"apps\":[{\"id\":\"/a\",\"healthChecks\":[{\"timeoutSeconds\":{\n\"a\": \"b\"}}]}]}";
    let (_, warnings) = apps(body).unwrap();
    let told = warnings[0].to_string();
    assert!(
        told.contains(r#"found `{ "a": "b"}`, expected a whole"#),
        "{told}"
    );
}
