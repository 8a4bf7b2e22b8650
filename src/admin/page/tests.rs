use std::collections::BTreeMap;

use super::*;
use crate::guard::proxies;

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
            counted: Ok(BTreeMap::new()),
        },
        log: vec!["first".to_owned(), "</pre><script>".to_owned()],
    }
}

fn asked(q: &str) -> Asked {
    Asked { q: q.to_owned() }
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
        "1 of 1",
        "web-80",
        "0 of 1",
        "content=\"10\"",
        "href=\"status\"",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let none = page().html(Some(&asked("other"))).unwrap();
    assert!(
        none.contains("0 of 1") && !none.contains("web-80"),
        "{none}"
    );
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
fn the_latest_line_of_the_log_comes_first_and_none_is_no_log() {
    let html = page().html(None).unwrap();
    let at = |part: &str| html.find(part).unwrap();
    assert!(at("&lt;script") < at("\nfirst"));
    let silent = Page {
        log: Vec::new(),
        ..page()
    };
    assert!(!silent.html(None).unwrap().contains("<pre>"));
}

#[test]
fn why_nothing_is_counted_is_told() {
    let mut page = page();
    page.services.counted = Err("nobody listens at `/run/x`".to_owned());
    let html = page.html(None).unwrap();
    assert!(html.contains("nobody listens at `/run/x`"), "{html}");
    assert!(!html.contains("servers up"), "{html}");
}
