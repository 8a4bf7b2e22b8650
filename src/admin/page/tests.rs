use std::collections::BTreeMap;

use super::*;
use crate::guard::proxies;
use crate::haproxy::statistics::Backend;

fn page<'a>() -> Page<'a> {
    Page {
        host: "lb1".to_owned(),
        config: "/etc/haproxy/haproxy.cfg".to_owned(),
        verdict: "all is well".to_owned(),
        mood: Mood::Good,
        now: "2026-01-02T03:04:05Z".to_owned(),
        findings: vec![Finding {
            name: "warning",
            value: "app `/<script>`: found `\"><img src=x>`".to_owned(),
            is_amiss: true,
        }],
        watcher: None,
        services: Sources {
            proxies: proxies("listen web-80\n  server a 10.0.0.1:1\n", ""),
            hosts: vec!["<b>.example.com web-80\n"],
            apps: "",
            stand_ins: None,
            counted: Ok(BTreeMap::from([("web-80", Backend::default())])),
        },
        log: vec!["first".to_owned(), "</pre><script>".to_owned()],
    }
}

fn asked(q: &str) -> Asked {
    Asked::of(&[("q".to_owned(), q.to_owned())])
}

#[test]
fn nothing_that_others_wrote_becomes_markup() {
    let html = page().html(Some(&asked("\"><script>"))).unwrap();
    for part in ["<script", "<img", "<b>.", "</pre><"] {
        assert!(!html.contains(part), "{part}: {html}");
    }
    for part in [
        "app `/&lt;script&gt;`",
        "value=\"&quot;&gt;&lt;script&gt;\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn what_is_asked_for_is_shown_and_counted() {
    let all = page().html(Some(&asked(" "))).unwrap();
    for part in [
        "1 in all",
        "web-80",
        "0 of 1",
        "http-equiv=\"refresh\" content=\"10\"",
        "href=\"status\"",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let none = page().html(Some(&asked("other"))).unwrap();
    assert!(
        none.contains("0 of 1 fit") && !none.contains("web-80"),
        "{none}"
    );
    let query = [("q", "web"), ("hold", ""), ("q", "other")];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let held = page().html(Some(&Asked::of(&query))).unwrap();
    assert!(
        held.contains("value=\"other\"") && !held.contains("http-equiv"),
        "{held}"
    );
}

#[test]
fn a_service_without_a_server_up_is_told_beside_the_verdict() {
    let html = page().html(None).unwrap();
    for part in [
        "<header class=\"weak\">",
        "1 service has no server up",
        "n bad\">0 of 1",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let mut unknown = page();
    unknown.services.counted = Ok(BTreeMap::new());
    let html = unknown.html(None).unwrap();
    assert!(html.contains("n bad\">not in HAProxy"), "{html}");
}

#[test]
fn of_many_findings_of_a_kind_the_first_are_shown_and_the_others_counted() {
    let finding = |name, number: usize| Finding {
        name,
        value: format!("{name} {number};"),
        is_amiss: true,
    };
    let mut page = page();
    page.findings = (0..1500).map(|number| finding("warning", number)).collect();
    page.findings.push(finding("turns", 1));
    let html = page.html(None).unwrap();
    for part in [
        "warning 19;",
        "and 1480 more, which `status` tells",
        "turns 1;",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("warning 20;"));
    assert!(html.find("1480 more") < html.find("turns 1;"));
}

#[test]
fn a_page_in_a_file_leads_nowhere() {
    let html = page().html(None).unwrap();
    for part in ["href=\"status\"", "<form"] {
        assert!(!html.contains(part), "{part}: {html}");
    }
    assert!(html.contains("content=\"60\""), "{html}");
}

#[test]
fn the_latest_line_of_the_log_comes_first_and_a_page_in_a_file_has_none() {
    let html = page().html(Some(&asked(""))).unwrap();
    let at = |part: &str| html.find(part).unwrap();
    assert!(at("&lt;/pre&gt;&lt;script") < at("\nfirst"));
    let silent = Page {
        log: Vec::new(),
        ..page()
    };
    let html = silent.html(Some(&asked(""))).unwrap();
    assert!(html.contains("<pre>nothing yet"), "{html}");
    assert!(!page().html(None).unwrap().contains("<pre>"));
}

#[test]
fn why_nothing_is_counted_is_told() {
    let mut page = page();
    let uncounted = |is_amiss| Uncounted {
        why: "nobody listens at `/run/x`".to_owned(),
        is_amiss,
    };
    page.services.counted = Err(uncounted(true));
    let html = page.clone().html(None).unwrap();
    assert!(html.contains("<header class=\"weak\">"), "{html}");
    assert!(html.contains("nobody listens at `/run/x`"), "{html}");
    assert!(!html.contains("servers up"), "{html}");
    // Where it cannot be asked at all, that is as it should be.
    page.services.counted = Err(uncounted(false));
    let html = page.html(None).unwrap();
    assert!(html.contains("<header class=\"good\">"), "{html}");
}
