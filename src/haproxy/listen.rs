//! Where a file has HAProxy listen, and whether somebody else does already.
//!
//! In comes the text of a configuration, or an address; out go addresses, or whether a `bind` to one
//! would fail. An address is tried for a moment and never listened on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use socket2::{Domain, Socket, Type};

use super::sockets::sockets;
use super::{Line, Proc, short_address};

/// A place of a `bind` line, and by what its socket differs from an ordinary one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Where.
    pub at: SocketAddr,
    /// `v6only`: the same port of IPv4 is somebody else's.
    pub is_v6_only: bool,
    /// `transparent`: any address will do, also one that this host does not have.
    pub is_transparent: bool,
    /// `interface`.
    pub device: Option<Box<str>>,
}

/// An ordinary one.
impl From<SocketAddr> for Listener {
    fn from(at: SocketAddr) -> Self {
        Self {
            at,
            is_v6_only: false,
            is_transparent: false,
            device: None,
        }
    }
}

/// Where the `bind` lines of `text` listen, by number and in their order. Names, sockets of files and
/// other networks are passed over.
pub fn listeners(text: &str) -> impl Iterator<Item = Listener> {
    binds(text).flat_map(|(list, options)| {
        let has = |option: &str| options.iter().any(|word| word == option);
        let device = options.iter().position(|word| word == "interface");
        let device = device.and_then(|place| options.get(place + 1));
        let model = Listener {
            is_v6_only: has("v6only"),
            is_transparent: has("transparent"),
            device: device.map(|name| name.as_str().into()),
            ..SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()
        };
        let is_here = !has("namespace");
        let places: Vec<_> = list.split(',').filter_map(place).collect();
        let places = places.into_iter().filter(move |_| is_here);
        places.flat_map(move |(ip, ports)| {
            let model = model.clone();
            ports.filter(|port| *port != 0).map(move |port| Listener {
                at: (ip, port).into(),
                ..model.clone()
            })
        })
    })
}

/// Every port number that `text` has HAProxy listen on, whatever the address.
#[must_use]
pub fn ports(text: &str) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for (list, _) in binds(text) {
        ports.extend(list.split(',').filter_map(range).flatten());
    }
    ports
}

/// Address list and options of each `bind` line.
fn binds(text: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    text.lines().filter_map(bind)
}

/// The same of one line; `None` where it is none of `bind`.
#[must_use]
pub fn bind(line: &str) -> Option<(String, Vec<String>)> {
    // Whole files are read, and nothing else of them is taken apart.
    if !line.trim_start().starts_with(['b', '"', '\'', '\\']) {
        return None;
    }
    let mut words = Line::of(line).words.into_iter();
    words.next().filter(|word| word == "bind")?;
    Some((words.next()?, words.collect()))
}

/// What HAProxy takes before an address of TCP, and which version of IP it says.
const FAMILIES: [(&str, Option<Version>); 9] = [
    ("ip@", None),
    ("ipv4@", Some(Version::V4)),
    ("ipv6@", Some(Version::V6)),
    ("tcp@", None),
    ("tcp4@", Some(Version::V4)),
    ("tcp6@", Some(Version::V6)),
    ("mptcp@", None),
    ("mptcp4@", Some(Version::V4)),
    ("mptcp6@", Some(Version::V6)),
];

/// What HAProxy takes before a socket of this host.
pub const OF_HOST: [&str; 8] = [
    "unix@",
    "uxst@",
    "uxdg@",
    "abns@",
    "abnsz@",
    "fd@",
    "sockpair@",
    "rhttp@",
];

/// What it takes before other places that are none of TCP.
const OTHERS: [&str; 6] = ["/", "quic4@", "quic6@", "udp@", "udp4@", "udp6@"];

/// Whether a place of a `bind` line is one of TCP, as far as HAProxy can read it.
#[must_use]
pub fn is_of_tcp(place: &str) -> bool {
    let place = place.strip_prefix("stream+").unwrap_or(place);
    let mut others = OF_HOST.iter().chain(&OTHERS);
    !others.any(|begin| place.starts_with(begin))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

/// An address of TCP without what says that it is one.
#[must_use]
pub fn bare(address: &str) -> &str {
    parted(address).1
}

fn parted(address: &str) -> (Option<Version>, &str) {
    let address = address.strip_prefix("stream+").unwrap_or(address);
    let mut families = FAMILIES.iter();
    let known =
        families.find_map(|(family, version)| Some((*version, address.strip_prefix(family)?)));
    let (version, host) = known.unwrap_or((None, address));
    let host = host.strip_prefix('[').unwrap_or(host);
    (version, host.strip_suffix(']').unwrap_or(host))
}

/// `*:80`, `:80`, `10.0.0.1:80-81`, `10.1:80`, `:::80`, `[::1]:80`, `ipv4@…`, `ipv6@…`.
fn place(text: &str) -> Option<(IpAddr, RangeInclusive<u16>)> {
    let (address, _) = text.rsplit_once(':')?;
    let (version, host) = parted(address);
    let ip = match host {
        "" | "*" if version == Some(Version::V6) => Ipv6Addr::UNSPECIFIED.into(),
        "" | "*" => Ipv4Addr::UNSPECIFIED.into(),
        // What is none of IP may be one for the C library, which HAProxy asks next.
        _ => host.parse().ok().or_else(|| {
            let short = short_address(host).filter(|_| version != Some(Version::V6));
            short.map(IpAddr::from)
        })?,
    };
    Some((ip, range(text)?))
}

/// How many sockets a place of a `bind` line is, of whatever kind.
#[must_use]
pub(super) fn ports_at(place: &str) -> usize {
    range(place).map_or(1, |ports| ports.len())
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (_, ports) = text.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Whether a socket would be refused because there is one already. What else may be wrong with the
/// address is for HAProxy to tell.
#[must_use]
pub fn is_taken(listener: &Listener) -> bool {
    let tried = tried(listener, listener.at.port());
    tried.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Whether this process may not listen there, since the port is one of those below the first that anybody
/// may have. What else may keep it from that need not hold for HAProxy.
#[must_use]
pub fn is_forbidden(listener: &Listener) -> bool {
    if first_unprivileged() <= listener.at.port() {
        return false;
    }
    let tried = tried(listener, listener.at.port());
    tried.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// The first port that needs no rights; of a kernel that does not tell, what was always so.
#[must_use]
pub fn first_unprivileged() -> u16 {
    const FIRST: u16 = 1024;
    let told = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    told.map_or(FIRST, |text| text.trim().parse().unwrap_or(FIRST))
}

/// Whether nobody can listen at the address, whatever the port, since this host does not have it, or
/// it is one of IPv4 in a socket that has none of it.
#[must_use]
pub fn is_foreign(listener: &Listener) -> bool {
    if listener.is_transparent {
        return false;
    }
    // The latter: an address of a link, without which link.
    tried(listener, 0).is_err_and(|error| {
        let kind = error.kind();
        kind == ErrorKind::AddrNotAvailable || kind == ErrorKind::InvalidInput
    })
}

fn tried(listener: &Listener, port: u16) -> io::Result<()> {
    let at = SocketAddr::new(listener.at.ip(), port);
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    // As HAProxy does; without it connections that have ended would count.
    socket.set_reuse_address(true)?;
    if at.is_ipv6() && listener.is_v6_only {
        socket.set_only_v6(true)?;
    }
    if let Some(device) = &listener.device {
        // HAProxy goes on without it as well.
        _ = socket.bind_device(Some(device.as_bytes()));
    }
    socket.bind(&at.into())
}

impl Proc {
    /// Whether the process `pid` lives in our network: what it listens on is what we can try.
    #[must_use]
    pub fn shares_network(&self, pid: u32) -> bool {
        let network = |process: &str| fs::read_link(self.root().join(process).join("ns/net")).ok();
        let (theirs, ours) = (network(&pid.to_string()), network("self"));
        theirs.is_none() || ours.is_none() || theirs == ours
    }

    /// Whether one of the processes `pids` listens on `port`. One that hides what it has open is
    /// taken to: it cannot be told.
    #[must_use]
    pub fn listens(&self, pids: &[u32], port: u16) -> bool {
        let inodes = self.sockets_on(port);
        pids.iter().any(|pid| {
            let has_open = self.has_open(*pid, &inodes);
            has_open.unwrap_or_else(|| self.process(*pid).is_some())
        })
    }

    fn sockets_on(&self, port: u16) -> BTreeSet<String> {
        let all = self.listening().into_iter();
        all.filter(|(_, number)| *number == port)
            .map(|(socket, _)| socket)
            .collect()
    }

    /// Every socket that listens in our network, as a process has it open, and on which port.
    #[must_use]
    pub fn listening(&self) -> BTreeMap<String, u16> {
        let all = sockets(&self.root().join("self")).into_iter();
        all.filter(|(_, socket)| socket.listens)
            .map(|(inode, socket)| (inode, socket.port))
            .collect()
    }

    /// Those of `sockets` that the process `pid` has open; of one that hides that, all.
    #[must_use]
    pub fn held_of(&self, pid: u32, sockets: &BTreeMap<String, u16>) -> BTreeMap<String, u16> {
        let Ok(open) = fs::read_dir(self.root().join(pid.to_string()).join("fd")) else {
            return sockets.clone();
        };
        let links = open
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok());
        let held = links.filter_map(|link| sockets.get_key_value(link.to_str()?));
        held.map(|(socket, port)| (socket.clone(), *port)).collect()
    }

    /// Who listens on `port`, for people: its name and number. `None` where it hides what it has open.
    #[must_use]
    pub fn holder(&self, port: u16) -> Option<String> {
        let inodes = self.sockets_on(port);
        let entries = fs::read_dir(self.root()).ok()?.flatten();
        let mut pids: Vec<u32> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        let holds = |pid: &u32| self.has_open(*pid, &inodes) == Some(true);
        let pid = pids.into_iter().find(holds)?;
        let name = fs::read_to_string(self.root().join(format!("{pid}/comm"))).ok()?;
        Some(format!("`{}`, process {pid}", name.trim().escape_debug()))
    }

    /// Whether a process has one of these sockets open, where that can be told.
    fn has_open(&self, pid: u32, inodes: &BTreeSet<String>) -> Option<bool> {
        let open = fs::read_dir(self.root().join(pid.to_string()).join("fd")).ok()?;
        let mut targets = open.flatten().map(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            target.to_str().is_some_and(|t| inodes.contains(t))
        });
        Some(targets.any(|is_one| is_one))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read_as_haproxy_reads_them() {
        for (line, want) in [
            ("bind 0.0.0.0:80", vec!["0.0.0.0:80"]),
            ("  bind *:80 ssl crt /x", vec!["0.0.0.0:80"]),
            ("bind :80,127.0.0.1:81", vec!["0.0.0.0:80", "127.0.0.1:81"]),
            ("bind :::80 v4v6", vec!["[::]:80"]),
            ("bind [::1]:80", vec!["[::1]:80"]),
            ("bind ipv6@*:80", vec!["[::]:80"]),
            ("bind ipv4@127.0.0.1:80", vec!["127.0.0.1:80"]),
            ("bind :::80 v6only", vec!["[::]:80"]),
            ("bind *:80 interface eth0", vec!["0.0.0.0:80"]),
            ("bind *:80 namespace other", vec![]),
            ("bind \"127.0.0.1:80\"", vec!["127.0.0.1:80"]),
            ("bind tcp4@127.0.0.1:80", vec!["127.0.0.1:80"]),
            ("bind 127.1:80,10.1:81", vec!["127.0.0.1:80", "10.0.0.1:81"]),
            ("bind ipv4@0x7f.1:80", vec!["127.0.0.1:80"]),
            ("bind ipv6@127.1:80", vec![]),
            ("bind 0:80", vec!["0.0.0.0:80"]),
            ("bind *:80-81", vec!["0.0.0.0:80", "0.0.0.0:81"]),
            ("bind *:80 # interface eth0", vec!["0.0.0.0:80"]),
            ("bind /run/x.sock mode 600", vec![]),
            ("bind unix@/run/x:80", vec![]),
            ("bind fd@3", vec![]),
            ("bind *:0", vec![]),
            ("bind *:80x", vec![]),
            ("bind quic4@:443", vec![]),
            ("bind host:80", vec![]),
            ("bind-process 1", vec![]),
            ("bind", vec![]),
            ("# bind *:80", vec![]),
        ] {
            let found: Vec<String> = listeners(line).map(|l| l.at.to_string()).collect();
            assert_eq!(found, want, "{line}");
        }
    }

    #[test]
    fn ports_are_read_whatever_the_address() {
        let text = "a\n  bind *:80-82 v6only\n  bind host:9000,quic4@:443 x\n  bind /run/x\n";
        assert_eq!(Vec::from_iter(ports(text)), [80, 81, 82, 443, 9000]);
    }

    #[test]
    fn what_a_socket_differs_by_is_read_and_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (line, taken, foreign) in [
            (format!("bind *:{port} interface lo"), true, false),
            (format!("bind *:{port} interface nosuchif"), true, false),
            (format!("bind *:{port} v6only"), true, false),
            (format!("bind :::{port} v6only"), false, false),
            (format!("bind :::{port} v4v6"), true, false),
            (format!("bind *:{port} transparent"), true, false),
            ("bind 203.0.113.9:1 interface lo".to_owned(), false, true),
            ("bind 203.0.113.9:1 transparent".to_owned(), false, false),
            ("bind ::203.0.113.9:1 v6only".to_owned(), false, true),
            ("bind ::ffff:127.0.0.1:1 v6only".to_owned(), false, true),
            ("bind ::ffff:127.0.0.1:1".to_owned(), false, false),
        ] {
            let found: Vec<Listener> = listeners(&line).collect();
            let [listener] = &found[..] else {
                panic!("{line}: {found:?}")
            };
            assert_eq!(is_foreign(listener), foreign, "{line}");
            assert_eq!(is_taken(listener), taken, "{line}");
        }
    }

    #[test]
    fn a_port_is_taken_while_somebody_listens_and_trying_does_not_take_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        let is_taken = |at: SocketAddr| is_taken(&at.into());
        assert!(is_taken(address) && is_taken(anywhere));
        drop(listener);
        assert!(!is_taken(address) && !is_taken(address));
        // Nobody's address: HAProxy will say so.
        assert!(!is_taken("192.0.2.1:80".parse().unwrap()));
    }

    #[test]
    fn a_connection_that_has_ended_does_not_take_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // Who ends first waits, and here that is the side of the port.
        drop(server);
        drop((client, listener));
        assert!(!is_taken(&address.into()));
    }

    #[test]
    fn a_listener_is_led_to_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (proc, own) = (Proc::default(), std::process::id());
        assert!(proc.listens(&[own], port) && proc.shares_network(own));
        assert!(!proc.listens(&[], port));
        drop(listener);
        assert!(!proc.listens(&[own], port));
    }
}
