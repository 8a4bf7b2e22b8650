//! A small reader of `haproxy.cfg`, by the rules of HAProxy's manual ("Quoting and escaping"), and what
//! may stand in the sections of a set.

use super::rules::Rules;

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
const FRAME: [&str; 9] = [
    "global",
    "defaults",
    "listen stats",
    "backend haproxy_marathon_bridge",
    "backend marathon_https",
    "frontend marathon_http_in",
    "frontend marathon_http_appid_in",
    "frontend marathon_https_in",
    "frontend marathon_tls_in",
];

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
                is_of_app(name) || FRAME.contains(&&*title) || !name.contains(['"', '$', ' '])
            }
            _ => FRAME.contains(&&*title),
        };
        assert!(is_known, "{title}");
    }
}

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
pub(super) fn assert_rules(cfg: &str, rules: &Rules) {
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
            "backend marathon_https",
        ]
        .contains(&section.as_str())
        {
            continue;
        }
        let rule = rules.0.iter().find(|rule| fits(&words, rule));
        let rule = rule.unwrap_or_else(|| panic!("no rule is {line:?} in {section}"));
        let is_own = |word: &String| rule.split(' ').any(|place| place == word);
        for word in words.iter().filter(|word| !is_own(word)) {
            assert!(!word.contains(['\u{1}', '\u{2}']), "{line:?}");
            assert!(
                !["{", "}", "or", "||", "if", "unless"].contains(&word.as_str())
                    || rule == "acl host_… hdr(host) -i _"
                    // Behind these HAProxy looks for nothing but the brace.
                    || (word != "}" && rule.contains("-m str -- _ }")),
                "{line:?}"
            );
            let is_format = word.contains("%[") && !word.starts_with("%[");
            // What is compared with a header is no format.
            assert!(!is_format || rule.contains("-m str -- _ }"), "{line:?}");
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

/// The same where values stand as they were written: a value may be several words or none, but takes no
/// word of its rule away, and adds nothing to its conditions.
#[track_caller]
pub(super) fn assert_loose_rules(cfg: &str, rules: &Rules) {
    assert_sections(cfg);
    let mut section = String::new();
    for line in cfg.lines() {
        let mut words = words(line).unwrap();
        // A comment hides no word of the rule, or it would not fit.
        words.retain(|word| word != "\u{2}");
        let Some(first) = words.first() else { continue };
        if SECTIONS.contains(&first.as_str()) {
            section = words.join(" ");
            continue;
        }
        if ["global", "defaults", "listen stats"].contains(&section.as_str())
            || section.starts_with("backend haproxy_marathon_bridge")
        {
            continue;
        }
        let mut rules = rules.0.iter();
        let rule = rules.find(|rule| {
            let places: Vec<&str> = rule.split(' ').collect();
            fits_loosely(&words, &places, false, !UNCONDITIONAL.contains(&places[0]))
        });
        assert!(rule.is_some(), "no rule is {line:?} in {section}");
    }
}

/// Directives whose words are all their own, up to the end of the line.
const UNCONDITIONAL: [&str; 7] = ["acl", "balance", "bind", "mode", "option", "server", "user"];

fn fits_loosely(words: &[String], places: &[&str], is_inside: bool, has_condition: bool) -> bool {
    let Some((place, more)) = places.split_first() else {
        return words.is_empty();
    };
    if let "_" | "*" = *place {
        let is_value = |word: &String| match word.as_str() {
            "}" => !has_condition,
            "{" | "!{" | "or" | "||" | "if" | "unless" => is_inside || !has_condition,
            _ => true,
        };
        let most = words.iter().take_while(|word| is_value(word)).count();
        return (0..=most).any(|n| fits_loosely(&words[n..], more, is_inside, has_condition));
    }
    let Some((word, rest)) = words.split_first() else {
        return false;
    };
    let is_right = match place.strip_suffix('…') {
        Some(begin) => word.starts_with(begin),
        None => place == word,
    };
    let is_inside = match *place {
        "{" | "!{" => true,
        "}" => false,
        _ => is_inside,
    };
    is_right && fits_loosely(rest, more, is_inside, has_condition)
}

#[test]
fn a_value_may_be_several_words_and_takes_none() {
    let rules = super::rules::marathon_lb();
    for (line, want) in [
        ("  acl host_a hdr(host) -i -m reg .* # x", true),
        ("  use_backend app-0_1 if { ssl_fc_sni a b }", true),
        (
            "  use_backend app-0_1 if { ssl_fc_sni a } or { always_true }",
            false,
        ),
        (
            "  redirect code 301 location /x code 302 if is_domain is_root",
            true,
        ),
        ("  redirect code 301 location /x if is_domain is_root", true),
        (
            "  redirect code 301 location /x if TRUE # if is_domain is_root",
            false,
        ),
    ] {
        let cfg = format!("frontend marathon_http_in\n{line}\n");
        let judged = std::panic::catch_unwind(|| assert_loose_rules(&cfg, &rules));
        assert_eq!(judged.is_ok(), want, "{line}");
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
