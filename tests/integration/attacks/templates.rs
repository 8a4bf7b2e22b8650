//! Texts in the place of templates.

use serde_json::Value;

use super::{apps, generate, others_are_served, verbatim};
use crate::support::assert_accepted;

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
fn a_template_label_takes_no_port_and_no_line_of_others() {
    let head = "\nfrontend {backend}\n  bind *:{servicePort}\n  bind 127.0.0.1:10003\n";
    let labels = [("HAPROXY_0_FRONTEND_HEAD", head)];
    generate(&apps(&labels, &Value::Null), &["--template-labels=all"]).says(&[
        "app `/m/bad`: label `HAPROXY_0_FRONTEND_HEAD`: found port 10003 on `127.0.0.1`, held by \
         app `/z`, expected ports of its own; service port 10002 left out",
    ]);
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
