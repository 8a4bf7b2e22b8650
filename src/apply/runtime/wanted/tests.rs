use super::*;

fn one(lines: &str) -> Backend {
    let text = format!("backend b\n{lines}");
    backends(&text).remove("b").unwrap()
}

fn line(line: &str) -> Result<Said, String> {
    let mut backend = one(&format!("  server s {line}\n"));
    backend.servers.remove(0).said
}

#[test]
fn what_our_own_sets_write_is_understood() {
    let said = line(
        "10.0.0.1:31000 id 28035 check cookie 13d473d85a check inter 10s fall 4 port 31001 \
         maxconn 7 send-proxy-v2 weight 3 disabled",
    );
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        said,
        Ok(Said {
            address: "10.0.0.1".parse().unwrap(),
            port: 31000,
            id: Some(28035),
            weight: 3,
            is_disabled: true,
            is_checked: true,
            check_port: Some(31001),
            cookie: Some("13d473d85a".to_owned()),
            sends_proxy: true,
            keywords: words("check inter 10s fall 4 port 31001 maxconn 7 send-proxy-v2"),
        })
    );
    for (text, address) in [("[fd00::1]:80", "fd00::1"), ("fd00::1:80", "fd00::1")] {
        let said = line(text).unwrap();
        assert_eq!((said.address.to_string(), said.port), (address.into(), 80));
    }
}

#[test]
fn a_word_that_is_not_understood_is_told() {
    for (text, strange) in [
        ("agent:80", "`agent:80`"),
        ("10.0.0.1", "`10.0.0.1`"),
        ("10.0.0.1:0", "`10.0.0.1:0`"),
        ("10.0.0.1:80 ssl verify none", "`ssl`"),
        ("10.0.0.1:80 weight 257", "`weight 257`"),
        ("10.0.0.1:80 id x", "`id x`"),
        ("10.0.0.1:80 id", "`id `"),
        ("10.0.0.1:80 inter 5;x", "`inter 5;x`"),
        ("10.0.0.1:80 cookie a;b", "`cookie a;b`"),
        ("10.0.0.1:80 cookie \"a b\"", "`cookie a b`"),
        ("10.0.0.1:80 maxconn -1", "`maxconn -1`"),
        ("10.0.0.1:80 track b/s", "`track`"),
        ("\"${HOST}\":80", "a value of the environment"),
    ] {
        assert_eq!(line(text), Err(strange.to_owned()), "{text}");
    }
}

#[test]
fn only_what_can_be_told_later_is_no_part_of_what_is_fixed() {
    let fixed = |text: &str| {
        one(&format!("  server s {text}\n")).servers[0]
            .fixed
            .clone()
    };
    let same = fixed("10.0.0.1:80 id 3 check inter 2s");
    for other in [
        "10.0.0.2:81 id 3 check inter 2s",
        "10.0.0.1:80 id 3 weight 9 check inter 2s disabled",
    ] {
        assert_eq!(fixed(other), same, "{other}");
    }
    for other in ["10.0.0.1:80 id 3 check inter 3s", "10.0.0.1:80 id 3 check"] {
        assert_ne!(fixed(other), same, "{other}");
    }
    assert_ne!(fixed("a:80 ssl"), fixed("b:80 ssl"));
}

#[test]
fn algorithms_that_know_their_servers_from_the_start_are_a_barrier() {
    for (lines, is_barrier) in [
        ("", false),
        ("  balance roundrobin\n", false),
        ("  balance leastconn\n", false),
        ("  balance random(3)\n", false),
        ("  balance first\n", false),
        ("  balance static-rr\n", true),
        ("  balance source\n", true),
        ("  balance uri\n", true),
        ("  balance hdr(x) use_domain_only\n", true),
        ("  balance source\n  hash-type consistent\n", false),
        (
            "  hash-type map-based\n  balance url_param id check_post\n",
            true,
        ),
        ("  balance static-rr\n  hash-type consistent\n", true),
        ("  server-template w 1-3 10.0.0.1:80\n", true),
        ("  option external-check\n", true),
    ] {
        assert_eq!(one(lines).barrier.is_some(), is_barrier, "{lines}");
    }
}

#[test]
fn defaults_reach_the_sections_behind_them() {
    let text = "defaults\n balance source\n default-server inter 1s\n\
        backend a\n server x 10.0.0.1:1\n\
        listen b\n balance roundrobin\n cookie C insert dynamic\n dynamic-cookie-key k\n\
        defaults other\nbackend c\nbackend d from other\nfrontend f\n default_backend c\n";
    let all = backends(text);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!(all["a"].barrier.is_some() && all["a"].has_defaults);
    assert_eq!(all["a"].servers.len(), 1);
    assert!(all["b"].barrier.is_none() && all["b"].has_dynamic_cookie);
    assert_eq!(all["b"].cookie_key.as_deref(), Some("k"));
    assert!(all["c"].barrier.is_none() && !all["c"].has_defaults);
    assert!(all["d"].barrier.is_none() && !all["d"].has_defaults);
}

#[test]
fn what_default_server_says_counts_for_the_servers_behind_it() {
    let text = "defaults\n default-server weight 5 inter 1s\n\
        backend a\n server v 10.0.0.1:1\n default-server disabled\n\
        server w 10.0.0.1:1 weight 3\n server x 10.0.0.1:1 enabled\n\
        default-server weight 7 enabled\n server y 10.0.0.1:1\n\
        backend b\n default-server weight x\n server z 10.0.0.1:1\n";
    let all = backends(text);
    let said = |server: &Server| {
        server
            .said
            .clone()
            .map(|said| (said.weight, said.is_disabled))
    };
    let found: Vec<_> = all["a"].servers.iter().map(said).collect();
    let want = [(5, false), (3, true), (5, false), (7, false)];
    assert_eq!(found, want.map(Ok));
    let strange = "`default-server weight x`".to_owned();
    assert_eq!(said(&all["b"].servers[0]), Err(strange));
}

#[test]
fn a_section_has_the_defaults_that_it_names() {
    let text = "defaults base\n  balance first\n\
                defaults p from base\n  cookie c insert dynamic\n  dynamic-cookie-key k\n\
                defaults q from base\n  balance source\n\
                defaults rest from base\n\
                listen l\n  bind :1\n\
                backend a from p\n  server s 10.0.0.1:80 id 7\n\
                backend b from q\nbackend c\nbackend d from none\nbackend e :80\n";
    let all = backends(text);
    let barrier = |name: &str| all[name].barrier.as_deref();
    assert!(all["a"].has_dynamic_cookie && barrier("a").is_none());
    assert_eq!(all["a"].servers.len(), 1);
    assert!(barrier("b").unwrap().contains("`balance source`"));
    assert!(!all["b"].has_dynamic_cookie);
    assert_eq!((barrier("c"), barrier("l")), (None, None));
    assert!(!all["c"].has_dynamic_cookie);
    assert!(barrier("d").unwrap().contains("defaults of its own"));
    assert!(barrier("e").unwrap().contains("more than a name"));
}
