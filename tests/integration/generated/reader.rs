//! A small reader of `haproxy.cfg`, by the rules of HAProxy's manual ("Quoting and escaping"), and what
//! may stand in the sections of the set `marathon-lb`.

/// The words of a line; `None` where a quote is not closed. `$` between double quotes becomes `\u{1}`,
/// and a comment a last word `\u{2}`.
fn words(line: &str) -> Option<Vec<String>> {
    let bytes = line.as_bytes();
    let mut words: Vec<Vec<u8>> = Vec::new();
    let (mut single, mut double, mut inside) = (false, false, false);
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let next = bytes.get(at + 1).copied();
        let mut put = |byte: u8, inside: &mut bool| {
            if !std::mem::replace(inside, true) {
                words.push(Vec::new());
            }
            words.last_mut().unwrap().push(byte);
        };
        match byte {
            b'"' if !single => {
                double = !double;
                if !std::mem::replace(&mut inside, true) {
                    words.push(Vec::new());
                }
            }
            b'\'' if !double => {
                single = !single;
                if !std::mem::replace(&mut inside, true) {
                    words.push(Vec::new());
                }
            }
            b'\\' if !single => match next {
                Some(c @ (b' ' | b'\\' | b'#' | b'"' | b'\'')) => {
                    put(c, &mut inside);
                    at += 1;
                }
                Some(b'$') if double => {
                    put(b'$', &mut inside);
                    at += 1;
                }
                Some(b'x') => {
                    let code = line
                        .get(at + 2..at + 4)
                        .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                    put(code.unwrap_or(b'\\'), &mut inside);
                    at += if code.is_some() { 3 } else { 0 };
                }
                _ => put(b'\\', &mut inside),
            },
            b'#' if !single && !double => {
                words.push(vec![2]);
                break;
            }
            b'$' if double => put(1, &mut inside),
            b' ' | b'\t' | b'\r' | 11 | 12 if !single && !double => inside = false,
            byte => put(byte, &mut inside),
        }
        at += 1;
    }
    let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
    (!single && !double).then(|| words.into_iter().map(text).collect())
}

const SECTIONS: [&str; 20] = [
    "acme",
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// Sections of the whole file, in which owners have no say but for rules.
const FRAME: [&str; 6] = [
    "global",
    "defaults",
    "listen stats",
    "backend haproxy_marathon_bridge",
    "frontend marathon_http_in",
    "frontend marathon_http_appid_in",
];

fn is_of_frame(section: &str) -> bool {
    FRAME.contains(&section) || section == "frontend marathon_https_in"
}

/// Whether a section is one of an app: `app-1_10101`.
fn is_of_app(name: &str) -> bool {
    let name = name.strip_prefix("user_").unwrap_or(name);
    let parts = name
        .strip_prefix("app-")
        .and_then(|rest| rest.split_once('_'));
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    parts.is_some_and(|(number, port)| is_number(number) && is_number(port))
}

/// Each section comes once, and is one that is meant to be there.
#[track_caller]
pub(super) fn assert_sections(cfg: &str) {
    let mut seen = std::collections::BTreeSet::new();
    for line in cfg.lines() {
        let words = words(line).unwrap_or_else(|| panic!("a quote is open in {line:?}"));
        let Some(first) = words.first() else { continue };
        assert!(!first.starts_with(['.', '\u{1}']), "{line:?}");
        if !SECTIONS.contains(&first.as_str()) {
            continue;
        }
        let title = words.join(" ");
        assert!(seen.insert(title.clone()), "{title} comes twice");
        let is_known = match &words[..] {
            [kind, name] if ["userlist", "frontend", "backend"].contains(&kind.as_str()) => {
                // The last is a host's own, with --group-https-by-vhost.
                is_of_app(name) || is_of_frame(&title) || !name.contains(['"', '$', ' '])
            }
            _ => is_of_frame(&title),
        };
        assert!(is_known, "{title}");
    }
}

/// What may stand in rules and sections of apps: a word, `…` for the end of any word, `_` for any one
/// word, `*` for any number of them, of values that are lists.
const RULES: &[&str] = &[
    "acl host_… hdr(host) -i _",
    "acl auth_… http_auth(user_app-…",
    "acl path_app-… path_beg *",
    "acl app_… hdr(x-marathon-app-id) -i _",
    "use_backend app-… if host_…",
    "use_backend app-… if host_… path_app-…",
    "use_backend app-… if app_…",
    "use_backend app-… if { ssl_fc_sni _ }",
    "use_backend app-… if { ssl_fc_sni _ } path_app-…",
    "use_backend app-…",
    "use_backend _ if { req_ssl_sni -i _ }",
    "use_backend %[req.hdr(host),lower,regsub(:.*$,,),map(…",
    "use_backend %[req.hdr(x-marathon-app-id),lower,map(…",
    "use_backend %[ssl_fc_sni,lower,map(…",
    "http-request auth realm _ if host_… !auth_…",
    "http-request auth realm _ if host_… path_app-… !auth_…",
    "http-request auth realm _ if { ssl_fc_sni _ } !auth_…",
    "http-request auth realm _ if { ssl_fc_sni _ } path_app-… !auth_…",
    "redirect scheme https code 301 if !{ ssl_fc } host_…",
    "redirect scheme https code 301 if !{ ssl_fc } host_… path_app-…",
    "tcp-request inspect-delay 5s",
    "tcp-request content accept if { req_ssl_hello_type 1 }",
    "user _ password _",
    "bind _ *",
    "mode http",
    "mode tcp",
    "balance *",
    "http-response add-header Strict-Transport-Security max-age=15768000",
    "option forwardfor",
    "http-request set-header X-Forwarded-Port %[dst_port]",
    "http-request add-header X-Forwarded-Proto https if { ssl_fc }",
    "http-request set-header Host _",
    "http-request replace-path _ /\\1",
    "acl hdr_location res.hdr(Location) -m found",
    "http-response replace-header Location _ _ if hdr_location",
    "acl is_root path -i /",
    "acl is_domain hdr(host) -i _",
    "redirect code 301 location _ if is_domain is_root",
    "acl network_allowed src _",
    "http-request allow if network_allowed",
    "http-request deny",
    "tcp-request content accept if network_allowed",
    "tcp-request content reject",
    "cookie mesosphere_server_id insert indirect nocache",
    "option httpchk GET /health",
    "timeout check 1s",
    "server loopback-for-tls _ send-proxy-v2",
    "server _ _ id *",
];

fn fits(words: &[String], rule: &str) -> bool {
    let mut rest = words;
    for place in rule.split(' ') {
        if place == "*" {
            return true;
        }
        let Some((word, more)) = rest.split_first() else {
            return false;
        };
        let is_right = match place.strip_suffix('…') {
            Some(begin) => word.starts_with(begin),
            None => place == "_" || place == word,
        };
        if !is_right {
            return false;
        }
        rest = more;
    }
    rest.is_empty()
}

/// Every line in a section of apps, or in one that they share, is a rule of the set, and no value in
/// it is more than its place is for.
#[track_caller]
pub(super) fn assert_rules(cfg: &str) {
    assert_sections(cfg);
    let mut section = String::new();
    for line in cfg.lines() {
        let words = words(line).unwrap();
        let Some(first) = words.first() else { continue };
        if SECTIONS.contains(&first.as_str()) {
            section = words.join(" ");
            continue;
        }
        if [
            "global",
            "defaults",
            "listen stats",
            "backend haproxy_marathon_bridge",
        ]
        .contains(&section.as_str())
        {
            continue;
        }
        let rule = RULES.iter().find(|rule| fits(&words, rule));
        let rule = rule.unwrap_or_else(|| panic!("no rule is {line:?} in {section}"));
        let is_own = |word: &String| rule.split(' ').any(|place| place == word);
        for word in words.iter().filter(|word| !is_own(word)) {
            assert!(!word.contains(['\u{1}', '\u{2}']), "{line:?}");
            assert!(
                !["{", "}", "or", "||", "if", "unless"].contains(&word.as_str())
                    || *rule == "acl host_… hdr(host) -i _",
                "{line:?}"
            );
            let is_format = word.contains("%[") && !word.starts_with("%[");
            assert!(!is_format, "{line:?}");
        }
        match &words[..] {
            // The first is one address with one port, and none follows.
            [keyword, place, options @ ..] if keyword == "bind" => {
                assert!(!place.contains([',', '/']), "{line:?}");
                let is_address =
                    |option: &String| option.starts_with("*:") || option.contains(".0.0.1:");
                assert!(!options.iter().any(is_address), "{line:?}");
            }
            [_, _, keyword, values @ ..] if keyword == "path_beg" => {
                let paths = values.strip_prefix(&["-i".to_owned()]).unwrap_or(values);
                assert!(paths.iter().all(|path| path.starts_with('/')), "{line:?}");
            }
            _ => (),
        }
        if let Some(option) = words.iter().skip(1).find(|word| word.starts_with('-')) {
            assert!(
                ["-i", "-m"].contains(&option.as_str()) || first == "bind",
                "{line:?}"
            );
        }
    }
}

#[test]
fn lines_are_read_as_haproxy_reads_them() {
    for (line, want) in [
        (
            "  a b\\ c 'd \"e'\"f\" # g",
            Some(vec!["a", "b c", "d \"ef", "\u{2}"]),
        ),
        (
            "\\x6cisten \"$X\" '$X' $X",
            Some(vec!["listen", "\u{1}X", "$X", "$X"]),
        ),
        ("a \"b", None),
        ("a '\\' b", Some(vec!["a", "\\", "b"])),
        ("a \"\\\"\" b#", Some(vec!["a", "\"", "b", "\u{2}"])),
    ] {
        let got = words(line);
        assert_eq!(
            got,
            want.map(|words| words.iter().map(ToString::to_string).collect()),
            "{line}"
        );
    }
}
