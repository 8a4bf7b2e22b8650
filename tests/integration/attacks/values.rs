//! Values: typed in the native commands, and held within their rules in the others.

use haproxy_marathon_bridge::labels::{LABELS, Reach};
use serde_json::{Value, json};

use super::{apps, certificate, generate, others_are_served, verbatim};
use crate::support::{Test, assert_accepted};

/// `expected`, as the table of labels says it.
fn form(name: &str) -> String {
    let mut labels = LABELS.iter().filter(|label| label.reach == Reach::Service);
    let label = labels.find(|label| label.name == name).unwrap();
    format!("{}, such as `{}`", label.form, label.example)
}

const HOST: (&str, &str) = ("VHOST", "bad.example.com");
const PASSWORD: &str = "(not shown, since one is a password)";

/// The label that is wrong comes last.
type Attack = (&'static [(&'static str, &'static str)], &'static str);

/// Labels, and what is told of the last.
static ATTACKS: &[Attack] = &[
    (
        &[("VHOST", "a } or { always_true")],
        "`a } or { always_true`",
    ),
    (&[("VHOST", "a || b")], "`a || b`"),
    (&[("VHOST", "a.example.com #")], "`a.example.com #`"),
    (&[("VHOST", "x\" }")], r#"`x\" }`"#),
    (&[("VHOST", "-f")], "`-f`"),
    (
        &[("VHOST", "a, -m reg .*")],
        "`-m reg .*` in `a, -m reg .*`",
    ),
    (
        &[HOST, ("PATH", "-f /etc/passwd")],
        "`-f` in `-f /etc/passwd`",
    ),
    (
        &[HOST, ("PATH", "/a unless FALSE")],
        "`unless` in `/a unless FALSE`",
    ),
    (&[HOST, ("PATH", "/a or /b")], "`or` in `/a or /b`"),
    (&[HOST, ("PATH", "/a || /b")], "`||` in `/a || /b`"),
    (&[HOST, ("PATH", "/a#b")], "`/a#b`"),
    (&[HOST, ("PATH", "/a\\")], r"`/a\\`"),
    (&[HOST, ("PATH", "/\"${HOME}\"")], r#"`/\"${HOME}\"`"#),
    (&[("BIND_ADDR", "127.0.0.1:10001,*")], "`127.0.0.1:10001,*`"),
    (&[("BIND_ADDR", "*:80,127.0.0.1")], "`*:80,127.0.0.1`"),
    (
        &[("BIND_OPTIONS", "accept-proxy # x")],
        "`#` in `accept-proxy # x`",
    ),
    (&[("BIND_OPTIONS", "uid 0")], "`uid` in `uid 0`"),
    (
        &[("BIND_OPTIONS", "name \"${HOME}\"")],
        r#"`\"${HOME}\"` in `name \"${HOME}\"`"#,
    ),
    (
        &[("SSL_CERT", "/a.pem level admin")],
        "`/a.pem level admin`",
    ),
    (&[("BALANCE", "hash env(PATH)")], "`hash env(PATH)`"),
    (&[("MODE", "http\\")], r"`http\\`"),
    (
        &[HOST, ("HTTP_BACKEND_REDIR", "/%[env(PATH)]")],
        "`/%[env(PATH)]`",
    ),
    (
        &[HOST, ("HTTP_BACKEND_REDIR", "/x if TRUE #")],
        "`/x if TRUE #`",
    ),
    (
        &[HOST, ("HTTP_BACKEND_REVPROXY_PATH", "/%[env(PATH)]")],
        "`/%[env(PATH)]`",
    ),
    (
        &[HOST, ("HTTP_BACKEND_PROXYPASS_PATH", "/${HOME}")],
        "`/${HOME}`",
    ),
    (
        &[("BACKEND_NETWORK_ALLOWED_ACL", "-f /etc/passwd")],
        "`-f` in `-f /etc/passwd`",
    ),
    (&[("PORT", "0")], "`0`"),
    (&[("BACKEND_WEIGHT", "99999999999")], "`99999999999`"),
    (
        &[HOST, ("AUTH", "${HOME}:u:$6$x$y")],
        "3 parts, of which the realm is wrong ",
    ),
    (
        &[HOST, ("AUTH", "x\" if TRUE #:u:$6$x$y")],
        "3 parts, of which the realm is wrong ",
    ),
    (
        &[HOST, ("AUTH", "%[env(PATH)]:u:$6$x$y")],
        "3 parts, of which the realm is wrong ",
    ),
    (
        &[HOST, ("AUTH", "r:u password p #:$6$x$y")],
        "3 parts, of which the user is wrong ",
    ),
    (
        &[HOST, ("AUTH", "r:u:rlR4XJ1i8.hsE groups admin")],
        "3 parts, of which the password is wrong ",
    ),
];

#[test]
fn a_value_that_could_leave_its_place_is_refused_in_five_parts() {
    for (labels, found) in ATTACKS {
        let named: Vec<(String, &str)> = labels
            .iter()
            .map(|(name, text)| (format!("HAPROXY_0_{name}"), *text))
            .collect();
        let named: Vec<(&str, &str)> = named.iter().map(|(n, t)| (n.as_str(), *t)).collect();
        let apps = apps(&named, &Value::Null);
        let (name, _) = labels.last().unwrap();
        let service_port = 10002;
        let found = if *name == "AUTH" {
            format!("{found}{PASSWORD}")
        } else {
            (*found).to_owned()
        };
        let done = generate(&apps, &[]).says(&[&format!(
            "app `/m/bad`: label `HAPROXY_0_{name}`: found {found}, expected {}; service port \
             {service_port} left out",
            form(name)
        )]);
        assert_eq!(done.stderr.matches("app `").count(), 1, "{}", done.stderr);
        assert!(!done.stdout.contains("bad"), "{}", done.stdout);
        others_are_served(&done.stdout);
        assert_accepted(&done.stdout);
    }
}

/// That these are attacks at all: HAProxy accepts what marathon-lb wrote for them.
#[test]
fn haproxy_accepts_what_is_refused() {
    for labels in [
        &[("HAPROXY_0_VHOST", "a } or { always_true")][..],
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_PATH", "-f /etc/passwd"),
        ],
        &[("HAPROXY_0_BIND_ADDR", "127.0.0.1:10001,*")],
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_HTTP_BACKEND_REDIR", "/%[env(PATH)]"),
        ],
        &[
            ("HAPROXY_0_VHOST", "h"),
            // Followed by more, for HAProxy wants a realm also where the variable is not set.
            ("HAPROXY_0_AUTH", "${HOME}r:u:$6$x$y"),
        ],
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_AUTH", "x\" if TRUE #:u:$6$x$y"),
        ],
    ] {
        let done = verbatim(&apps(labels, &Value::Null), &["--skip-validation"]);
        assert!(done.stdout.contains("bad"), "{labels:?}");
        assert_accepted(&done.stdout);
    }
}

const LEAVES: &str = "expected a value that stays within its place in HAPROXY_";
const ODD: &str = "written as it stands";

/// Labels, and what is told of the last; nothing where nothing is.
type Odd = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

static VERBATIM: &[Odd] = &[
    (
        &[("HAPROXY_0_VHOST", "a } or { always_true")],
        &[
            "label `HAPROXY_0_VHOST`: found `a } or { always_true`",
            LEAVES,
            "left out",
        ],
    ),
    (
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_AUTH", "x\" if TRUE #:u:$6$x$y"),
        ],
        &[
            "label `HAPROXY_0_AUTH`: found a realm (not shown)",
            LEAVES,
            "left out",
        ],
    ),
    (
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_HTTP_BACKEND_REDIR", "/x if TRUE #"),
        ],
        &[
            "label `HAPROXY_0_HTTP_BACKEND_REDIR`: found `/x if TRUE #`",
            LEAVES,
            "left out",
        ],
    ),
    (
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_DEPLOYMENT_GROUP", "x #"),
        ],
        &[
            "app `/x #`: service port 10002: found `x #_10002`",
            LEAVES,
            "left out",
        ],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "127.0.0.1:10001,*")],
        &[
            "label `HAPROXY_0_BIND_ADDR`: found port 10001 on `127.0.0.1`, held by app `/a`, \
                 expected ports of its own; service port 10002 left out",
        ],
    ),
    // HAProxy reads the digits in front, and of large numbers what fits.
    (
        &[("HAPROXY_0_BIND_ADDR", "*:80x,127.0.0.1")],
        &[
            "label `HAPROXY_0_BIND_ADDR`: found `*:80x`, which may be a port of others, expected `*` or \
             an address in numbers, and a port from 1 to 65535; service port 10002 left out",
        ],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "*:4294967376,127.0.0.1")],
        &["found `*:4294967376`, which may be", "left out"],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "a.test:10009,127.0.0.1")],
        &["found `a.test:10009`, which may be", "left out"],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "127.1:10001,127.0.0.1")],
        &["found port 10001 on `127.1`, held by app `/a`", "left out"],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "*:30000-60000,127.0.0.1")],
        &[
            "found ports 30000 to 60000 on `*`, expected 500 ports at most",
            "left out",
        ],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "*:80,127.0.0.1")],
        &[
            "found port 80 on `*`, held by `frontend marathon_http_in`",
            "left out",
        ],
    ),
    // The service port is the end of another word, and the comma is written in another way.
    (
        &[("HAPROXY_0_BIND_ADDR", "*:80 name x")],
        &[
            "found port 80 on `*`, held by `frontend marathon_http_in`",
            "left out",
        ],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", "'*:80' name x")],
        &[
            "found port 80 on `*`, held by `frontend marathon_http_in`",
            "left out",
        ],
    ),
    (
        &[("HAPROXY_0_BIND_ADDR", r"*:80\x2c127.0.0.1")],
        &[
            "found port 80 on `*`, held by `frontend marathon_http_in`",
            "left out",
        ],
    ),
    (
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_PATH", "-f /etc/passwd"),
        ],
        &[
            "label `HAPROXY_0_PATH`: found `-f /etc/passwd`, expected paths",
            ODD,
        ],
    ),
    (
        &[("HAPROXY_0_VHOST", "h i")],
        &[
            "label `HAPROXY_0_VHOST`: found `h i`, expected one word",
            ODD,
        ],
    ),
    (
        &[
            ("HAPROXY_0_VHOST", "h"),
            ("HAPROXY_0_HTTP_BACKEND_REDIR", "/x code 302"),
        ],
        &[
            "label `HAPROXY_0_HTTP_BACKEND_REDIR`: found `/x code 302`",
            ODD,
        ],
    ),
    (&[("HAPROXY_0_BIND_ADDR", "127.0.0.1:10009,127.0.0.2")], &[]),
    (
        &[("HAPROXY_0_VHOST", "h"), ("HAPROXY_0_PATH", "-i /a /b")],
        &[],
    ),
];

/// Of the command line of marathon-lb: what takes from others is refused, what is only odd is told.
#[test]
fn verbatim_values_stay_within_their_rules() {
    for (labels, parts) in VERBATIM {
        let apps = apps(labels, &Value::Null);
        let done = verbatim(&apps, &[]).says(parts);
        let is_out = parts.concat().contains("left out");
        assert_eq!(
            done.stdout.contains("backend m_bad_10002"),
            !is_out,
            "{labels:?}"
        );
        if parts.is_empty() {
            assert!(!done.stderr.contains("/m/bad"), "{}", done.stderr);
        }
        others_are_served(&done.stdout);
        assert_accepted(done.stdout.strip_suffix('\n').unwrap());
    }
}

/// With a frontend for each host, hosts and certificates stand in lines that are nobody's.
#[test]
fn nobody_breaks_the_frontend_of_a_host() {
    let missing = [
        ("HAPROXY_0_VHOST", "h"),
        ("HAPROXY_0_SSL_CERT", "/nonexistent.pem"),
        (
            "HAPROXY_0_FRONTEND_HEAD",
            "\nfrontend {backend}\n  bind *:{servicePort}\n",
        ),
    ];
    for labels in [&[("HAPROXY_0_VHOST", "h' }")][..], &missing] {
        let test = Test::new().file("apps.json", apps(labels, &Value::Null));
        let certs = format!("--ssl-certs={}", certificate());
        let done = test.call([
            "marathon-lb",
            "--group=*",
            "--haproxy-map",
            "--group-https-by-vhost",
            "--command=true",
            "--marathon=file:apps.json",
            "--haproxy-config=haproxy.cfg",
            "--syslog-socket=/dev/null",
            &certs,
        ]);
        done.expect(0)
            .says(&["app `/m/bad`: ", "service port 10002 left out"]);
        let cfg = test.cfg();
        assert!(!cfg.contains("backend m_bad_10002"), "{cfg}");
        for name in ["a_10001", "z_10003"] {
            assert!(cfg.contains(&format!("\nbackend {name}\n")), "{cfg}");
        }
    }
}

/// Beside labels.
#[test]
fn what_no_label_says_is_typed_too() {
    let check = |path: &str| {
        json!({"healthChecks": [
            {"protocol": "TCP", "gracePeriodSeconds": 1, "intervalSeconds": 1, "timeoutSeconds": 1,
             "maxConsecutiveFailures": 1},
            {"protocol": "HTTP", "path": path, "portIndex": 0, "gracePeriodSeconds": 1,
             "intervalSeconds": 1, "timeoutSeconds": 1, "maxConsecutiveFailures": 1},
        ]})
    };
    let bad = "/x?\"${HOME}\"";
    for (labels, fields, told, is_out) in [
        (
            &[][..],
            check(bad),
            "app `/m/bad`: field `healthChecks[1].path`: found `/x?\\\"${HOME}\\\"`, expected a \
             path of a URL, without blanks, ",
            true,
        ),
        (
            &[("HAPROXY_DEPLOYMENT_GROUP", "b x if TRUE")],
            Value::Null,
            "app `/m/bad`: label `HAPROXY_DEPLOYMENT_GROUP`: found `b x if TRUE`, expected a name of \
             letters, digits, `.` and `-`, or with that the id of an app in the same folder; served \
             as an app of its own",
            false,
        ),
    ] {
        let done = generate(&apps(labels, &fields), &[]).says(&[told]);
        let is_served = done.stdout.contains("backend m_bad_10002");
        assert_ne!(is_served, is_out, "{}", done.stdout);
        others_are_served(&done.stdout);
        assert_accepted(&done.stdout);
    }
    let done = generate(&apps(&[], &check("/health?deep=1&x=%20")), &[]);
    assert_eq!(done.stderr.matches("app `").count(), 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("httpchk GET /health?deep=1&x=%20"),
        "{}",
        done.stdout
    );
}

/// Quarantine: what was good once is served with the tasks of today, and the attack is not.
#[test]
fn what_is_refused_is_served_as_it_was() {
    let good = [("HAPROXY_0_VHOST", "good.example.com")];
    let test = Test::new().args([
        "refresh",
        "--marathon=file:apps.json",
        "--template-set=marathon-lb",
        "--haproxy-config=haproxy.cfg",
        "--reload=none",
    ]);
    let turn = |labels: &[(&str, &str)], fields: &Value| {
        std::fs::write(test.path().join("apps.json"), apps(labels, fields)).unwrap();
        let done = test.run().expect(0);
        let cfg = test.cfg();
        let map = std::fs::read_to_string(test.path().join("domain2backend.map")).unwrap();
        (done, cfg, map)
    };
    turn(&good, &Value::Null);
    let bad = [("HAPROXY_0_VHOST", "a } or { always_true")];
    let task = json!({"id": "t.2", "host": "10.0.0.2", "ports": [32000], "state": "TASK_RUNNING"});
    let (done, cfg, map) = turn(&bad, &json!({"tasks": [task]}));
    done.says(&[
        "app `/m/bad`: label `HAPROXY_0_VHOST`: found `a } or { always_true`",
        "service port 10002 is served as it was before",
    ]);
    assert!(cfg.contains("10.0.0.2:32000"), "{cfg}");
    assert!(map.contains("good.example.com m_bad_10002\n"), "{map}");
    assert!(!(cfg + &map).contains("always_true"));
}
