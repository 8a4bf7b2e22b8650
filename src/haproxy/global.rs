//! What a configuration text says of the process that will run it: the sockets and the description
//! of its `global` sections.
//!
//! In comes the text of `haproxy.cfg`; out go the few facts that a reload needs. This is no parser
//! of HAProxy's language; it knows words, quotes, comments and where a section begins.

use std::path::{Path, PathBuf};

use super::line::words;

/// The keywords that begin a section, whatever their indentation.
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

/// Whether a line that begins with this word opens a section.
#[must_use]
pub fn opens_section(word: &str) -> bool {
    SECTIONS.contains(&word)
}

/// The section that `line` begins.
pub(super) fn section(line: &str) -> Option<&'static str> {
    let word = line.split_ascii_whitespace().next()?;
    SECTIONS.into_iter().find(|section| *section == word)
}

/// What the `global` sections say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Global {
    /// The Unix sockets of `stats socket`, in their order.
    pub stats_sockets: Vec<StatsSocket>,
    /// `description`.
    pub description: Option<String>,
    /// `tune.bufsize`, in bytes.
    pub bufsize: Option<usize>,
    /// `server-state-file`, where it is a whole path.
    pub server_state_file: Option<PathBuf>,
}

/// One `stats socket` line with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSocket {
    /// Where it is bound.
    pub path: PathBuf,
    /// `expose-fd listeners`: a new process may take over the listening sockets through it.
    pub exposes_listeners: bool,
}

impl Global {
    /// Reads all `global` sections of `config`.
    #[must_use]
    pub fn read(config: &str) -> Self {
        let mut global = Self::default();
        let mut inside = false;
        for line in config.lines() {
            if let Some(section) = section(line) {
                inside = section == "global";
                continue;
            }
            if !inside {
                continue;
            }
            let words = words(line);
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["stats", "socket", address, ref options @ ..] => {
                    let exposes_listeners = options
                        .windows(2)
                        .any(|pair| pair[0] == "expose-fd" && pair[1].contains("listeners"));
                    let path = address.strip_prefix("unix@").unwrap_or(address);
                    if path.starts_with('/') {
                        global.stats_sockets.push(StatsSocket {
                            path: path.into(),
                            exposes_listeners,
                        });
                    }
                }
                ["tune.bufsize", size, ..] => global.bufsize = bytes(size),
                ["server-state-file", path, ..] => {
                    global.server_state_file = path.starts_with('/').then(|| path.into());
                }
                ["description", ref rest @ ..] => global.description = Some(rest.join(" ")),
                _ => (),
            }
        }
        global
    }

    /// Where the process answers that runs `config`: at the socket that is `given`, else at the first that
    /// it says.
    #[must_use]
    pub fn socket_of(config: &str, given: Option<&Path>) -> Option<PathBuf> {
        let own = || Self::read(config).stats_sockets.into_iter().next();
        let own = || own().map(|socket| socket.path);
        given.map(Path::to_owned).or_else(own)
    }

    /// The socket through which a new process can take over the listening sockets.
    #[must_use]
    pub fn exposing_socket(&self) -> Option<&PathBuf> {
        self.stats_sockets
            .iter()
            .find(|socket| socket.exposes_listeners)
            .map(|socket| &socket.path)
    }
}

/// A size as HAProxy reads it: `16384`, and since 3.1 `16k` too. `None` where it would not.
fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1024),
        None => (text, 1),
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_description_of_global_are_found() {
        let global = Global::read(
            "global\n\
             \x20 stats socket /run/a.sock mode 660 level admin\n\
             \x20 stats socket \"unix@/run/b b.sock\" expose-fd listeners level admin # note\n\
             \x20 stats socket ipv4@127.0.0.1:9999 level admin\n\
             \x20 description 0123 4567\n\
             \x20 # stats socket /run/c.sock\n\
             defaults\n\
             \x20 stats socket /run/d.sock\n\
             \x20 description of nothing\n",
        );
        let paths: Vec<_> = global
            .stats_sockets
            .iter()
            .map(|s| s.path.to_str().unwrap())
            .collect();
        assert_eq!(paths, ["/run/a.sock", "/run/b b.sock"]);
        assert_eq!(
            global.exposing_socket(),
            Some(&PathBuf::from("/run/b b.sock"))
        );
        assert_eq!(global.description.as_deref(), Some("0123 4567"));
    }

    #[test]
    fn the_size_of_its_buffers_is_found() {
        for (line, want) in [
            ("tune.bufsize 8192", Some(8192)),
            ("tune.bufsize 32k", Some(32_768)),
            ("tune.bufsize much", None),
            ("tune.maxrewrite 1024", None),
        ] {
            let read = Global::read(&format!("global\n  {line}\n"));
            assert_eq!(read.bufsize, want, "{line}");
        }
    }

    #[test]
    fn where_states_of_servers_are_kept_is_found() {
        for (line, want) in [
            ("server-state-file /run/x", Some("/run/x")),
            // Below `server-state-base`.
            ("server-state-file global", None),
            ("server-state-base /run", None),
        ] {
            let read = Global::read(&format!("global\n  {line}\n"));
            assert_eq!(read.server_state_file, want.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn a_file_without_sockets_has_none() {
        assert_eq!(
            Global::read("global\n daemon\nlisten x\n bind :1\n"),
            Global::default()
        );
    }
}
