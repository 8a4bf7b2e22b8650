//! Whether the words of an app's owner stay where they belong: a value within its rule, a text within
//! its section.
//!
//! HAProxy accepts much that leaves its place: a host `a } or { always_true` takes the requests of
//! all others, and a text that ends a section adds to the next one. So what was written is read again,
//! word by word as HAProxy reads it.

use super::format::{Value, Values};
use crate::haproxy::{Line, opens_section};
use crate::proxy::marathon_lb::Service;

/// Stands for a value, in place of which no owner can write it.
const MARK: &str = "\u{1}";

/// What texts call the values that an owner wrote, and the label of each.
const VALUES: [(&str, &str); 20] = [
    ("hostname", "VHOST"),
    ("host", "VHOST"),
    ("path", "PATH"),
    ("realm", "AUTH"),
    ("user", "AUTH"),
    ("passwd", "AUTH"),
    ("mode", "MODE"),
    ("balance", "BALANCE"),
    ("bindAddr", "BIND_ADDR"),
    ("bindOptions", "BIND_OPTIONS"),
    ("sslCert", "SSL_CERT"),
    ("sslCertOptions", "SSL_CERT"),
    ("proxypath", "HTTP_BACKEND_PROXYPASS_PATH"),
    ("rootpath", "HTTP_BACKEND_REVPROXY_PATH"),
    ("redirpath", "HTTP_BACKEND_REDIR"),
    ("network_allowed", "BACKEND_NETWORK_ALLOWED_ACL"),
    ("healthCheckPath", ""),
    // A deployment group becomes the id of its app, and with that the name of sections and rules.
    ("backend", ""),
    ("appId", ""),
    ("cleanedUpHostname", ""),
];

/// Directives without a condition: a word more in them is one of their own, and HAProxy judges it.
const UNCONDITIONAL: [&str; 10] = [
    "acl",
    "balance",
    "bind",
    "cookie",
    "default-server",
    "mode",
    "option",
    "server",
    "timeout",
    "user",
];

/// Values of a service that could leave their place, under the names that texts have for them.
/// Nearly always there is none, and nothing has to be read again.
pub(super) fn loose(service: &Service) -> Vec<&'static str> {
    let options = &service.options;
    let auth = options.auth.as_ref();
    let check = service.check.as_ref();
    let text = |name: &str| match name {
        "hostname" => options.vhost.as_deref(),
        "path" => options.path.as_deref(),
        "realm" => auth.map(|auth| &*auth.realm),
        "user" => auth.map(|auth| &*auth.user),
        "passwd" => auth.map(|auth| &*auth.password),
        "mode" => Some(&*service.mode),
        "balance" => options.balance.as_deref(),
        "bindAddr" => options.bind_addr.as_deref(),
        "bindOptions" => options.bind_options.as_deref(),
        "sslCert" | "sslCertOptions" => options.ssl_cert.as_deref(),
        "proxypath" => options.proxypass_path.as_deref(),
        "rootpath" => options.revproxy_path.as_deref(),
        "redirpath" => options.redir.as_deref(),
        "backend" => Some(&*service.name),
        "appId" => Some(service.owner.app.as_str()),
        "cleanedUpHostname" => Some(&*service.acl),
        "healthCheckPath" => check.and_then(|check| check.health_check.path.as_deref()),
        _ => None,
    };
    let is_loose = |name: &str| {
        let mut networks = options.networks_allowed.iter();
        text(name).is_some_and(could_leave)
            || (name == "network_allowed" && networks.any(|network| could_leave(network)))
    };
    let names = VALUES.iter().map(|(name, _)| *name);
    names.filter(|name| is_loose(name)).collect()
}

/// The label in which the value of this name is written; none where it is none.
pub(super) fn label_of(name: &str) -> Option<&'static str> {
    let mut known = VALUES.iter();
    let (_, label) = known.find(|(known, _)| *known == name)?;
    Some(*label).filter(|label| !label.is_empty())
}

/// A value of these characters is one word, and no word of HAProxy's conditions.
fn could_leave(text: &str) -> bool {
    is_of_conditions(text)
        || text
            .bytes()
            .any(|byte| byte.is_ascii_whitespace() || br#""'\#{}|"#.contains(&byte))
}

fn is_of_conditions(word: &str) -> bool {
    matches!(word, "{" | "}" | "!{" | "or" | "||" | "if" | "unless")
}

/// Values of which one is replaced by what cannot leave any place.
pub(super) struct Neutral<'v, V> {
    pub(super) values: &'v V,
    pub(super) name: &'v str,
}

impl<V: Values> Values for Neutral<'_, V> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        match self.values.get(name) {
            Some(Value::Text(text)) if name == self.name => {
                // Options that are appended bring their blank along.
                let is_appended = text.starts_with(' ') && name != "hostname";
                Some(Value::Text(if is_appended { " \u{1}" } else { MARK }))
            }
            value => value,
        }
    }
}

/// Whether a value of a text leaves its place: `neutral` is the same text without it.
pub(super) fn leaves(written: &str, neutral: &str) -> bool {
    let mut written = written.lines();
    let mut neutral = neutral.lines();
    loop {
        match (written.next(), neutral.next()) {
            (None, None) => return false,
            (Some(written), Some(neutral)) if written == neutral => (),
            (Some(written), Some(neutral)) => {
                if line_leaves(&Line::of(written).words, &Line::of(neutral).words) {
                    return true;
                }
            }
            _ => return true,
        }
    }
}

fn line_leaves(written: &[String], neutral: &[String]) -> bool {
    let is_marked = |word: &String| word.contains(MARK);
    let (Some(first), Some(last)) = (
        neutral.iter().position(is_marked),
        neutral.iter().rposition(is_marked),
    ) else {
        // It is in a comment.
        return written != neutral;
    };
    let (before, after) = (&neutral[..first], &neutral[last + 1..]);
    let Some(rest) = written.len().checked_sub(before.len() + after.len()) else {
        return true;
    };
    if !written.starts_with(before) || !written.ends_with(after) {
        return true;
    }
    let own = &written[first..first + rest];
    let place = &neutral[first..=last];
    let fits = if own.len() == place.len() {
        own.iter()
            .zip(place)
            .all(|(word, place)| has_ends(word, word, place))
    } else {
        let ends = own.first().zip(own.last());
        place.len() == 1 && ends.is_none_or(|(start, end)| has_ends(start, end, &place[0]))
    };
    let has_condition = !UNCONDITIONAL.contains(&written[0].as_str());
    let is_inside = is_inside_braces(before);
    let ends_place = |word: &&String| match word.as_str() {
        "}" => true,
        word => !is_inside && is_of_conditions(word),
    };
    let own_words = own.iter().filter(|word| !place.contains(word));
    !fits || (has_condition && own_words.into_iter().any(|word| ends_place(&word)))
}

/// Where all words up to the next `}` are values of one condition.
fn is_inside_braces(before: &[String]) -> bool {
    let mut braces = before.iter().rev();
    let last = braces.find(|word| matches!(word.as_str(), "{" | "!{" | "}"));
    last.is_some_and(|word| word != "}")
}

/// Whether these words begin and end as the place of a value does.
fn has_ends(start: &str, end: &str, place: &str) -> bool {
    match (place.find(MARK), place.rfind(MARK)) {
        (Some(from), Some(to)) => {
            start.starts_with(&place[..from]) && end.ends_with(&place[to + MARK.len()..])
        }
        _ => start == place && end == place,
    }
}

/// A section that a text may fill, and has to open.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) keyword: &'a str,
    pub(super) name: &'a str,
}

/// The first line of a text that stands outside of its own section, or opens what it may not.
pub(super) fn stray<'t>(text: &'t str, own: Option<Own<'_>>) -> Option<&'t str> {
    let mut is_within = own.is_none();
    for written in text.lines() {
        let line = Line::of(written);
        let Some(word) = line.words.first() else {
            continue;
        };
        let opens_own =
            !is_within && own.is_some_and(|own| line.words[..] == [own.keyword, own.name]);
        if opens_own {
            is_within = true;
            continue;
        }
        let is_hidden = line.asks_environment == Some(0);
        if !is_within || is_hidden || word.starts_with('.') || opens_section(word) {
            return Some(written);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Option<Own<'_>> = Some(Own {
        keyword: "backend",
        name: "a_1",
    });

    #[test]
    fn a_text_fills_its_own_section_and_no_other() {
        for (text, found) in [
            ("", None),
            ("\n# note\nbackend a_1\n  mode http\n", None),
            ("\nbackend \"a_1\" # note\n", None),
            ("backend a_1\nbackend a_1\n", Some("backend a_1")),
            ("backend b_1\n", Some("backend b_1")),
            ("backend a_1 from d\n", Some("backend a_1 from d")),
            ("frontend a_1\n", Some("frontend a_1")),
            ("  server x 10.0.0.1:1\n", Some("  server x 10.0.0.1:1")),
            ("backend a_1\n  'li'sten x\n", Some("  'li'sten x")),
            ("backend a_1\n  \\x6cisten x\n", Some("  \\x6cisten x")),
            ("backend a_1\n  \"$X\" x\n", Some("  \"$X\" x")),
            ("backend a_1\n.if 0\n", Some(".if 0")),
            ("backend a_1\n  acl listen path /\n  # global\n", None),
        ] {
            assert_eq!(stray(text, OWN), found, "{text}");
        }
        assert_eq!(stray("  use_backend a_1\n", None), None);
        assert_eq!(stray("backend a_1\n", None), Some("backend a_1"));
    }

    #[test]
    fn a_value_stays_within_its_rule() {
        let rules = [
            "  use_backend b if { ssl_fc_sni \u{1} }\n",
            "  acl path_b path_beg \u{1}\n",
            "  http-request auth realm \"\u{1}\" if host_h !auth_h\n",
            "  bind \u{1}:10000 ssl\n",
            "  redirect code 301 location \u{1} if is_root\n",
            "  acl host_h hdr(host) -i \u{1}\n  use_backend b if host_h\n",
        ];
        let stays = |rule: usize, value: &str| {
            let written = rules[rule].replace(MARK, value);
            !leaves(&written, rules[rule])
        };
        for (rule, value, want) in [
            (0, "a.test", true),
            (0, "a.test b.test", true),
            (0, "or", true),
            (0, "", true),
            (0, "a } or { always_true", false),
            (0, "a }", false),
            (0, "a\\ }", true),
            (0, "\"}\"", false),
            (0, "a \"", false),
            (0, "a #", false),
            (1, "/a", true),
            (1, "-i /a /b", true),
            (1, "/a if { x }", true),
            (1, "/a#b", true),
            (1, "-f /etc/passwd", true),
            (2, "My Realm", true),
            (2, "x\" if TRUE #", false),
            (2, "x\" if \"y", false),
            (2, "x\\", false),
            (2, "{ or }", true),
            (3, "127.0.0.1", true),
            (3, "127.0.0.1:80,*", true),
            (3, "*:80 interface eth0 #", false),
            (4, "/x", true),
            (4, "/x if TRUE #", false),
            (4, "/x code 302", true),
            (4, "/x unless FALSE or", false),
            (5, "a || b", true),
        ] {
            assert_eq!(stays(rule, value), want, "{} {value}", rules[rule]);
        }
    }
}
