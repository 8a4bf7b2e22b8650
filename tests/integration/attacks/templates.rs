//! Texts in the place of templates.

use serde_json::Value;

use super::{apps, generate, others_are_served, verbatim};
use crate::support::{Test, assert_accepted};

/// Labels that hold templates; what each is told to have found.
static TEMPLATES: [(&str, &str, &str); 13] = [
    (
        "HTTP_FRONTEND_ACL",
        "listen x\n  bind *:7000\n",
        "the line `listen x`",
    ),
    (
        "HTTP_FRONTEND_ACL",
        "  \"li\"sten x\n",
        r#"the line `\"li\"sten x`"#,
    ),
    (
        "HTTP_FRONTEND_ACL",
        "  \\x6cisten x\n",
        r"the line `\\x6cisten x`",
    ),
    (
        "HTTP_FRONTEND_ACL",
        "  \"$PATH\" x\n",
        r#"the line `\"$PATH\" x`"#,
    ),
    ("HTTP_FRONTEND_ACL", ".if 0\n", "the line `.if 0`"),
    ("HTTP_FRONTEND_ACL", "  .endif\n", "the line `.endif`"),
    (
        "HTTP_FRONTEND_ACL",
        "global\n  maxconn 1\n",
        "the line `global`",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "userlist u\n",
        "the line `userlist u`",
    ),
    (
        "BACKEND_HEAD",
        "\nbackend {backend}\n\ndefaults\n",
        "the line `defaults`",
    ),
    (
        "BACKEND_HEAD",
        "\nbackend a_10001\n",
        "the line `backend a_10001`",
    ),
    ("BACKEND_HEAD", "\n", "the line `option forwardfor`"),
    (
        "BACKEND_HEAD",
        "\nfrontend {backend}\n",
        "the line `frontend m_bad_10002`",
    ),
    (
        "FRONTEND_HEAD",
        "\nfrontend {backend}\nresolvers r\n",
        "the line `resolvers r`",
    ),
];

#[test]
fn a_template_label_opens_no_section_but_its_own() {
    for (name, text, found) in TEMPLATES {
        let label = format!("HAPROXY_0_{name}");
        let apps = apps(&[("HAPROXY_0_VHOST", "h"), (&label, text)], &Value::Null);
        let expected = match name.split('_').next().unwrap() {
            "HTTP" => "no line that opens a section or a block".to_owned(),
            kind => {
                let keyword = kind.to_lowercase();
                format!("one section, `{keyword} m_bad_10002`, and its lines")
            }
        };
        let told = format!(
            "app `/m/bad`: label `{label}`: found {found}, expected {expected}; service port 10002 \
             left out"
        );
        for done in [
            generate(&apps, &["--template-labels=all"]),
            verbatim(&apps, &[]),
        ] {
            let done = done.says(&[&told]);
            assert!(!done.stdout.contains("m_bad"), "{}", done.stdout);
            others_are_served(&done.stdout);
            assert_accepted(&format!("{}\n", done.stdout.trim_end_matches('\n')));
        }
        // Whoever wants no judgement gets none.
        let done = verbatim(&apps, &["--skip-validation"]);
        assert!(done.stdout.contains("m_bad_10002"), "{}", done.stdout);
    }
}

#[test]
fn a_password_outside_of_a_list_of_users_is_not_told() {
    for (text, told) in [
        (
            "  user {user} password {passwd}\n",
            "the line `user ann password (not shown)`",
        ),
        (
            "  user {user} password $5$else$hash\n",
            "the line `user ann password (not shown)`",
        ),
        ("  {passwd}\n", "the line `(not shown)`"),
    ] {
        let labels = [
            ("HAPROXY_0_VHOST", "h"),
            (
                "HAPROXY_0_AUTH",
                "realm:ann:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
            ),
            ("HAPROXY_0_USERLIST_HEAD", text),
        ];
        let apps = apps(&labels, &Value::Null);
        for done in [
            generate(&apps, &["--template-labels=all"]),
            verbatim(&apps, &[]),
        ] {
            let done = done.says(&["label `HAPROXY_0_USERLIST_HEAD`: found ", told]);
            assert!(!done.stderr.contains("$5$"), "{done:#?}");
        }
    }
}

#[test]
fn a_template_label_takes_no_port_and_no_line_of_others() {
    let head = "\nfrontend {backend}\n  bind *:{servicePort}\n  bind 127.0.0.1:10003\n";
    let labels = [("HAPROXY_0_FRONTEND_HEAD", head)];
    generate(&apps(&labels, &Value::Null), &["--template-labels=all"]).says(&[
        "app `/m/bad`: label `HAPROXY_0_FRONTEND_HEAD`: found port 10003 on `127.0.0.1`, held by \
         app `/z`, expected ports of its own; service port 10002 left out",
    ]);
    for (bind, found) in [
        ("*:80x", "`*:80x`, which may be a port of others"),
        (":80;", "`:80;`, which may be"),
        ("*:79-80x", "`*:79-80x`, which may be"),
        ("127.0.0.1:9090x", "`127.0.0.1:9090x`, which may be"),
        ("*:4294967376", "`*:4294967376`, which may be"),
        ("\"127.0.0.1: 10003\"", "`127.0.0.1: 10003`, which may be"),
        ("localhost.:10009", "`localhost.:10009`, which may be"),
        ("127.0.0.1:80@", "`127.0.0.1:80@`, which may be"),
        ("127.1:9090", "port 9090 on `127.1`, held by `"),
        ("2130706433:9090", "port 9090 on `2130706433`, held by `"),
        ("0x7f.1:9090", "port 9090 on `0x7f.1`, held by `"),
        (
            "localhost.:10003",
            "port 10003 on `localhost.`, held by app `/z`",
        ),
        (
            "*:20000-20299,*:21000-21299",
            "ports 21000 to 21299 on `*`, expected 500 ports",
        ),
        (
            "*:20000-30000",
            "ports 20000 to 30000 on `*`, expected 500 ports",
        ),
    ] {
        let text = format!("  bind {bind}\n  use_backend {{backend}}\n");
        let labels = [("HAPROXY_0_FRONTEND_BACKEND_GLUE", &*text)];
        for done in [
            generate(&apps(&labels, &Value::Null), &["--template-labels=all"]),
            verbatim(&apps(&labels, &Value::Null), &[]),
        ] {
            let label = "app `/m/bad`: label `HAPROXY_0_FRONTEND_BACKEND_GLUE`: found";
            let done = done.says(&[&format!("{label} {found}"), "10002 left out"]);
            assert!(!done.stdout.contains("m_bad"), "{}", done.stdout);
            others_are_served(&done.stdout);
        }
    }
    for bind in ["*:20000", "127.0.0.1:20000-20009", "/run/own.sock"] {
        let text = format!("  bind {bind}\n  use_backend {{backend}}\n");
        let labels = [("HAPROXY_0_FRONTEND_BACKEND_GLUE", &*text)];
        let done = verbatim(&apps(&labels, &Value::Null), &[]);
        assert!(done.stdout.contains("m_bad"), "{bind}: {}", done.stderr);
    }
    // Without a line feed at its end, the comment would hide the rule of `/a`.
    let acl = "  acl host_{cleanedUpHostname} hdr(host) {hostname} #";
    let labels = [
        ("HAPROXY_0_VHOST", "h"),
        ("HAPROXY_0_HTTP_FRONTEND_ACL", acl),
        // Before the others.
        ("HAPROXY_0_BACKEND_WEIGHT", "9"),
    ];
    let done = generate(&apps(&labels, &Value::Null), &["--template-labels=all"]);
    let (cfg, told) = (done.stdout, done.stderr);
    assert!(
        cfg.contains("hdr(host) h #\n  acl host_a_example_com_a"),
        "{cfg}"
    );
    assert!(!told.contains("app `"), "{told}");
    others_are_served(&cfg);
    assert_accepted(&cfg);
}

#[test]
fn template_labels_are_for_whom_they_are_meant() {
    let text = "  cookie mine insert\n";
    let labels = [
        ("HAPROXY_0_STICKY", "true"),
        ("HAPROXY_0_BACKEND_STICKY_OPTIONS", text),
    ];
    let apps = apps(&labels, &Value::Null);
    let told = |expected: &str| {
        format!(
            "app `/m/bad`: label `HAPROXY_0_BACKEND_STICKY_OPTIONS`: found a text in the place of a \
             template, expected {expected}; not used"
        )
    };
    let nobody = told("no such label without --template-labels");
    for (flag, expected) in [
        (None, Some(nobody.clone())),
        (Some("none"), Some(nobody)),
        (Some("all"), None),
        (Some("y,x"), None),
        (Some("/m"), None),
        (
            Some("y,/mm"),
            Some(told(
                "such a label only of y, /mm, as --template-labels says",
            )),
        ),
    ] {
        let flag = flag.map(|flag| format!("--template-labels={flag}"));
        let more: Vec<&str> = flag.iter().map(String::as_str).collect();
        let done = generate(&apps, &more);
        assert_eq!(done.stdout.contains(text), expected.is_none(), "{flag:?}");
        assert!(done.stdout.contains("backend m_bad_10002"), "{flag:?}");
        match expected {
            Some(expected) => drop(done.says(&[&expected])),
            None => assert!(!done.stderr.contains("app `"), "{}", done.stderr),
        }
    }
}

/// Lines that can only be there to leave the service, and what each is told to reach for.
static REACHES: [(&str, &str, &str); 19] = [
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request return status 200 content-type text/plain file /etc/passwd\n",
        "a file of this host",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  'errorfile' 503 /etc/passwd\n",
        "a file of this host",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request set-map(/etc/haproxy/domain2backend.map) a.example.com m_bad_10002\n",
        "a map of all services",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  stats enable\n",
        "the statistics of all services",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request use-service prometheus-exporter\n",
        "a service of HAProxy's own",
    ),
    (
        "BACKEND_SERVER_OPTIONS",
        "  server admin unix@/run/haproxy/admin.sock\n",
        "a socket of this host",
    ),
    (
        "BACKEND_SERVER_OPTIONS",
        "  ser{serverName:.0}ver admin /run/haproxy/admin.sock\n",
        "a socket of this host",
    ),
    (
        "FRONTEND_HEAD",
        "\nfrontend {backend}\n  bind abns@marathon_https accept-proxy\n  mode http\n",
        "a socket of this host",
    ),
    // `if` may be a value.
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request return status 200 content-type if file /etc/hostname\n",
        "a file of this host",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request return status 200 hdr X if content-type a/b lf-file /etc/hostname if TRUE\n",
        "a file of this host",
    ),
    (
        "BACKEND_SERVER_OPTIONS",
        "  server a 127.0.0.1:31002 cookie if check addr /run/haproxy/admin.sock\n",
        "a socket of this host",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  tcp-check connect comment if addr /run/haproxy/admin.sock\n  tcp-check send x\n",
        "a socket of this host",
    ),
    // Addresses have more beginnings.
    (
        "BACKEND_SERVER_OPTIONS",
        "  server admin stream+unix@/run/haproxy/admin.sock\n",
        "a socket of this host",
    ),
    (
        "FRONTEND_HEAD",
        "\nfrontend {backend}\n  bind stream+unix@/run/haproxy/admin.sock\n  mode http\n",
        "a socket of this host",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  default log dgram+/dev/log local0 info\n",
        "a socket of this host",
    ),
    (
        "BACKEND_SERVER_OPTIONS",
        "  server admin $NONE/run/haproxy/admin.sock\n",
        "the environment of HAProxy",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  filter opentracing config /etc/hostname\n",
        "a program beside HAProxy",
    ),
    (
        "BACKEND_HTTP_OPTIONS",
        "  http-request set-var(txn.a) src,set-var(\\\"proc.a\\\")\n",
        "a variable of all services",
    ),
    (
        "HTTP_FRONTEND_ACL",
        "  http-request lua.x\n",
        "a program of HAProxy (`lua`)",
    ),
];

#[test]
fn a_template_label_of_the_native_commands_reaches_for_nothing_beyond_its_service() {
    for (name, text, what) in REACHES {
        let label = format!("HAPROXY_0_{name}");
        let labels = [
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_MODE", "http"),
            (&*label, text),
        ];
        let apps = apps(&labels, &Value::Null);
        let told = format!(
            "`, which reaches for {what}, expected lines that stay within the service; those of \
             --template-dir need not; service port 10002 left out"
        );
        let label = format!("app `/m/bad`: label `{label}`: found the line `");
        let sets: &[&str] = if name.starts_with("HTTP_FRONTEND") {
            // The native set has no such rules.
            &["--template-set=marathon-lb"]
        } else {
            &["--template-set=marathon-lb", "--template-set=native"]
        };
        for set in sets {
            let done = generate(&apps, &["--template-labels=all", set]).says(&[&label, &told]);
            assert!(!done.stdout.contains("m_bad"), "{}", done.stdout);
            assert!(done.stdout.contains("\nbackend z_10003\n"));
        }
        // Values of marathon-lb's command line are verbatim, and so are its texts.
        let done = verbatim(&apps, &[]);
        assert!(done.stdout.contains("m_bad_10002"), "{}", done.stdout);
    }
}

/// What two texts say together counts as well, and what the operator says does not.
#[test]
fn lines_are_judged_as_they_stand_in_the_file_and_those_of_the_operator_are_not() {
    let labels = [
        ("HAPROXY_0_MODE", "http"),
        ("HAPROXY_0_USE_HSTS", "true"),
        ("HAPROXY_0_BACKEND_HSTS_OPTIONS", "  error"),
        ("HAPROXY_0_BACKEND_HTTP_OPTIONS", "file 503 /etc/passwd\n"),
    ];
    let apps_of = |labels: &[(&str, &str)]| apps(labels, &Value::Null);
    generate(&apps_of(&labels), &["--template-labels=all"]).says(&[
        "found the line `errorfile 503 /etc/passwd`, which reaches for a file of this host",
    ]);
    let line = "  http-request set-header A b\n";
    let labels = [
        ("HAPROXY_0_MODE", "http"),
        ("HAPROXY_0_BACKEND_HTTP_OPTIONS", line),
    ];
    let head =
        "\nbackend {{ backend }}\n  balance {{ balance }}\n  mode {{ mode }}\n  errorfile 503 /x\n";
    let test = Test::new()
        .file("apps.json", apps_of(&labels))
        .file("templates/fragments/backend_head.cfg.tera", head);
    let done = test.call([
        "generate",
        "--marathon=file:apps.json",
        "--template-dir=templates",
        "--template-labels=all",
    ]);
    let done = done.expect(0);
    assert!(!done.stderr.contains("app `"), "{}", done.stderr);
    let own = "backend m_bad_10002\n  balance roundrobin\n  mode http\n  errorfile 503 /x\n";
    assert!(done.stdout.contains(own), "{}", done.stdout);
    assert!(done.stdout.contains(line));
}

/// A certificate of a label stands in the frontend of all hosts, which is nobody's.
#[test]
fn a_certificate_that_is_named_in_a_shared_frontend_alone_takes_out_its_own_service_alone() {
    let head = "\nfrontend {backend}\n  bind *:{servicePort}\n  mode http\n";
    let labels = [
        ("HAPROXY_0_VHOST", "h"),
        ("HAPROXY_0_SSL_CERT", "/nonexistent/bad.pem"),
        ("HAPROXY_0_FRONTEND_HEAD", head),
    ];
    let test = Test::new().file("apps.json", apps(&labels, &Value::Null));
    let certs = format!("--ssl-certs={}", super::certificate());
    let done = test.refresh(&["--template-labels=all", &certs]);
    done.expect(0).says(&[
        "app `/m/bad`: ",
        "/nonexistent/bad.pem",
        "service port 10002 left out",
    ]);
    let cfg = test.cfg();
    assert!(!cfg.contains("m_bad") && !cfg.contains("bad.pem"), "{cfg}");
    for name in ["a_10001", "z_10003"] {
        assert!(cfg.contains(&format!("\nbackend {name}\n")), "{cfg}");
    }
    assert_accepted(&cfg);
}
