//! The file of server states, by which a HAProxy that starts knows which servers are down. Without it,
//! each one gets requests until its first check has failed.
//!
//! In come the configuration that is read next and what the process says that runs; out goes the text.
//! It names the sections of that configuration, also where the process has spare backends in their place.
//! It says nothing but that a server is down: what the configuration decides, such as addresses,
//! weights and who rests, is its own also where the running process has something else.
//!
//! Source: "server-state-file" in HAProxy's configuration manual and its `server_state.c`. A line of the
//! 20 fields that 2.2 knew is read by all versions up to 3.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::line::Line;
use super::servers::{Op, ServerState};
use super::{is_spare, opens_section};

/// What a file of ours begins with: the version of the format, and a comment.
pub const NONE: &str = "1\n# of haproxy-marathon-bridge: servers that are down at a reload\n";

/// Whether the text of such a file may be written over: it is ours, or says nothing.
#[must_use]
pub fn is_ours(text: &str) -> bool {
    text.is_empty() || text.starts_with(NONE)
}

/// The servers of `cfg` that the running process finds down, by what it has `present`.
///
/// A section of which nothing else would serve is left out: there it costs nobody a request to try, and
/// a file that is read later than it was meant for never takes away the last server.
#[must_use]
pub fn text(cfg: &str, present: &[ServerState]) -> String {
    let mut text = NONE.to_owned();
    if !present.iter().any(is_down) {
        return text;
    }
    let present = Present::of(present);
    for Section { name, servers } in sections(cfg) {
        let state = |server: &Server| {
            let state = present.down(&name, server)?;
            server.is_checked.then_some(state)
        };
        let lines: Vec<String> = servers
            .iter()
            .filter_map(|server| state(server).map(|state| line(&name, server, state)))
            .collect();
        if lines.len() < servers.len() {
            text.push_str(&lines.concat());
        }
    }
    text
}

/// What the running process has.
struct Present<'a> {
    /// By backend and name.
    own: BTreeMap<(&'a str, &'a str), &'a ServerState>,
    /// Those of spare backends, by name alone.
    of_spares: BTreeMap<&'a str, Vec<&'a ServerState>>,
}

impl<'a> Present<'a> {
    fn of(states: &'a [ServerState]) -> Self {
        let mut present = Self {
            own: BTreeMap::new(),
            of_spares: BTreeMap::new(),
        };
        for state in states {
            let own = (state.backend.as_str(), state.name.as_str());
            present.own.insert(own, state);
            if is_spare(&state.backend) {
                let of_name = present.of_spares.entry(&state.name).or_default();
                of_name.push(state);
            }
        }
        present
    }

    /// What it knows of a server that is down. Where it does not have it in its section, a spare backend
    /// stands in for that: there it is known by name and address, since the next process has it under
    /// its own section again. Where several have it, none of them may find it up.
    fn down(&self, section: &str, server: &Server) -> Option<&'a ServerState> {
        let is_same = |state: &&ServerState| {
            (state.address, state.port) == (Some(server.address), server.port)
        };
        let name = server.name.as_str();
        if let Some(own) = self.own.get(&(section, name)) {
            return Some(*own).filter(is_same).filter(|own| is_down(own));
        }
        let mut found = self.of_spares.get(name)?.iter().copied().filter(is_same);
        let first = found.next()?;
        (is_down(first) && found.all(is_down)).then_some(first)
    }
}

/// By its checks, and not because somebody wants it so. One that was added and that no check has passed
/// yet is down too.
fn is_down(state: &ServerState) -> bool {
    let admin = state.admin;
    let rests = admin.is_in_maintenance() || admin.is_drained() || admin.is_bound();
    !rests && state.op == Op::Stopped && state.check.is_configured && state.check.is_enabled
}

/// The states are those of a check that failed, goes on and has to succeed `rise` times; two equal
/// weights leave that of the file.
fn line(section: &str, server: &Server, state: &ServerState) -> String {
    const STOPPED: u8 = 0;
    const BY_NOBODY: u8 = 0;
    const INITIAL: u8 = 1;
    const FAILED: u8 = 2;
    /// Configured 2, enabled 4, of an agent 16.
    const CHECKED: u8 = 6;
    const AGENT: u8 = 22;
    let mut line = String::new();
    let _ = writeln!(
        line,
        "0 {section} {} {} {} {STOPPED} {BY_NOBODY} 1 1 1 {INITIAL} {FAILED} 0 {CHECKED} {AGENT} 0 {} - {} -",
        state.id,
        server.name,
        server.address,
        u8::from(server.has_id),
        server.port,
    );
    line
}

struct Section {
    name: String,
    /// Those that would serve.
    servers: Vec<Server>,
}

/// What its line says.
struct Server {
    name: String,
    address: IpAddr,
    port: u16,
    has_id: bool,
    /// By itself: one that tracks another has the health of that.
    is_checked: bool,
}

/// Those of `cfg` that have servers with a numeric address.
fn sections(cfg: &str) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    for line in cfg.lines() {
        let Line {
            words,
            asks_environment,
            ..
        } = Line::of(line);
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [word, ref rest @ ..] if opens_section(word) => all.push(Section {
                name: rest.first().copied().unwrap_or_default().to_owned(),
                servers: Vec::new(),
            }),
            ["server", name, address, ref rest @ ..] => {
                if let Some(section) = all.last_mut()
                    && let Ok(address) = address.parse::<SocketAddr>()
                    && asks_environment.is_none()
                    && !rest.contains(&"disabled")
                {
                    section.servers.push(Server {
                        name: name.to_owned(),
                        address: address.ip(),
                        port: address.port(),
                        has_id: rest.contains(&"id"),
                        is_checked: rest.contains(&"check")
                            && !rest.contains(&"no-check")
                            && !rest.contains(&"track"),
                    });
                }
            }
            _ => (),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::servers::{Admin, Check, Dials};
    use super::*;

    fn state(backend: &str, name: &str, port: u16) -> ServerState {
        ServerState {
            backend: backend.to_owned(),
            name: name.to_owned(),
            id: 7,
            address: Some("127.0.0.1".parse().unwrap()),
            port,
            admin: Admin(0),
            op: Op::Stopped,
            weight: 3,
            check: Check {
                is_configured: true,
                is_enabled: true,
                has_failed: true,
                dials: Dials::Server,
            },
        }
    }

    const CFG: &str = "global\n  daemon\nbackend b\n  balance roundrobin\n  \
        server s1 127.0.0.1:81 id 7 check weight 5\n  server s2 127.0.0.1:82 id 8 check\n";

    fn lines(cfg: &str, present: &[ServerState]) -> Vec<String> {
        let text = text(cfg, present);
        let rest = text.strip_prefix(NONE).unwrap();
        rest.lines().map(str::to_owned).collect()
    }

    #[test]
    fn who_is_down_is_told_and_who_serves_is_not() {
        let mut other = state("b", "s2", 82);
        other.op = Op::Running;
        assert_eq!(
            lines(CFG, &[state("b", "s1", 81), other]),
            ["0 b 7 s1 127.0.0.1 0 0 1 1 1 1 2 0 6 22 0 1 - 81 -"]
        );
        assert_eq!(lines(CFG, &[]), Vec::<String>::new());
    }

    #[test]
    fn what_the_file_decides_or_nobody_checks_is_left_out() {
        let told = |change: &dyn Fn(&mut ServerState)| {
            let mut state = state("b", "s1", 81);
            change(&mut state);
            lines(CFG, &[state]).len()
        };
        assert_eq!(told(&|_| ()), 1);
        // What the file said once means nothing.
        assert_eq!(told(&|state| state.admin = Admin(4)), 1);
        for bits in [1, 2, 8, 16, 32] {
            assert_eq!(told(&|state| state.admin = Admin(bits)), 0, "{bits}");
        }
        assert_eq!(told(&|state| state.check.is_enabled = false), 0);
        assert_eq!(told(&|state| state.check.is_configured = false), 0);
        assert_eq!(told(&|state| state.op = Op::Starting), 0);
        // Another instance, of which nothing is known.
        assert_eq!(told(&|state| state.port = 83), 0);
        assert_eq!(told(&|state| state.address = None), 0);
        assert_eq!(told(&|state| "c".clone_into(&mut state.backend)), 0);
        for words in ["", "check disabled", "check track b/s2", "check no-check"] {
            let cfg = CFG.replace("check weight 5", words);
            assert_eq!(lines(&cfg, &[state("b", "s1", 81)]).len(), 0, "{words}");
        }
    }

    #[test]
    fn nobody_is_left_out_where_nobody_would_serve() {
        let both = [state("b", "s1", 81), state("b", "s2", 82)];
        assert_eq!(lines(CFG, &both), Vec::<String>::new());
        let rests = CFG.replace("id 8 check", "id 8 check disabled");
        assert_eq!(lines(&rests, &both[..1]), Vec::<String>::new());
        let third = format!("{CFG}  server s3 [::1]:82 check\n");
        assert_eq!(lines(&third, &both).len(), 2);
    }

    /// A process has them in a spare backend where the next one has them in that of their app.
    #[test]
    fn who_is_down_behind_a_spare_backend_is_told_of_where_the_file_has_him() {
        let none_but = |others: &[ServerState]| lines(CFG, others).len();
        let mut second = state("spare-p-1", "s2", 82);
        second.op = Op::Running;
        let stands_in = [state("spare-p-1", "s1", 81), second];
        assert_eq!(
            lines(CFG, &stands_in),
            ["0 b 7 s1 127.0.0.1 0 0 1 1 1 1 2 0 6 22 0 1 - 81 -"]
        );
        assert_eq!(none_but(&[state("spare-p-1", "s1", 83)]), 0);
        assert_eq!(none_but(&[state("spare_p_1", "s1", 81)]), 0);
        // What is known of it where it belongs goes before, and so does one that it serves.
        let mut serves = state("b", "s1", 81);
        serves.op = Op::Running;
        assert_eq!(none_but(&[stands_in[0].clone(), serves]), 0);
        let mut serves = state("spare-q-1", "s1", 81);
        serves.op = Op::Running;
        assert_eq!(none_but(&[stands_in[0].clone(), serves]), 0);
        let twice = [state("spare-p-1", "s1", 81), state("spare-q-1", "s1", 81)];
        assert_eq!(none_but(&twice), 1);
    }

    #[test]
    fn a_file_of_somebody_else_is_known() {
        assert!(is_ours("") && is_ours(NONE));
        assert!(is_ours(&text(CFG, &[state("b", "s1", 81)])));
        assert!(!is_ours("1\n# be_id be_name srv_id\n3 b 11 s1\n"));
    }
}
