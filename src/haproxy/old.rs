//! Old processes: another one took over from them, and they finish the connections that they still have.
//!
//! In come the processes of one file and the ports on which it listens; out goes who is old, since when,
//! and what keeps it. It is read from `/proc`, since one without a master does not listen any more, and a
//! question keeps a process for as long as it takes. Only a master whose workers are not seen here, as in
//! another container, is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use super::master::{Worker, show_proc};
use super::socket::{AskError, Info, Speaker, converse};
use super::sockets::{Socket, sockets};
use super::{Proc, Process};

/// Of so many, what they hold is looked at; the native set has at most 20.
const MOST: usize = 50;

/// Connections of a worker that are listed one by one; of more, only their number is asked.
const MOST_LISTED: usize = 1_000;

/// Of `/proc/PID/stat`, since the kernel shows them at this rate on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// A process that ends as soon as its connections have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldProcess {
    /// Its number.
    pub pid: u32,
    /// When the next one started; to the second.
    pub since: Option<SystemTime>,
    /// `None` where it hides what it has open, as from users other than its own and root.
    pub holds: Option<Connections>,
}

/// What keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// How many clients are connected to what: a `port 80` of the installed file, or a `frontend web`.
    pub clients: BTreeMap<String, usize>,
    /// Those to servers, and of ports that are in the file no more.
    pub others: usize,
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for (place, count) in &self.clients {
            let clients = if *count == 1 { "client" } else { "clients" };
            parts.push(format!("{count} {clients} of {place}"));
        }
        let other = if parts.is_empty() { "" } else { "other " };
        match self.others {
            0 if parts.is_empty() => parts.push("no connection of TCP".to_owned()),
            0 => (),
            1 => parts.push(format!("1 {other}connection")),
            many => parts.push(format!("{many} {other}connections")),
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for OldProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}, which has ", self.pid)?;
        match &self.holds {
            Some(holds) => holds.fmt(f),
            None => f.write_str("connections that are not known"),
        }
    }
}

/// What a process has open.
#[derive(Debug, Default)]
struct Open {
    listens: bool,
    connections: Connections,
}

impl Proc {
    /// Those of `serving` from which another one took over; masters, which serve nobody, are not to be
    /// among them. `ports` are those of the installed file. The oldest come first.
    #[must_use]
    pub fn old_processes(
        &self,
        mut serving: Vec<Process>,
        ports: &BTreeSet<u16>,
    ) -> Vec<OldProcess> {
        serving.sort_by_key(|process| (process.started, process.pid));
        let boot = self.boot();
        let mut old = Vec::new();
        for pair in serving.windows(2) {
            let [process, next] = pair else { continue };
            let open = (old.len() < MOST).then(|| self.open(process.pid, ports));
            let open = open.flatten();
            // Of several that serve side by side, none is old.
            if open.as_ref().is_some_and(|open| open.listens) {
                continue;
            }
            old.push(OldProcess {
                pid: process.pid,
                since: boot.map(|boot| boot + Duration::from_secs(next.started / TICKS_PER_SECOND)),
                holds: open.map(|open| open.connections),
            });
        }
        // One may have ended meanwhile.
        old.retain(|old| {
            let known = serving.iter().find(|process| process.pid == old.pid);
            known.is_some_and(|process| self.still_runs(process))
        });
        old
    }

    /// When this process started; to the second.
    #[must_use]
    pub fn since(&self, pid: u32) -> Option<SystemTime> {
        let process = self.process(pid)?;
        Some(self.boot()? + Duration::from_secs(process.started / TICKS_PER_SECOND))
    }

    /// When this host started.
    fn boot(&self) -> Option<SystemTime> {
        let stat = fs::read_to_string(self.root().join("stat")).ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        let seconds = line.trim().parse().ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn open(&self, pid: u32, ports: &BTreeSet<u16>) -> Option<Open> {
        let folder = self.root().join(pid.to_string());
        let descriptors = fs::read_dir(folder.join("fd")).ok()?;
        let sockets = sockets(&folder);
        let mut open = Open::default();
        for descriptor in descriptors.flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            match target.to_str().and_then(|target| sockets.get(target)) {
                None => (),
                Some(Socket {
                    listens: true,
                    port,
                }) => open.listens |= ports.contains(port),
                Some(Socket { port, .. }) if ports.contains(port) => {
                    let place = format!("port {port}");
                    *open.connections.clients.entry(place).or_default() += 1;
                }
                Some(_) => open.connections.others += 1,
            }
        }
        Some(open)
    }
}

/// The old workers of the master that listens on `socket`, as it tells, and what they say themselves.
/// All of them together are given `limit` for it.
///
/// # Errors
/// When the master gives no answer.
pub async fn old_workers(socket: &Path, limit: Duration) -> Result<Vec<OldProcess>, AskError> {
    let processes = show_proc(socket, limit).await?;
    let all: Vec<&Worker> = processes
        .workers
        .iter()
        .chain(&processes.old_workers)
        .collect();
    let ends = Instant::now() + limit;
    let mut old = Vec::new();
    for worker in processes.old_workers.iter().take(MOST) {
        // It was relieved when the oldest of the younger ones started, if that still runs.
        let younger = all.iter().filter(|other| other.reloads < worker.reloads);
        let next = younger.max_by_key(|other| other.reloads);
        let age = next.and_then(|next| uptime(&next.uptime));
        old.push(OldProcess {
            pid: worker.pid,
            since: age.and_then(|age| SystemTime::now().checked_sub(age)),
            // One that ends meanwhile has nothing more to say.
            holds: timeout_at(ends, held_by(socket, worker.pid, limit))
                .await
                .unwrap_or(None),
        });
    }
    Ok(old)
}

async fn held_by(socket: &Path, pid: u32, limit: Duration) -> Option<Connections> {
    let ask = async |command: &str| {
        let command = format!("@!{pid} {command}");
        converse(socket, &command, limit, Speaker::Master)
            .await
            .ok()
    };
    let info = ask("show info").await?;
    Info::parse(&info).filter(|info| info.pid == pid)?;
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("CurrConns:"))?;
    let count: usize = count.trim().parse().ok()?;
    let mut holds = Connections {
        others: count,
        ..Connections::default()
    };
    if 0 < count && count <= MOST_LISTED {
        holds = by_frontend(&ask("show sess").await?);
    }
    Some(holds)
}

/// Reads the answer to `show sess`, without the question itself.
fn by_frontend(sessions: &str) -> Connections {
    let mut holds = Connections::default();
    for line in sessions.lines() {
        let mut words = line.split_ascii_whitespace();
        let frontend = words.find_map(|word| word.strip_prefix("fe="));
        if let Some(name) = frontend.filter(|name| *name != "GLOBAL") {
            let place = format!("frontend {name}");
            *holds.clients.entry(place).or_default() += 1;
        }
    }
    holds
}

/// `0d00h02m07s`, as a master writes it.
fn uptime(text: &str) -> Option<Duration> {
    let mut seconds = 0;
    let mut rest = text;
    for (unit, length) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        let (number, behind) = rest.split_once(unit)?;
        seconds += number.parse::<u32>().ok()? * length;
        rest = behind;
    }
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::symlink;

    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
                          retrnsmt   uid  timeout inode\n";

    /// Pid, when it started, and its sockets as port, state and inode.
    type Told<'a> = (u32, u64, &'a [(u16, &'a str, u32)]);

    /// A `/proc` of these processes.
    fn of(processes: &[Told<'_>]) -> (tempfile::TempDir, Proc) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("stat"), "cpu 1 2\nbtime 1000\n").unwrap();
        for (pid, started, sockets) in processes {
            let folder = root.path().join(pid.to_string());
            fs::create_dir_all(folder.join("net")).unwrap();
            fs::create_dir(folder.join("fd")).unwrap();
            let zeros = "0 ".repeat(17);
            let stat = format!("{pid} (haproxy) S 1 {zeros}{started} 0 0");
            fs::write(folder.join("stat"), stat).unwrap();
            let mut table = HEADER.to_owned();
            for (at, (port, state, inode)) in sockets.iter().enumerate() {
                let row = format!(
                    "   {at}: 0100007F:{port:04X} 0100007F:D431 {state} 0:0 00:0 0 0 0 {inode} 1\n"
                );
                table.push_str(&row);
                let target = format!("socket:[{inode}]");
                symlink(target, folder.join(format!("fd/{at}"))).unwrap();
            }
            fs::write(folder.join("net/tcp"), table).unwrap();
        }
        let proc = Proc::at(root.path());
        (root, proc)
    }

    fn old(proc: &Proc, pids: &[u32], ports: &[u16]) -> Vec<OldProcess> {
        let serving = pids.iter().map(|pid| proc.process(*pid).unwrap());
        proc.old_processes(serving.collect(), &ports.iter().copied().collect())
    }

    #[test]
    fn who_is_old_and_why_it_still_runs() {
        let (_root, proc) = of(&[
            (
                7,
                200,
                &[
                    (80, "01", 1),
                    (80, "08", 2),
                    (40_000, "01", 3),
                    (81, "01", 4),
                ],
            ),
            (8, 500, &[(80, "01", 5), (80, "06", 6)]),
            (9, 900, &[(80, "0A", 7), (80, "01", 8)]),
        ]);
        let old = old(&proc, &[9, 7, 8], &[80, 443]);
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(old.len(), 2);
        assert_eq!((old[0].pid, old[0].since), (7, at(1005)));
        assert_eq!(
            old[0].to_string(),
            "pid 7, which has 2 clients of port 80, 2 other connections"
        );
        assert_eq!((old[1].pid, old[1].since), (8, at(1009)));
        assert_eq!(old[1].to_string(), "pid 8, which has 1 client of port 80");
    }

    #[test]
    fn the_only_one_and_those_that_serve_side_by_side_are_not_old() {
        let (_root, proc) = of(&[(7, 200, &[(80, "0A", 1)]), (8, 200, &[(80, "0A", 2)])]);
        assert_eq!(old(&proc, &[7], &[80]), []);
        assert_eq!(old(&proc, &[7, 8], &[80]), []);
        assert_eq!(old(&proc, &[], &[80]), []);
    }

    #[test]
    fn one_that_hides_what_it_has_is_old_by_its_age() {
        let (root, proc) = of(&[(7, 200, &[]), (8, 300, &[(80, "0A", 2)])]);
        assert_eq!(
            old(&proc, &[7, 8], &[80])[0].to_string(),
            "pid 7, which has no connection of TCP"
        );
        fs::remove_dir(root.path().join("7/fd")).unwrap();
        assert_eq!(
            old(&proc, &[7, 8], &[80])[0].to_string(),
            "pid 7, which has connections that are not known"
        );
    }

    /// As 2.6.12 answered.
    #[test]
    fn sessions_are_counted_by_frontend() {
        let reply = "0x558a152a69b0: proto=tcpv4 src=127.0.0.1:34088 fe=z be=z srv=q ts=00 epoch=0\n\
                     0x558a152a69c0: proto=tcpv4 src=127.0.0.1:34089 fe=z be=b srv=<none> ts=00\n\
                     0x7f0ebc039e60: proto=sockpair src=unix:1 fe=GLOBAL be=<NONE> srv=<none>\n\n";
        assert_eq!(by_frontend(reply).to_string(), "2 clients of frontend z");
        let many = Connections {
            others: 2_000,
            ..Connections::default()
        };
        assert_eq!(many.to_string(), "2000 connections");
    }

    #[test]
    fn an_uptime_is_read_as_a_master_writes_it() {
        for (text, want) in [
            ("0d00h00m01s", Some(1)),
            ("2d03h04m05s", Some(2 * 86_400 + 3 * 3_600 + 4 * 60 + 5)),
            ("1m", None),
            ("-", None),
        ] {
            assert_eq!(uptime(text), want.map(Duration::from_secs), "{text}");
        }
    }

    /// The kernel's own tables.
    #[test]
    fn connections_of_this_process_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_server, _) = listener.accept().unwrap();
        client.write_all(b"x").unwrap();
        let open = Proc::default()
            .open(std::process::id(), &BTreeSet::from([port]))
            .unwrap();
        assert!(open.listens);
        let place = format!("port {port}");
        assert_eq!(open.connections.clients, BTreeMap::from([(place, 1)]));
        // The client's own end.
        assert!(open.connections.others >= 1);
    }
}
