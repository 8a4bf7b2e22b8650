//! What a text of an owner reaches for beyond its own service.
//!
//! `haproxy.cfg` has no fences: a line of a backend can show a file of the host, write a map that all
//! frontends read, open a socket of the host or run a program. Whoever writes such a line owns HAProxy.
//! So those few ways are refused in the native commands where an owner's text has them. What remains is
//! HTTP and TCP.

use crate::haproxy::Line;

/// What is reached for, by beginnings of words.
const BEGINNINGS: [(&str, &str); 9] = [
    ("unix@", SOCKET),
    ("uxst@", SOCKET),
    ("uxdg@", SOCKET),
    ("abns@", SOCKET),
    ("abnsz@", SOCKET),
    ("fd@", SOCKET),
    ("sockpair@", SOCKET),
    ("ring@", SOCKET),
    ("rhttp@", SOCKET),
];

/// The same by what stands within words.
const PARTS: [(&str, &str); 10] = [
    ("lua.", "a program of HAProxy (`lua`)"),
    ("env(", ENVIRONMENT),
    ("set-map(", "a map of all services"),
    ("del-map(", "a map of all services"),
    ("add-acl(", "a list of all services"),
    ("del-acl(", "a list of all services"),
    ("set-var(proc.", "a variable of all services"),
    ("set-var-fmt(proc.", "a variable of all services"),
    ("unset-var(proc.", "a variable of all services"),
    ("var(proc.", "a variable of all services"),
];

/// The same by whole words.
const WORDS: [(&str, &str); 9] = [
    ("-f", FILE),
    ("-M", FILE),
    ("errorfile", FILE),
    ("load-server-state-from-file", FILE),
    ("server-state-file-name", FILE),
    ("external-check", "a program of this host"),
    ("use-service", "a service of HAProxy's own"),
    ("namespace", "another network of this host"),
    ("spoe", "a program beside HAProxy"),
];

const SOCKET: &str = "a socket of this host";
const FILE: &str = "a file of this host";
const ENVIRONMENT: &str = "the environment of HAProxy";

/// What a line reaches for, where it leaves its service; `None` where it does not.
pub(super) fn beyond(line: &str) -> Option<&'static str> {
    let Line {
        words,
        asks_environment,
        ..
    } = Line::of(line);
    if asks_environment.is_some() {
        return Some(ENVIRONMENT);
    }
    let by_word = words.iter().find_map(|word| of_word(word));
    by_word.or_else(|| of_line(&words))
}

fn of_word(word: &str) -> Option<&'static str> {
    // Arguments of samples may have blanks around them.
    let word: String = word.chars().filter(|c| !c.is_whitespace()).collect();
    let begins = |(begin, what): &(&str, &'static str)| {
        let mut places = word.split(',');
        places
            .any(|place| place.starts_with(begin))
            .then_some(*what)
    };
    let holds = |(part, what): &(&str, &'static str)| word.contains(part).then_some(*what);
    let is = |(own, what): &(&str, &'static str)| (word == *own).then_some(*what);
    BEGINNINGS
        .iter()
        .find_map(begins)
        .or_else(|| PARTS.iter().find_map(holds))
        .or_else(|| WORDS.iter().find_map(is))
        .or_else(|| looks_up(&word).then_some(FILE))
}

/// `map(`, `map_beg_int(`: they read a file.
fn looks_up(word: &str) -> bool {
    word.split("map").skip(1).any(|rest| {
        let kind = rest.split('(').next().unwrap_or_default();
        kind.len() < rest.len() && kind.bytes().all(|c| c == b'_' || c.is_ascii_lowercase())
    })
}

/// What follows from the first word, or from words before the condition.
fn of_line(words: &[String]) -> Option<&'static str> {
    let is_condition = |word: &&String| matches!(word.as_str(), "if" | "unless");
    let words: Vec<&str> = words
        .iter()
        .take_while(|word| !is_condition(word))
        .map(String::as_str)
        .collect();
    let (first, rest) = words.split_first()?;
    // Addresses may be paths of sockets, also behind a comma.
    let is_path = |text: &str| text.split(',').any(|place| place.starts_with('/'));
    let is_at = |place: usize| rest.get(place).is_some_and(|text| is_path(text));
    let is_behind = |keyword: &str| {
        let mut pairs = rest.windows(2);
        pairs.any(|pair| pair[0] == keyword && is_path(pair[1]))
    };
    match *first {
        "stats" => Some("the statistics of all services"),
        "filter" if rest.first() == Some(&"trace") => Some("the output of HAProxy"),
        "log" if matches!(rest.first(), Some(&"stdout" | &"stderr")) => {
            Some("the output of HAProxy")
        }
        "bind" | "log" | "dispatch" if is_at(0) => Some(SOCKET),
        "server" if is_at(1) || is_behind("addr") => Some(SOCKET),
        "server-template" if is_at(2) || is_behind("addr") => Some(SOCKET),
        "default-server" | "tcp-check" | "http-check" if is_behind("addr") => Some(SOCKET),
        _ if first.starts_with("http-")
            && rest.iter().any(|w| matches!(*w, "file" | "lf-file")) =>
        {
            Some(FILE)
        }
        _ => None,
    }
}

/// The first line of a text that reaches for more, and for what; lines of `plain` are not the owner's.
pub(super) fn first_beyond<'t>(text: &'t str, plain: &str) -> Option<(&'t str, &'static str)> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        let what = beyond(line)?;
        let is_own = !plain.lines().any(|known| known == line);
        is_own.then_some((line, what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_within_its_service_or_is_told_what_it_reaches_for() {
        for line in [
            "  http-request set-header X-A %[src] if { path_beg /file }",
            "  acl x path_end file map stats lua",
            "  option httpchk GET /stats",
            "  bind *:10000 ssl crt /etc/ssl/a.pem ca-file /etc/ssl/ca.pem",
            "  server a 10.0.0.1:80 check inter 1s",
            "  log global",
            "  log 10.0.0.1:514 local0",
            "  http-request set-var(txn.a) path,lower",
            "  http-request return status 200 content-type text/plain string \"x\" if { path /file }",
            "  filter compression",
            "  # errorfile 503 /etc/passwd",
            "",
        ] {
            assert_eq!(beyond(line), None, "{line}");
        }
        for (line, what) in [
            ("  http-request return status 200 file /etc/passwd", FILE),
            ("  http-error status 503 lf-file /etc/passwd", FILE),
            ("  errorfile 503 '/etc/passwd'", FILE),
            ("  \x65rrorfile 503 /etc/passwd", FILE),
            ("  acl x src -f /etc/passwd", FILE),
            (
                "  use_backend b if { path,map_beg(/etc/passwd) -m found }",
                FILE,
            ),
            (
                "  http-request set-header A %[src,map_ip_int(/etc/passwd,1)]",
                FILE,
            ),
            ("  http-request set-header A \"$HOME\"", ENVIRONMENT),
            ("  http-request set-header A %[env(HOME)]", ENVIRONMENT),
            (
                "  http-request set-map(/a) %[src] b",
                "a map of all services",
            ),
            ("  http-request del-map(/a) %[src]", "a map of all services"),
            (
                "  http-request add-acl(/a) %[src]",
                "a list of all services",
            ),
            (
                "  http-request 'set-var( proc.a)' int(1)",
                "a variable of all services",
            ),
            ("  http-request lua.x", "a program of HAProxy (`lua`)"),
            (
                "  http-request use-service prometheus-exporter",
                "a service of HAProxy's own",
            ),
            (
                "  filter spoe engine e config /etc/e",
                "a program beside HAProxy",
            ),
            ("  filter trace", "the output of HAProxy"),
            ("  log stdout format raw daemon", "the output of HAProxy"),
            ("  log /dev/log local0", SOCKET),
            ("  bind /run/haproxy/admin.sock", SOCKET),
            ("  bind *:10000,unix@/run/x", SOCKET),
            ("  bind *:10000,/run/x", SOCKET),
            ("  bind abns@marathon_https", SOCKET),
            ("  bind fd@3", SOCKET),
            ("  server a /run/haproxy/admin.sock", SOCKET),
            ("  server a unix@/run/docker.sock check", SOCKET),
            ("  server a 10.0.0.1:1 check addr /run/x", SOCKET),
            ("  stats admin if TRUE", "the statistics of all services"),
            ("  stats uri /", "the statistics of all services"),
            ("  option external-check", "a program of this host"),
            ("  external-check command /bin/sh", "a program of this host"),
            (
                "  server a 10.0.0.1:1 namespace x",
                "another network of this host",
            ),
        ] {
            assert_eq!(beyond(line), Some(what), "{line}");
        }
    }

    #[test]
    fn lines_that_stand_there_anyway_are_nobodys() {
        let text = "  log /dev/log local0\n  errorfile 503 /a\n";
        assert_eq!(
            first_beyond(text, "  log /dev/log local0\n"),
            Some(("  errorfile 503 /a", FILE))
        );
        assert_eq!(first_beyond(text, text), None);
    }
}
