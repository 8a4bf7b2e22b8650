//! What a running process is told, word by word, and which answer means that it was done.
//!
//! In come typed values; out go lines of the stats socket. Names are checked where they are taken,
//! everything else is a number or a word of ours, so that no value can end a command or begin one.

use std::fmt;
use std::net::IpAddr;

use super::wanted::{Said, is_plain};
use crate::haproxy::Version;

/// HAProxy silently drops what stands behind so many words of a command.
const MOST_WORDS: usize = 64;

/// A server of a section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    backend: String,
    name: String,
}

impl Target {
    /// `None` for names that are not plain words.
    #[must_use]
    pub fn new(backend: &str, name: &str) -> Option<Self> {
        // HAProxy takes colons too.
        let is_name = |text: &str| is_plain(&text.replace(':', "_"));
        (is_name(backend) && is_name(name)).then(|| Self {
            backend: backend.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The section.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.name)
    }
}

/// A server that is not there yet. It comes in maintenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    line: String,
}

impl Addition {
    /// As the file has it; `Err` says why HAProxy of this version cannot be told.
    ///
    /// # Errors
    /// When the line would mean something else there than in the file.
    pub fn new(said: &Said, version: Version) -> Result<Self, String> {
        let Some(id) = said.id else {
            return Err("it has no `id`, without which some versions send it nothing".to_owned());
        };
        if said.sends_proxy && said.is_checked {
            return Err("its checks would not speak the PROXY protocol".to_owned());
        }
        let place = match said.address {
            IpAddr::V4(address) => format!("{address}:{}", said.port),
            IpAddr::V6(address) => format!("[{address}]:{}", said.port),
        };
        let mut line = format!("{place} id {id}");
        for word in &said.keywords {
            line.push(' ');
            line.push_str(word);
        }
        if said.weight != 1 {
            line = format!("{line} weight {}", said.weight);
        }
        if let Some(cookie) = &said.cookie {
            if !version.adds_servers_with_cookies() {
                return Err(format!(
                    "HAProxy {version} takes no `cookie` for a server that is added"
                ));
            }
            line = format!("{line} cookie {cookie}");
        }
        // Without them, connections to it are not used again before 2.9.
        line.push_str(" pool-purge-delay 5s pool-max-conn 100");
        // `add`, `server`, its name, and as what it begins.
        if line.split(' ').count() + 5 > MOST_WORDS {
            return Err(format!("it has more than {MOST_WORDS} words"));
        }
        Ok(Self { line })
    }

    /// It counts as down whenever it leaves maintenance, until enough checks succeed.
    #[must_use]
    pub fn down_at_first(mut self) -> Self {
        self.line.push_str(" init-state fully-down");
        self
    }
}

/// What somebody wants of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Will {
    /// It gets requests, if it is up.
    Ready,
    /// Only who is bound to it still gets there.
    Drain,
    /// Nobody new gets there; requests under way are answered.
    Maint,
}

/// How long requests under way are waited for, since everything else waits as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Whoever takes longer is answered all the same, and the server goes later.
    Brief,
    /// What follows may cost them.
    Long,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A server comes, in maintenance and unchecked.
    Add(Target, Addition),
    /// Its checks begin.
    EnableHealth(Target),
    /// Who gets there.
    State(Target, Will),
    /// It counts as down until enough checks succeed.
    HealthDown(Target),
    /// It counts as up until enough checks fail.
    HealthUp(Target),
    /// Its share.
    Weight(Target, u16),
    /// It serves elsewhere. Only in maintenance: before 2.9 a request could see the new address with
    /// the old port.
    Address(Target, IpAddr, u16),
    /// Its checks dial another port; none for where it serves.
    CheckPort(Target, Option<u16>),
    /// Waits until the address is seen: since 2.9 it is changed only after the answer.
    AwaitAddress(Target, IpAddr, u16),
    /// Waits until none of these answers a request any more.
    AwaitIdle(Vec<Target>, Patience),
    /// The cookies of all servers of a section are made anew, with the key that it has: before 3.0 one
    /// that was added has none.
    Cookies(Target, String),
    /// It goes.
    Delete(Target),
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done.
    Done,
    /// It can be done once the connections of the server have ended.
    Busy,
    /// Nobody knows.
    Surprise,
}

impl Step {
    /// The command; `None` for what is only waited for.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        Some(match self {
            Self::Add(target, Addition { line }) => format!("add server {target} {line}"),
            Self::EnableHealth(target) => format!("enable health {target}"),
            Self::State(target, will) => {
                let will = match will {
                    Will::Ready => "ready",
                    Will::Drain => "drain",
                    Will::Maint => "maint",
                };
                format!("set server {target} state {will}")
            }
            Self::HealthDown(target) => format!("set server {target} health down"),
            Self::HealthUp(target) => format!("set server {target} health up"),
            Self::Weight(target, weight) => format!("set server {target} weight {weight}"),
            Self::Address(target, address, port) => {
                format!("set server {target} addr {address} port {port}")
            }
            Self::CheckPort(target, port) => {
                format!("set server {target} check-port {}", port.unwrap_or(0))
            }
            Self::Cookies(target, key) => {
                format!("set dynamic-cookie-key backend {} {key}", target.backend())
            }
            Self::Delete(target) => format!("del server {target}"),
            Self::AwaitAddress(..) | Self::AwaitIdle(..) => return None,
        })
    }

    /// The command as it may be seen in a log.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Cookies(target, _) => format!(
                "set dynamic-cookie-key backend {} (not shown)",
                target.backend()
            ),
            _ => self.command().unwrap_or_default(),
        }
    }

    /// What `reply` to the command means.
    #[must_use]
    pub fn judge(&self, reply: &str) -> Reply {
        let is_done = match self {
            Self::Add(..) => reply == "New server registered.",
            Self::EnableHealth(_)
            | Self::State(..)
            | Self::HealthDown(_)
            | Self::HealthUp(_)
            | Self::Cookies(..)
            | Self::Weight(..) => reply.is_empty(),
            // Up to 2.4 it said so.
            Self::CheckPort(..) => reply.is_empty() || reply == "health check port updated.",
            // It names what was there before.
            Self::Address(..) => {
                reply.ends_with(" by 'stats socket command'") && !reply.contains('\n')
            }
            Self::Delete(_) => {
                if reply == "Server still has connections attached to it, cannot remove it." {
                    return Reply::Busy;
                }
                reply == "Server deleted."
            }
            Self::AwaitAddress(..) | Self::AwaitIdle(..) => false,
        };
        if is_done {
            Reply::Done
        } else {
            Reply::Surprise
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wanted::backends;
    use super::*;

    const V2_6: Version = Version::new(2, 6);
    const V3_0: Version = Version::new(3, 0);

    fn target() -> Target {
        Target::new("b", "s").unwrap()
    }

    fn addition(line: &str, version: Version) -> Result<Addition, String> {
        let text = format!("backend b\n server s {line}\n");
        let said = backends(&text).remove("b").unwrap().servers.remove(0).said;
        Addition::new(&said.unwrap(), version)
    }

    #[test]
    fn commands_are_those_of_the_management_guide() {
        let address = "10.0.0.9".parse().unwrap();
        for (step, want) in [
            (
                Step::Add(
                    target(),
                    addition("[fd00::1]:80 id 7 check inter 10s fall 4 weight 0", V2_6).unwrap(),
                ),
                "add server b/s [fd00::1]:80 id 7 check inter 10s fall 4 weight 0 \
                 pool-purge-delay 5s pool-max-conn 100",
            ),
            (Step::EnableHealth(target()), "enable health b/s"),
            (
                Step::State(target(), Will::Ready),
                "set server b/s state ready",
            ),
            (
                Step::State(target(), Will::Drain),
                "set server b/s state drain",
            ),
            (
                Step::State(target(), Will::Maint),
                "set server b/s state maint",
            ),
            (Step::HealthDown(target()), "set server b/s health down"),
            (Step::HealthUp(target()), "set server b/s health up"),
            (Step::Weight(target(), 256), "set server b/s weight 256"),
            (
                Step::Address(target(), address, 81),
                "set server b/s addr 10.0.0.9 port 81",
            ),
            (
                Step::CheckPort(target(), Some(81)),
                "set server b/s check-port 81",
            ),
            (
                Step::CheckPort(target(), None),
                "set server b/s check-port 0",
            ),
            (
                Step::Cookies(target(), "k".to_owned()),
                "set dynamic-cookie-key backend b k",
            ),
            (Step::Delete(target()), "del server b/s"),
        ] {
            assert_eq!(step.command().as_deref(), Some(want));
        }
        assert_eq!(
            Step::AwaitIdle(vec![target()], Patience::Brief).command(),
            None
        );
        // The backend may have the name of the key.
        for key in ["secret", "b"] {
            let shown = Step::Cookies(target(), key.to_owned()).shown();
            assert_eq!(shown, "set dynamic-cookie-key backend b (not shown)");
        }
    }

    #[test]
    fn only_the_very_words_count_as_done() {
        let add = Step::Add(target(), addition("10.0.0.1:80 id 7", V2_6).unwrap());
        let address = Step::Address(target(), "10.0.0.9".parse().unwrap(), 81);
        let weight = Step::Weight(target(), 1);
        let check_port = Step::CheckPort(target(), Some(81));
        let delete = Step::Delete(target());
        let busy = "Server still has connections attached to it, cannot remove it.";
        for (step, reply, want) in [
            (&add, "New server registered.", Reply::Done),
            (&add, "", Reply::Surprise),
            (
                &add,
                "Already exists a server with the same name in backend.",
                Reply::Surprise,
            ),
            (&add, "New server registered.\nmore", Reply::Surprise),
            (&weight, "", Reply::Done),
            (&weight, "No such server.", Reply::Surprise),
            (
                &weight,
                "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
                Reply::Surprise,
            ),
            (&delete, "Server deleted.", Reply::Done),
            (&delete, busy, Reply::Busy),
            (&weight, busy, Reply::Surprise),
            (
                &delete,
                "This server cannot be removed at runtime due to other configuration elements \
                 pointing to it.",
                Reply::Surprise,
            ),
            (&delete, "", Reply::Surprise),
            (
                &address,
                "IP changed from '127.0.0.1' to '127.0.0.2', port changed from '1' to '2' by \
                 'stats socket command'",
                Reply::Done,
            ),
            (&check_port, "", Reply::Done),
            (&check_port, "health check port updated.", Reply::Done),
            (&check_port, "provided port is not valid.", Reply::Surprise),
            (&address, "Invalid addr family.", Reply::Surprise),
            (&address, "", Reply::Surprise),
        ] {
            assert_eq!(step.judge(reply), want, "{step:?}: {reply}");
        }
    }

    #[test]
    fn a_line_that_would_mean_something_else_is_not_added() {
        for (line, version, why) in [
            ("10.0.0.1:80 check", V2_6, "no `id`"),
            ("10.0.0.1:80 id 7 check send-proxy", V3_0, "PROXY"),
            ("10.0.0.1:80 id 7 cookie abc", V2_6, "takes no `cookie`"),
        ] {
            let error = addition(line, version).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let many = format!("10.0.0.1:80 id 7 {}", "rise 2 ".repeat(29));
        assert!(addition(&many, V3_0).unwrap_err().contains("64 words"));
        assert!(addition("10.0.0.1:80 id 7 send-proxy", V2_6).is_ok());
        let with_cookie = addition("10.0.0.1:80 id 7 cookie abc", V3_0).unwrap();
        assert!(with_cookie.line.contains(" cookie abc "));
    }

    proptest::proptest! {
        /// Whatever a name or a line holds, one command comes out of it, of one line, or none.
        #[test]
        fn nothing_ends_a_command_or_begins_one(
            backend in "\\PC{0,8}|[a-z;\n ]{0,8}",
            name in "\\PC{0,8}|[a-z;\n ]{0,8}",
            rest in "[ -~]{0,40}|(10.0.0.1:80 id 7 (cookie|inter|maxconn) [ -~]{1,6})",
        ) {
            let text = format!("backend b\n server s {rest}\n");
            let server = backends(&text).remove("b").and_then(|mut b| b.servers.pop());
            let target = Target::new(&backend, &name);
            if let (Some(target), Some(Ok(said))) = (target, server.map(|server| server.said))
                && let Ok(addition) = Addition::new(&said, V3_0)
            {
                let command = Step::Add(target, addition).command().unwrap();
                let is_word = |c: char| c.is_ascii_alphanumeric() || " -_.:/[]".contains(c);
                proptest::prop_assert!(command.chars().all(is_word), "{command}");
            }
        }
    }
}
