//! What a text of an owner reaches for beyond its own service.
//!
//! `haproxy.cfg` has no fences: a line of a backend can show a file of the host, write a map that all
//! frontends read, open a socket of the host or run a program. Whoever writes such a line owns HAProxy.
//! So those few ways are refused in the native commands where an owner's text has them. What remains is
//! HTTP and TCP.

use crate::haproxy::Line;
use crate::haproxy::listen::OF_HOST;

/// What is reached for, by what stands within words.
const PARTS: [(&str, &str); 9] = [
    ("debug(", OUTPUT),
    ("lua.", "a program of HAProxy (`lua`)"),
    ("env(", ENVIRONMENT),
    ("set-map(", "a map of all services"),
    ("del-map(", "a map of all services"),
    ("add-acl(", "a list of all services"),
    ("del-acl(", "a list of all services"),
    // Whatever takes a value takes a variable in its place: `concat(,proc.a)`, `add(proc.a)`.
    ("(proc.", "a variable of all services"),
    (",proc.", "a variable of all services"),
];

/// The same by whole words.
const WORDS: [(&str, &str); 8] = [
    ("-f", FILE),
    ("-M", FILE),
    ("errorfile", FILE),
    ("load-server-state-from-file", FILE),
    ("server-state-file-name", FILE),
    ("external-check", "a program of this host"),
    ("use-service", "a service of HAProxy's own"),
    ("namespace", "another network of this host"),
];

/// Say what follows them in a line that it is the address of a peer, as HAProxy reads addresses.
const BEFORE_ADDRESSES: [&str; 5] = ["addr", "agent-addr", "socks4", "source", "usesrc"];

/// Filters that stay within HAProxy: of the others some read a file that is named, and say what is in it.
const FILTERS: [&str; 7] = [
    "bwlim-in",
    "bwlim-out",
    "cache",
    "comp-req",
    "comp-res",
    "compression",
    "fcgi-app",
];

const SOCKET: &str = "a socket of this host";
const FILE: &str = "a file of this host";
const ENVIRONMENT: &str = "the environment of HAProxy";
const OUTPUT: &str = "the output of HAProxy";
const PROGRAM: &str = "a program beside HAProxy";

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
    // Arguments of samples may have blanks around them, and quotes and escapes of their own.
    let is_own = |c: &char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\');
    let word: String = word.chars().filter(is_own).collect();
    let mut places = word.split(',').map(without_type);
    if places.any(is_socket) {
        return Some(SOCKET);
    }
    let holds = |(part, what): &(&str, &'static str)| word.contains(part).then_some(*what);
    let is = |(own, what): &(&str, &'static str)| (word == *own).then_some(*what);
    PARTS
        .iter()
        .find_map(holds)
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

/// An address without the type of its socket: `stream+unix@/a`, `dgram+/a`.
fn without_type(address: &str) -> &str {
    let types = ["stream+", "dgram+"];
    let mut rest = address;
    while let Some(next) = types.iter().find_map(|kind| rest.strip_prefix(kind)) {
        rest = next;
    }
    rest
}

/// What an address reaches for that needs no mark: a path is that of a socket, also behind a comma, and
/// HAProxy fills in the environment here whether there are quotes or not.
fn of_address(text: &str) -> Option<&'static str> {
    if text.contains('$') {
        return Some(ENVIRONMENT);
    }
    let mut places = text.split(',').map(without_type);
    places.any(|place| place.starts_with('/')).then_some(SOCKET)
}

/// What follows from the first word. No word ends what is looked at: `if` may be a value, and behind it
/// stand words that count.
fn of_line(words: &[String]) -> Option<&'static str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = match words.split_first()? {
        (&("no" | "default"), rest) => rest,
        _ => &words[..],
    };
    let (first, rest) = words.split_first()?;
    let at = |place: usize| rest.get(place).and_then(|text| of_address(text));
    let behind = || {
        let mut pairs = rest.windows(2);
        pairs.find_map(|pair| of_address(pair[1]).filter(|_| BEFORE_ADDRESSES.contains(&pair[0])))
    };
    match *first {
        "stats" => Some("the statistics of all services"),
        "filter" => match *rest.first()? {
            "trace" => Some(OUTPUT),
            name => (!FILTERS.contains(&name)).then_some(PROGRAM),
        },
        "log" if matches!(without_type(rest.first()?), "stdout" | "stderr") => Some(OUTPUT),
        "bind" | "log" | "dispatch" => at(0),
        "source" => at(0).or_else(behind),
        "server" => at(1).or_else(behind),
        "server-template" => at(2).or_else(behind),
        "default-server" | "tcp-check" | "http-check" => behind(),
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

/// Whether an address is that of a socket of the host, or of a buffer of HAProxy's own.
fn is_socket(place: &str) -> bool {
    let mut begins = OF_HOST.iter().chain(&["ring@"]);
    begins.any(|begin| place.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAYING: &[&str] = &[
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
        "  server a 10.0.0.1:80 cookie if check addr 10.0.0.2 source 10.0.0.3",
        "  http-request set-header X-A $a if { path_end a$ }",
        "  bind tcp4@*:10000 ssl crt /etc/ssl/a.pem",
        "  log tcp4@10.0.0.1:514 local0",
        "  http-request set-header X-A spoe",
        "  http-request set-header X-A proc.a",
        "  no log",
        "  no",
        "  filter",
        "  # errorfile 503 /etc/passwd",
        "",
    ];

    const REACHING: &[(&str, &str)] = &[
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
        (
            "  http-request set-var(txn.a) src,set-var(\\\"proc.a\\\")",
            "a variable of all services",
        ),
        (
            "  http-request return status 200 lf-string \"%[str(),concat(,proc.a,)]\"",
            "a variable of all services",
        ),
        (
            "  http-request set-header A \"%[int(0),add( 'proc.a')]\"",
            "a variable of all services",
        ),
        ("  http-request lua.x", "a program of HAProxy (`lua`)"),
        (
            "  http-request use-service prometheus-exporter",
            "a service of HAProxy's own",
        ),
        ("  filter spoe engine e config /etc/e", PROGRAM),
        ("  filter opentracing config /etc/passwd", PROGRAM),
        ("  filter trace", OUTPUT),
        ("  http-request set-header A %[src,debug(a,stderr)]", OUTPUT),
        ("  log stdout format raw daemon", OUTPUT),
        ("  log stream+stderr daemon", OUTPUT),
        ("  default log stdout local0 info", OUTPUT),
        ("  default log /dev/log local0 info", SOCKET),
        ("  log /dev/log local0", SOCKET),
        ("  bind /run/haproxy/admin.sock", SOCKET),
        ("  bind *:10000,unix@/run/x", SOCKET),
        ("  bind *:10000,/run/x", SOCKET),
        ("  bind abns@marathon_https", SOCKET),
        ("  bind fd@3", SOCKET),
        ("  server a /run/haproxy/admin.sock", SOCKET),
        ("  server a unix@/run/docker.sock check", SOCKET),
        ("  server a 10.0.0.1:1 check addr /run/x", SOCKET),
        // Where `if` is a value.
        (
            "  http-request return status 200 content-type if file /etc/hostname",
            FILE,
        ),
        (
            "  http-request return status 200 hdr X if content-type a/b lf-file /a if TRUE",
            FILE,
        ),
        (
            "  http-request return status 200 hdr { } file /etc/hostname",
            FILE,
        ),
        (
            "  server a 10.0.0.1:1 cookie if check addr /run/haproxy/admin.sock",
            SOCKET,
        ),
        (
            "  server-template a 3 b:1 cookie unless check addr /run/x",
            SOCKET,
        ),
        ("  default-server cookie if addr /run/x", SOCKET),
        ("  tcp-check connect comment if addr /run/x", SOCKET),
        (
            "  http-check connect default comment addr addr /run/x",
            SOCKET,
        ),
        // With the type of the socket.
        ("  server a stream+unix@/run/x", SOCKET),
        ("  server a stream+/run/x", SOCKET),
        ("  server a stream+abns@x", SOCKET),
        ("  server a 10.0.0.1:1 check addr stream+/run/x", SOCKET),
        ("  server-template a 1 stream+/run/x", SOCKET),
        ("  bind stream+unix@/run/haproxy/admin.sock", SOCKET),
        ("  bind *:10000,stream+/run/x", SOCKET),
        ("  log dgram+unix@/dev/log local0", SOCKET),
        ("  log dgram+/dev/log local0", SOCKET),
        ("  server a 10.0.0.1:1 socks4 /run/x", SOCKET),
        ("  server a 10.0.0.1:1 source /run/x", SOCKET),
        ("  source 0.0.0.0 usesrc /run/x", SOCKET),
        ("  source /run/x", SOCKET),
        // What is not set is nothing.
        ("  server a $NONE/run/haproxy/admin.sock", ENVIRONMENT),
        ("  server a '${NONE}/run/x'", ENVIRONMENT),
        (
            "  server a 10.0.0.1:1 check addr ${NONE}/run/x",
            ENVIRONMENT,
        ),
        ("  bind *:10000,$NONE/run/x", ENVIRONMENT),
        ("  log $NONE/dev/log local0", ENVIRONMENT),
        ("  stats admin if TRUE", "the statistics of all services"),
        ("  stats uri /", "the statistics of all services"),
        ("  option external-check", "a program of this host"),
        ("  external-check command /bin/sh", "a program of this host"),
        (
            "  server a 10.0.0.1:1 namespace x",
            "another network of this host",
        ),
    ];

    #[test]
    fn a_line_stays_within_its_service_or_is_told_what_it_reaches_for() {
        for line in STAYING {
            assert_eq!(beyond(line), None, "{line}");
        }
        for (line, what) in REACHING {
            assert_eq!(beyond(line), Some(*what), "{line}");
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
