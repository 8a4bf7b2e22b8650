//! How many files HAProxy has to have open for a configuration, each socket being one, and how many it may.
//!
//! In comes the text of a configuration, or a process; out go numbers. Which files count is HAProxy's own
//! reckoning, `compute_ideal_maxconn()` in its `haproxy.c`: listeners, checks, the pollers of threads, and
//! two for each connection.

use std::collections::BTreeMap;
use std::fs;

use super::process::row;
use super::{Line, Proc, listen, opens_section};

/// What HAProxy sets aside for its own standard streams, logs and the like.
const OWN: usize = 10;

/// Of each thread: its poller, and a pipe that wakes it up.
const OF_THREAD: usize = 3;

/// Client and server.
const OF_CONNECTION: usize = 2;

/// With room for fewer connections HAProxy would start and serve nobody.
const FEWEST_CONNECTIONS: usize = 100;

/// HAProxy starts no more by itself.
const MOST_THREADS: usize = 64;

/// Beside listeners a process that takes over has little open before it has closed those of the old one:
/// measured were 6, with a master a pair for each of its workers more.
const OF_TAKEOVER: usize = 50;

/// What a text has HAProxy open before anybody connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Each place of a `bind`, as often as it is sharded.
    pub listeners: usize,
    /// Servers that are looked after.
    pub checks: usize,
}

impl Opened {
    /// All of it.
    #[must_use]
    pub fn files(self) -> usize {
        self.listeners.saturating_add(self.checks)
    }
}

/// What `global` says of open files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Global {
    maxconn: Option<usize>,
    threads: Option<usize>,
    ulimit_n: Option<usize>,
    fd_hard_limit: Option<usize>,
    is_strict: Option<bool>,
    logs: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    Global,
    Defaults,
    #[default]
    Other,
}

/// How a server is looked after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Checks {
    by_check: bool,
    by_agent: bool,
}

/// Reads the parts of a configuration in their order.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    global: Global,
    section: Section,
    /// What `default-server` says of checks: in this section, in each `defaults` by its name, and in the
    /// last one, from which those have it that name none.
    checks: Checks,
    checks_of: BTreeMap<String, Checks>,
    checks_by_default: Checks,
    /// The name of the `defaults` that is read.
    name: String,
}

impl Reading {
    /// What the next part has HAProxy open.
    pub fn read(&mut self, text: &str) -> Opened {
        let mut opened = Opened::default();
        for line in text.lines() {
            let first = line.split_ascii_whitespace().next().unwrap_or_default();
            let (mut listeners, mut checks) = (0, 0);
            match first {
                // Quotes are rare, and of no use there.
                "server" => checks = self.of_server(line),
                "server-template" => checks = self.of_template(line),
                "default-server" => self.of_all_servers(line),
                "stats" if self.section == Section::Global => {
                    listeners = usize::from(has(line, "socket"));
                }
                word if opens_section(word) => self.open(line),
                _ if self.section == Section::Global => self.global.read(line),
                _ => listeners = self.of_bind(line),
            }
            opened.listeners = opened.listeners.saturating_add(listeners);
            opened.checks = opened.checks.saturating_add(checks);
        }
        opened
    }

    fn open(&mut self, line: &str) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let from = words.iter().position(|word| *word == "from");
        let from = from.and_then(|place| words.get(place + 1));
        let of_base = from.and_then(|name| self.checks_of.get(*name)).copied();
        self.section = match words[0] {
            "global" => Section::Global,
            "defaults" => Section::Defaults,
            _ => Section::Other,
        };
        self.checks = match self.section {
            Section::Global => Checks::default(),
            // It begins anew, whatever stood in the one before.
            Section::Defaults => of_base.unwrap_or_default(),
            Section::Other => of_base.unwrap_or(self.checks_by_default),
        };
        if self.section == Section::Defaults {
            let name = words.get(1).copied().unwrap_or_default();
            name.clone_into(&mut self.name);
            self.by_default();
        }
    }

    /// What stands in `defaults` holds for what comes behind it.
    fn by_default(&mut self) {
        self.checks_by_default = self.checks;
        self.checks_of.insert(self.name.clone(), self.checks);
    }

    /// HAProxy adds up what several of these lines say.
    fn of_all_servers(&mut self, line: &str) {
        self.checks = self.checks.and(line);
        if self.section == Section::Defaults {
            self.by_default();
        }
    }

    fn of_server(&self, line: &str) -> usize {
        let Checks { by_check, by_agent } = self.checks.and(line);
        usize::from(by_check) + usize::from(by_agent)
    }

    /// `server-template PREFIX 5`, or `2-5`.
    fn of_template(&self, line: &str) -> usize {
        let numbers = line.split_ascii_whitespace().nth(2).unwrap_or("1");
        let (first, last) = numbers.split_once('-').unwrap_or(("1", numbers));
        let number = |text: &str| text.parse().unwrap_or(1_usize);
        let servers = number(last).saturating_sub(number(first)).saturating_add(1);
        self.of_server(line).saturating_mul(servers)
    }

    fn of_bind(&self, line: &str) -> usize {
        let Some((list, options)) = listen::bind(line) else {
            return 0;
        };
        let shards = options.iter().position(|word| word == "shards");
        let shards = match shards.and_then(|place| options.get(place + 1)) {
            None => 1,
            Some(word) if word == "by-thread" => self.global.threads.unwrap_or(MOST_THREADS),
            Some(word) => word.parse().unwrap_or(1),
        };
        let places = list.split(',').map(listen::ports_at).sum::<usize>();
        places.saturating_mul(shards)
    }
}

impl Checks {
    /// With what a line says.
    fn and(mut self, line: &str) -> Self {
        for word in line.split_ascii_whitespace() {
            match word {
                "check" => self.by_check = true,
                "no-check" => self.by_check = false,
                "agent-check" => self.by_agent = true,
                "no-agent-check" => self.by_agent = false,
                _ => (),
            }
        }
        self
    }
}

/// Whether it is one of the words of a line.
fn has(line: &str, word: &str) -> bool {
    line.split_ascii_whitespace().any(|own| own == word)
}

impl Global {
    fn read(&mut self, line: &str) {
        let words = Line::of(line).words;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |word: &str| word.parse().ok();
        match words[..] {
            ["maxconn", n] => self.maxconn = number(n),
            ["nbthread", n] => self.threads = number(n),
            ["ulimit-n", n] => self.ulimit_n = number(n),
            ["fd-hard-limit", n] => self.fd_hard_limit = number(n),
            ["strict-limits"] => self.is_strict = Some(true),
            ["no", "strict-limits"] => self.is_strict = Some(false),
            ["log", ..] => self.logs += 1,
            _ => (),
        }
    }
}

/// How many files a process that starts HAProxy, or is one, lets it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which process that is.
    pub of: Whose,
    /// Its hard limit, to which HAProxy raises its own.
    pub limit: usize,
    /// What it could raise even that to, where it has the right.
    pub raised: Option<usize>,
    /// How many threads HAProxy would start.
    pub threads: usize,
    /// Whether HAProxy ends where it may not have the files that `maxconn` asks for.
    pub is_strict: bool,
    /// Whether one serves already, which hands over its listeners.
    pub is_running: bool,
}

/// From whom HAProxy has its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// We start it.
    Ours,
    /// The HAProxy of this number, or whoever started it.
    Process(u32),
    /// Somebody out of sight.
    Unknown,
}

/// What keeps the number of files that HAProxy may open so low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The limit of the process that starts it.
    Limit,
    /// `ulimit-n` or `fd-hard-limit` of `global`.
    Global,
}

impl Reading {
    /// How many files HAProxy may open that runs what was read, and by what.
    #[must_use]
    pub fn most(&self, allowance: &Allowance) -> (usize, Bound) {
        let Global {
            maxconn,
            ulimit_n,
            fd_hard_limit,
            ..
        } = self.global;
        // Without `maxconn` HAProxy reckons with what it finds, and raises nothing.
        let asks = maxconn.is_some() || ulimit_n.is_some();
        let raised = allowance.raised.filter(|_| asks);
        let limit = raised.unwrap_or(allowance.limit);
        let of_global = [ulimit_n, fd_hard_limit].into_iter().flatten().min();
        match of_global.filter(|most| *most < limit) {
            Some(most) => (most, Bound::Global),
            None => (limit, Bound::Limit),
        }
    }

    /// So many files the fewest connections take with which HAProxy is of use.
    #[must_use]
    pub fn of_connections(&self) -> usize {
        let asked = self.global.maxconn.unwrap_or(FEWEST_CONNECTIONS);
        asked.min(FEWEST_CONNECTIONS) * OF_CONNECTION
    }

    /// How many it needs that has opened `files` for what was read.
    #[must_use]
    pub fn needed(&self, files: usize, allowance: &Allowance) -> usize {
        let Global {
            maxconn,
            threads,
            is_strict,
            logs,
            ..
        } = self.global;
        let asked = maxconn.unwrap_or(FEWEST_CONNECTIONS);
        let connections = if is_strict.unwrap_or(allowance.is_strict) {
            asked
        } else {
            asked.min(FEWEST_CONNECTIONS)
        };
        let threads = threads.unwrap_or(allowance.threads.min(MOST_THREADS));
        // A socket for those by name and one for those by address.
        let logs = threads.saturating_mul(logs.min(2));
        let connections = connections.saturating_mul(OF_CONNECTION);
        let threads = threads.saturating_mul(OF_THREAD);
        let all = [OWN, files, threads, logs, connections].into_iter();
        all.fold(0, usize::saturating_add)
    }
}

/// How many it needs for a moment that takes over listeners, has others of its own, and has not closed
/// those that it has no use for: `listeners` are all of these.
#[must_use]
pub fn taking_over(listeners: usize) -> usize {
    OF_TAKEOVER.saturating_add(listeners)
}

impl Allowance {
    /// Of a HAProxy that is out of sight.
    #[must_use]
    pub fn unknown(is_strict: bool) -> Self {
        Self {
            of: Whose::Unknown,
            limit: usize::MAX,
            raised: None,
            threads: 1,
            is_strict,
            is_running: false,
        }
    }
}

impl Proc {
    /// What the process `pid`, or ourselves, would let a HAProxy open; `None` where that cannot be told.
    #[must_use]
    pub fn allowance(&self, pid: Option<u32>) -> Option<Allowance> {
        let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let folder = self.root().join(process);
        let limits = fs::read_to_string(folder.join("limits")).ok()?;
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let most = || fs::read_to_string(self.root().join("sys/fs/nr_open")).ok();
        let most = || most()?.trim().parse().ok();
        Some(Allowance {
            of: pid.map_or(Whose::Ours, Whose::Process),
            limit: hard_limit(&limits)?,
            raised: if may_raise(&status) { most() } else { None },
            threads: cpus(&status).unwrap_or(MOST_THREADS),
            is_strict: false,
            is_running: false,
        })
    }
}

/// Of `/proc/PID/limits`: the columns are name, soft limit, hard limit, unit.
fn hard_limit(limits: &str) -> Option<usize> {
    let mut lines = limits.lines();
    let row = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    match row.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

/// Whether a process has the right to raise its limits (`CAP_SYS_RESOURCE`).
fn may_raise(status: &str) -> bool {
    const SYS_RESOURCE: u64 = 1 << 24;
    let rights = row(status, "CapEff").and_then(|word| u64::from_str_radix(word, 16).ok());
    rights.is_some_and(|rights| rights & SYS_RESOURCE != 0)
}

/// On how many it may run: `0-3,8`.
fn cpus(status: &str) -> Option<usize> {
    let list = row(status, "Cpus_allowed_list")?;
    let range = |text: &str| -> Option<usize> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        Some(to.checked_sub(from)? + 1)
    };
    list.split(',').map(range).sum()
}

#[cfg(test)]
mod tests;
