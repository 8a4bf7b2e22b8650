//! HAProxy's messages about a configuration, as typed values.
//!
//! In comes what it printed on standard error; out go severity, place and text of each message, so
//! that a fault can be led back to its owner by line or by the proxy's name. Two forms are known:
//! `[ALERT]    (1234) : config : parsing [file:12] : …` since 2.4, and
//! `[ALERT] 123/456789 (1234) : parsing [file:12] : …` before.

use std::fmt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::lists::{hide_lines, leave_out_place};
use crate::haproxy::files::Endless;
use crate::logging::shown;

/// How the message begins that tells of a check without an end.
const NO_END: &str = "`haproxy -c` did not end within ";

/// So many of the last lines are shown where none of them can be read as a message.
const LAST_LINES: usize = 3;

/// And so much of each.
const LAST_CHARS: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// HAProxy talks about itself.
    Notice,
    /// It starts all the same.
    Warning,
    /// It does not start.
    Alert,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckMessage {
    /// How bad it is.
    pub severity: Severity,
    /// The file it is about, one of those that were checked.
    pub file: Option<String>,
    /// The line in `file`, from 1.
    pub line: Option<usize>,
    /// The proxies that the message names, in its order. It may be about any of them: a frontend
    /// that all share is named before the backend that does not fit it.
    pub proxies: Vec<String>,
    /// The message without severity and pid; one that went over several lines keeps them.
    pub text: String,
}

impl fmt::Display for CheckMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl CheckMessage {
    /// HAProxy's last word, where it said none.
    pub(super) fn of_a_death(signal: Signal) -> Self {
        Self::of_nobody(format!("`haproxy -c` died of it ({signal})"))
    }

    /// The same where it did not come to an end.
    pub(in crate::apply) fn of_a_wait(limit: Duration) -> Self {
        Self::of_nobody(format!("{NO_END}{}", shown(limit)))
    }

    /// Whether this is not HAProxy's word, but ours: it did not come to an end.
    #[must_use]
    pub fn is_of_a_wait(&self) -> bool {
        self.file.is_none() && self.text.starts_with(NO_END)
    }

    /// Whether `words`, which hold some of a message, are of such a one.
    #[must_use]
    pub fn are_of_a_wait(words: &str) -> bool {
        words.contains(NO_END)
    }

    /// Whether it is about listening, which only a start tries.
    #[must_use]
    pub fn is_of_a_start(&self) -> bool {
        at_start(&self.text).is_some()
    }

    /// The same where it was not asked, since it would not come to an end. As HAProxy tells it.
    pub(super) fn of_no_end(config: &Path, endless: &Endless) -> Self {
        let Endless { line, path, found } = endless;
        let file = config.display().to_string();
        let text = format!(
            "parsing [{file}:{line}] : `{path}` is {found}, expected what has an end: `haproxy -c` \
             was not asked, since it would wait there"
        );
        Self {
            file: Some(file),
            line: Some(*line),
            ..Self::of_nobody(text)
        }
    }

    /// The same where nothing that it printed tells why it failed.
    pub(super) fn of_a_failure(status: ExitStatus, output: &str) -> Self {
        let last = last_lines(output);
        let printed = if last.is_empty() {
            "it printed nothing".to_owned()
        } else {
            format!("the last that it printed: {last}")
        };
        Self::of_nobody(format!(
            "`haproxy -c` failed ({status}) without a reason that can be read; {printed}"
        ))
    }

    fn of_nobody(text: String) -> Self {
        Self {
            severity: Severity::Alert,
            file: None,
            line: None,
            proxies: Vec::new(),
            text,
        }
    }

    /// In one line, and the same words wherever in the file the fault stands: other sections come
    /// and go.
    #[must_use]
    pub fn lasting(&self) -> String {
        // A mark below a word means nothing there.
        let lines = self.text.lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !matches!(*line, "" | "^")).collect();
        let text = lines.join(" ");
        match (&self.file, self.line) {
            (Some(file), Some(line)) => {
                let (place, file) = (format!("[{file}:{line}]"), format!("[{file}]"));
                text.replace(&place, &file)
            }
            _ => text,
        }
    }
}

/// Reads `output`; a place counts only where it lies in one of `files`, since brackets also hold
/// addresses with ports.
#[must_use]
pub fn parse(output: &str, files: &[&Path]) -> Vec<CheckMessage> {
    parse_beside(output, files, |_| false)
}

/// The same where some lines name lists of certificates that hold nothing but what we wrote: `is_ours` says of
/// which that is true.
pub(super) fn parse_beside(
    output: &str,
    files: &[&Path],
    is_ours: impl Fn(usize) -> bool,
) -> Vec<CheckMessage> {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut messages: Vec<CheckMessage> = Vec::new();
    for line in output.lines() {
        let Some((severity, text)) = headed(line) else {
            if let Some(last) = messages.last_mut()
                && !line.trim().is_empty()
            {
                last.text.push('\n');
                last.text.push_str(line);
            }
            continue;
        };
        let place = place(text, &files);
        messages.push(CheckMessage {
            severity,
            file: place.map(|(file, _)| file.to_owned()),
            line: place.map(|(_, line)| line),
            proxies: proxies(text).into_iter().map(str::to_owned).collect(),
            text: text.to_owned(),
        });
    }
    for message in &mut messages {
        if message.line.is_some_and(&is_ours) {
            leave_out_place(&mut message.text);
        } else {
            hide_lines(&mut message.text);
        }
    }
    messages
}

/// In one line, without what changes from run to run, and with nothing that a terminal or a log could
/// take for something else.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    let shown = last.iter().map(|line| {
        let text = headed(line).map_or(*line, |(_, text)| text);
        let mut text: String = text.trim().chars().take(LAST_CHARS).collect();
        hide_lines(&mut text);
        text.replace(char::is_control, " ")
    });
    shown.collect::<Vec<_>>().join(" / ")
}

/// Takes severity, date and pid off a line that begins a message.
fn headed(line: &str) -> Option<(Severity, &str)> {
    let (severity, rest) = line.strip_prefix('[')?.split_once(']')?;
    let severity = match severity {
        "ALERT" => Severity::Alert,
        "WARNING" => Severity::Warning,
        "NOTICE" => Severity::Notice,
        _ => return None,
    };
    let (_pid, text) = rest.split_once(") : ")?;
    Some((severity, text.strip_prefix("config : ").unwrap_or(text)))
}

/// The first `[file:line]` of a known file.
fn place<'a>(text: &str, files: &'a [String]) -> Option<(&'a str, usize)> {
    text.split('[').skip(1).find_map(|part| {
        let (file, line) = part.split_once(']')?.0.rsplit_once(':')?;
        let file = files.iter().find(|known| *known == file)?;
        Some((file.as_str(), line.parse().ok()?))
    })
}

/// The proxy that cannot listen when HAProxy starts: `Binding [file:12] for frontend x: …`, and
/// `Starting frontend x: …` of old versions.
fn at_start(text: &str) -> Option<&str> {
    let mut beginnings = ["Binding ", "Starting "].iter();
    let rest = beginnings.find_map(|begin| text.strip_prefix(begin))?;
    let rest = match rest.strip_prefix('[') {
        Some(place) => place.split_once("] for ")?.1,
        None => rest,
    };
    let (kind, rest) = rest.split_once(' ')?;
    let (name, _) = rest.split_once(": ")?;
    matches!(kind, "frontend" | "proxy" | "listener").then_some(name)
}

/// All proxies that are named: `backend 'x'`, `Proxy 'x'`, `server 'x/s'`, `'server x/s'`, and
/// `userlist 'user_x'`, which is that of backend `x`.
fn proxies(text: &str) -> Vec<&str> {
    let mut proxies: Vec<&str> = at_start(text).into_iter().collect();
    let mut quoted = text.split('\'');
    let mut before = quoted.next().unwrap_or_default();
    // The pieces alternate: outside, inside, outside the quotes.
    while let Some(inside) = quoted.next() {
        let word = before.trim_end().rsplit(' ').next().unwrap_or_default();
        let proxy = match word.to_ascii_lowercase().as_str() {
            "proxy" | "frontend" | "backend" | "listen" | "listener" => Some(inside),
            "userlist" => inside.strip_prefix("user_"),
            "server" => inside.split_once('/').map(|(proxy, _server)| proxy),
            _ => inside
                .strip_prefix("server ")
                .and_then(|name| name.split_once('/'))
                .map(|(proxy, _server)| proxy),
        };
        proxies.extend(proxy);
        before = quoted.next().unwrap_or_default();
    }
    proxies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_without_a_message_is_told_by_its_status_and_last_words() {
        use std::os::unix::process::ExitStatusExt as _;
        let status = ExitStatus::from_raw(127 << 8);
        let long = "x".repeat(1000);
        let output = format!(
            "first\nsecond\n\n[NOTICE]   (17) : haproxy version is 2.6\nno \u{1b}[31mlibrary\n{long}\n"
        );
        let message = CheckMessage::of_a_failure(status, &output);
        assert_eq!(message.severity, Severity::Alert);
        let shown = "x".repeat(LAST_CHARS);
        assert_eq!(
            message.text,
            format!(
                "`haproxy -c` failed (exit status: 127) without a reason that can be read; the last \
                 that it printed: haproxy version is 2.6 / no  [31mlibrary / {shown}"
            )
        );
        let message = CheckMessage::of_a_failure(status, "'bind' : 'crt-list' : root:secret");
        assert!(!message.text.contains("secret"), "{}", message.text);
        let message = CheckMessage::of_a_failure(status, " \n");
        assert!(
            message.text.ends_with("it printed nothing"),
            "{}",
            message.text
        );
    }

    type Row<'a> = (&'a str, Severity, Option<usize>, &'a [&'a str]);

    #[test]
    fn messages_of_old_and_new_versions_are_led_to_line_and_proxy() {
        let rows: &[Row<'_>] = &[
            (
                "[ALERT]    (1234) : config : parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword 'foo' in 'frontend' section",
                Severity::Alert,
                Some(12),
                &[],
            ),
            (
                "[ALERT] 123/456789 (789) : parsing [/etc/haproxy/haproxy.cfg:7] : unknown keyword 'foo' in 'listen' section",
                Severity::Alert,
                Some(7),
                &[],
            ),
            (
                "[ALERT]    (1) : config : Parsing [/etc/haproxy/haproxy.cfg:20]: backend 'app_10001' has the same name as backend 'app_10002' declared at x:13.",
                Severity::Alert,
                Some(20),
                &["app_10001", "app_10002"],
            ),
            (
                "[ALERT]    (1) : config : [/etc/haproxy/haproxy.cfg:26] : 'server app_10002/b' : 'id' : custom id 1 already used at x:25 ('server a').",
                Severity::Alert,
                Some(26),
                &["app_10002"],
            ),
            (
                "[ALERT]    (1) : config : Proxy 'f': unable to find required default_backend: 'zz'.",
                Severity::Alert,
                None,
                &["f"],
            ),
            (
                "[ALERT]    (1) : config : backend 'b' : unable to find server 'y' referenced in a 'use-server' rule.",
                Severity::Alert,
                None,
                &["b"],
            ),
            (
                "[WARNING]  (1) : config : cookie will be ignored for backend 'tt' (needs 'mode http').",
                Severity::Warning,
                None,
                &["tt"],
            ),
            (
                "[WARNING] 001/000000 (1) : parsing [/etc/haproxy/haproxy.cfg:3] : 'option httplog' overrides previous 'option tcplog' in 'defaults' section.",
                Severity::Warning,
                Some(3),
                &[],
            ),
            (
                "[ALERT] 001/000000 (1) : Starting frontend x: cannot bind socket [127.0.0.1:80]",
                Severity::Alert,
                None,
                &["x"],
            ),
            (
                "[NOTICE]   (1) : haproxy version is 2.6.12-1+deb12u4",
                Severity::Notice,
                None,
                &[],
            ),
        ];
        are_led(rows);
    }

    /// The name of a list of users begins with that of its service's section.
    #[test]
    fn messages_about_several_or_about_lists_of_users_are_led_to_proxies() {
        let rows: &[Row<'_>] = &[
            (
                "[ALERT]    (1) : config : http frontend 'all' (/etc/haproxy/haproxy.cfg:9) tries to use incompatible tcp backend 'one_10001' (/etc/haproxy/haproxy.cfg:59) in a 'use_backend' rule (see 'mode').",
                Severity::Alert,
                None,
                &["all", "one_10001"],
            ),
            (
                "[ALERT]    (1) : config : userlist 'user_app_10001': no such group 'x' specified in user 'c'",
                Severity::Alert,
                None,
                &["app_10001"],
            ),
            (
                "[ALERT]    (1) : config : userlist 'u': no such group 'x' specified in user 'c'",
                Severity::Alert,
                None,
                &[],
            ),
            (
                "[ALERT]    (1) : config : parsing [/etc/other.cfg:2] : no",
                Severity::Alert,
                None,
                &[],
            ),
        ];
        are_led(rows);
    }

    fn are_led(rows: &[Row<'_>]) {
        let file = Path::new("/etc/haproxy/haproxy.cfg");
        for (line, severity, number, proxies) in rows {
            let messages = parse(line, &[file]);
            let [message] = &messages[..] else {
                panic!("{line}: {messages:?}")
            };
            assert_eq!(message.severity, *severity, "{line}");
            assert_eq!(message.line, *number, "{line}");
            assert_eq!(message.file.is_some(), number.is_some(), "{line}");
            assert_eq!(message.proxies, *proxies, "{line}");
        }
    }

    #[test]
    fn who_cannot_listen_is_known_by_line_and_name() {
        let file = Path::new("/h.cfg");
        for (text, line, name) in [
            (
                "Binding [/h.cfg:67] for frontend e_1: cannot bind socket (Permission denied) for \
                 [0.0.0.0:25]",
                Some(67),
                "e_1",
            ),
            (
                "Starting [/h.cfg:9] for proxy a: cannot listen to socket (Address in use) for [::1:25]",
                Some(9),
                "a",
            ),
            ("Binding [/other.cfg:9] for proxy b: no", None, "b"),
        ] {
            let messages = parse(&format!("[ALERT]    (1) : {text}"), &[file]);
            assert_eq!(
                (messages[0].line, &*messages[0].proxies),
                (line, &[name.to_owned()][..])
            );
            assert!(messages[0].is_of_a_start());
        }
        assert!(!parse("[ALERT] (1) : config : other", &[])[0].is_of_a_start());
    }

    #[test]
    fn lines_that_go_on_belong_to_the_message_before() {
        let output = "noise before\n\
            [WARNING]  (1) : config : missing timeouts for frontend 'f'.\n\
            \x20  | While not properly invalid, you will\n\
            \x20  | timeouts are set.\n\n\
            [ALERT]    (1) : config : Fatal errors found in configuration.\n";
        let messages = parse(output, &[]);
        assert_eq!(messages.len(), 2);
        assert_eq!(
            messages[0].text,
            "missing timeouts for frontend 'f'.\n   | While not properly invalid, you will\n   | timeouts are set."
        );
        assert_eq!(messages[1].text, "Fatal errors found in configuration.");
    }
}
