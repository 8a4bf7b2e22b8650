//! What one app says and HAProxy refuses costs that app alone, however much of the host is its own.

use std::fs;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::support::{Done, Test, assert_accepted};

/// `/big/x` with so many service ports and tasks, which has a certificate of its own, beside four apps
/// of one task each.
fn apps(ports: u16, tasks: u16, certificate: &Path, task_of_others: u16) -> String {
    let app = |id: &str, ports: Vec<u16>, tasks: u16, first: u16, labels: Value| {
        let task = |number: u16| {
            json!({
                "id": format!("{id}.{number}"),
                "host": format!("10.0.1.{number}"),
                "ports": (0..u16::try_from(ports.len()).unwrap())
                    .map(|port| first + port)
                    .collect::<Vec<_>>(),
                "state": "TASK_RUNNING",
            })
        };
        let tasks: Vec<Value> = (1..=tasks).map(task).collect();
        json!({"id": id, "labels": labels, "ports": ports, "tasks": tasks})
    };
    let mut labels = json!({});
    for port in 0..ports {
        labels[format!("HAPROXY_{port}_VHOST")] = json!(format!("x{port}.example.com"));
        labels[format!("HAPROXY_{port}_SSL_CERT")] = json!(certificate);
    }
    let numbers = (10100..10100 + ports).collect();
    let mut all = vec![app("/big/x", numbers, tasks, 31000, labels)];
    for number in 1..=4_u16 {
        let id = format!("/small/{number}");
        let host = json!({"HAPROXY_0_VHOST": format!("s{number}.example.com")});
        let first = task_of_others + number;
        all.push(app(&id, vec![10200 + number], 1, first, host));
    }
    json!({ "apps": all }).to_string()
}

fn turn(test: &Test, apps: &str) -> Done {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    test.refresh(&[])
}

fn cfg(test: &Test) -> String {
    let cfg = test.cfg();
    assert_accepted(&cfg);
    cfg
}

#[test]
fn most_servers_or_service_ports_of_one_app_freeze_nobody_else() {
    for (ports, tasks) in [(1, 8), (8, 1)] {
        for is_pipe in [false, true] {
            let test = Test::new();
            let own = test.path().join("own.pem");
            let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificate.pem");
            fs::copy(whole, &own).unwrap();
            turn(&test, &apps(ports, tasks, &own, 32000)).expect(0);
            let before = cfg(&test);
            assert!(before.contains("backend big_x_10100"), "{before}");
            fs::remove_file(&own).unwrap();
            if is_pipe {
                mkfifo(&own, Mode::S_IRWXU).unwrap();
            }
            let done = turn(&test, &apps(ports, tasks, &own, 32100)).expect(0);
            done.says(&["app `/big/x`: ", "own.pem", "service port 10100 left out"]);
            let after = cfg(&test);
            for number in 1..=4 {
                let task = format!("10.0.1.1:{}", 32100 + number);
                assert!(after.contains(&task), "{ports} {tasks} {is_pipe}: {after}");
            }
            assert!(
                !after.contains("big_x"),
                "{ports} {tasks} {is_pipe}: {after}"
            );
            // Its owner mends it.
            if is_pipe {
                fs::remove_file(&own).unwrap();
            }
            fs::copy(whole, &own).unwrap();
            let mended = apps(ports, tasks, &own, 32100).replace("x0.example", "y0.example");
            turn(&test, &mended).expect(0);
            assert!(cfg(&test).contains("backend big_x_10100"));
        }
    }
}

/// HAProxy opens a socket for each service port, and starts with none where it may not open all.
#[test]
fn service_ports_without_end_cost_nobody_else_theirs() {
    let app = |id: &str, ports: std::ops::Range<u16>| {
        let of_task: Vec<u16> = ports.clone().map(|port| port + 10_000).collect();
        json!({
            "id": id,
            "ports": ports.collect::<Vec<_>>(),
            "tasks": [{"id": "t", "host": "10.0.0.1", "ports": of_task, "state": "TASK_RUNNING"}],
        })
    };
    let apps = json!({"apps": [
        app("/a/small", 9999..10_000),
        app("/big", 10_000..12_000),
        app("/most", 12_000..12_500),
        app("/z/small", 12_501..12_502),
    ]});
    let test = Test::new();
    let done = turn(&test, &apps.to_string()).expect(0);
    let done = done.says(&[
        "app `/big`: service ports: found 2000 that are to be served, expected at most 500 of one app; \
         service port 10500, at position 500 and 1499 behind it left out",
    ]);
    assert_eq!(done.stderr.matches("at most").count(), 1, "{done:#?}");
    let cfg = cfg(&test);
    let served = |app: &str| cfg.matches(&format!("\nfrontend {app}_")).count();
    let all = ["a_small", "big", "most", "z_small"].map(served);
    assert_eq!(all, [1, 500, 500, 1]);
}

/// HAProxy computes each password when it checks the file, and again when it starts.
#[test]
fn passwords_without_end_keep_nobody_waiting() {
    let ports: Vec<u16> = (10_000..10_060).collect();
    let mut labels = json!({"HAPROXY_59_MODE": "http"});
    for index in 0..55 {
        labels[format!("HAPROXY_{index}_MODE")] = json!("http");
        labels[format!("HAPROXY_{index}_AUTH")] = json!("realm:ann:rlR4XJ1i8.hsE");
    }
    let task = json!({"id": "t", "host": "10.0.0.1", "ports": ports, "state": "TASK_RUNNING"});
    let apps = json!({"apps": [{"id": "/big", "ports": ports, "labels": labels, "tasks": [task]}]});
    let test = Test::new();
    turn(&test, &apps.to_string()).expect(0).says(&[
        "app `/big`: service ports: found 55 passwords (AUTH, USERLIST_HEAD), expected at most 50 of one \
         app; service port 10050, at position 50 and 4 behind it left out",
    ]);
    let own = cfg(&test);
    assert_eq!(own.matches("\nuserlist user_big_").count(), 50);
    assert_eq!(own.matches("\nfrontend big_").count(), 55);
    // A list of one's own has as many as it names.
    let users: String = (0..20)
        .map(|user| format!("  user u{user} password rlR4XJ1i8.hsE\n"))
        .collect();
    let list = format!("userlist user_{{backend}}\n{users}");
    let apps = big(4, &|index| {
        let mut labels = vec![("MODE", "http".to_owned())];
        // The last has such a text, and nothing is asked of it.
        if index < 3 {
            labels.push(("AUTH", "realm:ann:rlR4XJ1i8.hsE".to_owned()));
        }
        labels.push(("USERLIST_HEAD", list.clone()));
        labels
    });
    let test = Test::new().file("apps.json", apps);
    test.refresh(&["--template-labels=all"]).expect(0).says(&[
        "app `/big`: service ports: found 60 passwords (AUTH, USERLIST_HEAD), expected at most 50 of one \
         app; service port 10002, at position 2 left out",
    ]);
    let own = cfg(&test);
    assert_eq!(own.matches("\n  user u").count(), 40, "{own}");
    assert_eq!(own.matches("\nfrontend big_").count(), 3, "{own}");
}

/// What it judges nowhere else it does not judge here.
#[test]
fn without_validation_marathon_lb_counts_no_passwords() {
    let labels: Labels<'_> = &|_| vec![("AUTH", "realm:ann:rlR4XJ1i8.hsE".to_owned())];
    let test = Test::new().file("apps.json", big(51, labels));
    for (more, served) in [(&[][..], 50), (&["--skip-validation"], 51)] {
        let done = test.dry(more).expect(0);
        let users = done.stdout.matches("\nuserlist user_big_").count();
        assert_eq!(users, served, "{done:#?}");
    }
}

/// What each service port says, by its position.
type Labels<'l> = &'l dyn Fn(u16) -> Vec<(&'static str, String)>;

/// `/big` with so many service ports, of which each says this, beside one app.
fn big(ports: u16, labels: Labels<'_>) -> String {
    let numbers: Vec<u16> = (10_000..10_000 + ports).collect();
    let mut all = json!({});
    for index in 0..ports {
        for (name, value) in labels(index) {
            all[format!("HAPROXY_{index}_{name}")] = json!(value);
        }
    }
    let task = |id: &str, ports: &[u16]| json!({"id": id, "host": "10.0.0.1", "ports": ports, "state": "TASK_RUNNING"});
    json!({"apps": [
        {"id": "/big", "ports": numbers, "labels": all, "tasks": [task("t", &numbers)]},
        {"id": "/small", "ports": [9999], "tasks": [task("s", &[9999])]},
    ]})
    .to_string()
}

/// What all share in HAProxy is memory, and the time of its checks and starts.
#[test]
fn what_one_app_asks_for_has_a_bound_in_all_of_its_service_ports_together() {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificate.pem").to_owned();
    let list = Test::new().file("list.txt", format!("{certificate} a.test\n"));
    let lists = format!(
        "ssl crt {certificate} crt-list {}/list.txt",
        list.path().display()
    );
    let networks = (0..5000).map(|n| format!("10.0.{}.{}", n / 250, n % 250));
    let networks = networks.collect::<Vec<_>>().join(" ");
    let hosts = |index: u16| {
        let hosts = (0..1000).map(|host| format!("h{host}.x{index}.test"));
        hosts.collect::<Vec<_>>().join(",")
    };
    let of_networks: Labels<'_> = &|_| vec![("BACKEND_NETWORK_ALLOWED_ACL", networks.clone())];
    let of_certificates: Labels<'_> = &|_| vec![("SSL_CERT", certificate.clone())];
    let two = format!("ssl crt {certificate} crt {certificate}");
    let of_two: Labels<'_> = &|_| vec![("BIND_OPTIONS", two.clone())];
    let of_lists: Labels<'_> = &|_| vec![("BIND_OPTIONS", lists.clone())];
    let of_slots: Labels<'_> = &|_| vec![("SERVER_SLOTS", "100".to_owned())];
    let of_hosts: Labels<'_> = &|index| vec![("VHOST", hosts(index))];
    for (ports, labels, served, told) in [
        (
            4,
            of_networks,
            2,
            "service ports: found 20000 networks in BACKEND_NETWORK_ALLOWED_ACL, expected at most \
             10000 of one app; service port 10002, at position 2 and 1 behind it left out",
        ),
        (
            52,
            of_certificates,
            50,
            "service ports: found 52 certificates (SSL_CERT, and `crt` in BIND_OPTIONS), expected at \
             most 50 of one app; service port 10050, at position 50 and 1 behind it left out",
        ),
        (
            26,
            of_two,
            25,
            "service ports: found 52 certificates (SSL_CERT, and `crt` in BIND_OPTIONS), expected at \
             most 50 of one app; service port 10025, at position 25 left out",
        ),
        (
            3,
            of_lists,
            2,
            "service ports: found 3 `crt-list`s in BIND_OPTIONS, expected at most 2 of one app; \
             service port 10002, at position 2 left out",
        ),
        (
            12,
            of_slots,
            12,
            "service ports: found 1200 free slots that are asked for (SERVER_SLOTS, --server-slots), \
             expected at most 1000 of one app; service port 10010, at position 10, has 0 free ones, and \
             1 behind it have none",
        ),
        (
            11,
            of_hosts,
            11,
            "label `HAPROXY_10_VHOST`: found 11000 pairs of host and path in the service ports of the \
             app, expected at most 10000 of one app; no request is led there on ports 80 and 443 for \
             service port 10010",
        ),
    ] {
        let test = Test::new();
        let done = turn(&test, &big(ports, labels)).expect(0);
        done.says(&[&format!("app `/big`: {told}")]);
        let cfg = cfg(&test);
        assert_eq!(cfg.matches("\nfrontend big_").count(), served, "{told}");
        assert!(cfg.contains("\nfrontend small_9999"), "{told}");
        if ports == 12 {
            assert_eq!(cfg.matches(" disabled").count(), 1000, "{cfg}");
        }
        if ports == 11 {
            let map = fs::read_to_string(test.path().join("domain2backend.map")).unwrap();
            assert_eq!(map.lines().count(), 10_000);
        }
    }
}

/// So found by the label or the field, and not by a line of HAProxy's.
#[test]
fn a_number_that_leads_nowhere_is_told_by_where_it_stands() {
    let task = json!({"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"});
    let app = |fields: Value| {
        let mut app = json!({"id": "/a", "tasks": [task]});
        app.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"apps": [app]}).to_string()
    };
    let index = json!({"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "3"});
    for (fields, told) in [
        (
            json!({"portDefinitions": [{"port": 70000}]}),
            "field `portDefinitions`, service port at position 0: found `70000`, expected a port from 1 \
             to 65535; service port 70000 left out",
        ),
        (
            json!({"ports": [0]}),
            "field `ports`, service port at position 0: found `0`, expected a port from 1 to 65535; \
             service port 0 left out",
        ),
        (
            json!({"ports": [10000], "labels": index}),
            "label `HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX`: found `3`, expected the position of a \
             service port of the app, from 0 to 0, or from the end; HAProxy checks the servers where \
             they serve",
        ),
    ] {
        let test = Test::new();
        turn(&test, &app(fields)).says(&[&format!("app `/a`: {told}")]);
    }
}

/// An owner knows labels, and no line of `haproxy.cfg`.
#[test]
fn what_haproxy_refuses_is_told_by_the_label_that_wrote_it() {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificate.pem");
    for (labels, name) in [
        (
            json!({"HAPROXY_0_SSL_CERT": "/nowhere/own.pem"}),
            "SSL_CERT",
        ),
        (
            json!({
                "HAPROXY_0_SSL_CERT": certificate,
                "HAPROXY_0_BIND_OPTIONS": "ca-file /nowhere/own.pem",
            }),
            "BIND_OPTIONS",
        ),
        (
            json!({"HAPROXY_0_SSL_CERT": certificate, "HAPROXY_0_BIND_OPTIONS": "ecdhe nonsense"}),
            "BIND_OPTIONS",
        ),
        // Longer than a buffer of HAProxy's, in one of the native set's own labels.
        (
            json!({"HAPROXY_0_VHOST": "a.test", "HAPROXY_0_HEADER": "x".repeat(17_000)}),
            "HEADER",
        ),
        (
            json!({"HAPROXY_0_VHOST": "a.test", "HAPROXY_0_HEADER": format!("{}: b", "x".repeat(17_000))}),
            "HEADER",
        ),
        // A regular expression that is too long.
        (
            json!({"HAPROXY_0_VHOST": "a.test", "HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH": format!("/{}", "x".repeat(40_000))}),
            "HTTP_BACKEND_PROXYPASS_PATH",
        ),
    ] {
        let task =
            json!({"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"});
        let apps =
            json!({"apps": [{"id": "/a", "ports": [10000], "labels": labels, "tasks": [task]}]});
        let test = Test::new();
        let told = format!("app `/a`: label `HAPROXY_0_{name}`: found what `haproxy -c` refuses: ");
        turn(&test, &apps.to_string()).says(&[&told, "service port 10000 left out"]);
    }
}

/// What a buffer of HAProxy's is too small for, which no form of a label says.
#[test]
fn what_haproxy_alone_refuses_costs_its_label_s_service_alone_which_stays_as_it_was() {
    let task =
        json!({"id": "t", "host": "10.0.0.1", "ports": [31000, 31001], "state": "TASK_RUNNING"});
    let apps = |header: &str, host: &str| {
        json!({"apps": [
            {"id": "/a", "ports": [10_000, 10_001], "tasks": [task], "labels": {
                "HAPROXY_0_VHOST": "a.test",
                "HAPROXY_0_HEADER": header,
                "HAPROXY_1_VHOST": format!("a.{host}"),
            }},
            {"id": "/b", "ports": [10_002, 10_003], "tasks": [task], "labels": {"HAPROXY_0_VHOST": format!("b.{host}")}},
        ]})
        .to_string()
    };
    let test = Test::new();
    turn(&test, &apps("X-Good: b", "before.test")).expect(0);
    assert!(cfg(&test).contains("X-Good"));
    let long = "x".repeat(17_000);
    turn(&test, &apps(&long, "after.test")).expect(0).says(&[
        "app `/a`: label `HAPROXY_0_HEADER`: found what `haproxy -c` refuses: ",
        "service port 10000",
    ]);
    // It has what was good last, and all others what they say now.
    let own = cfg(&test);
    assert!(own.contains("X-Good") && !own.contains(&long), "{own}");
    for backend in ["a_10000", "a_10001", "b_10002", "b_10003"] {
        assert!(own.contains(&format!("\nbackend {backend}\n")), "{own}");
    }
    let map = fs::read_to_string(test.path().join("domain2backend.map")).unwrap();
    assert!(
        map.contains("a.after.test")
            && map.contains("b.after.test")
            && !map.contains("before.test"),
        "{map}"
    );
}
