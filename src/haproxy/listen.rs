//! Where a file has HAProxy listen, and whether somebody else does already.
//!
//! In comes the text of a configuration, or an address; out go addresses, or whether a `bind` to one
//! would fail. An address is tried for a moment and never listened on.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpSocket;

use super::Proc;

/// Words of a `bind` line that lead its socket away from where an ordinary one would be.
const ELSEWHERE: [&str; 4] = ["interface", "namespace", "transparent", "v6only"];

/// The addresses that the `bind` lines of `text` name by number, in their order. Names, ranges of
/// ports, sockets of files and lines that bind in an unusual way are passed over.
pub fn addresses(text: &str) -> impl Iterator<Item = SocketAddr> {
    binds(text).flat_map(|(list, options)| {
        let is_usual = !options.iter().any(|word| ELSEWHERE.contains(word));
        let list = list.split(',').filter(move |_| is_usual);
        list.filter_map(address)
    })
}

/// Every port number that `text` has HAProxy listen on, whatever the address.
#[must_use]
pub fn ports(text: &str) -> BTreeSet<u16> {
    let ranges = binds(text).flat_map(|(list, _)| list.split(',').filter_map(range));
    ranges.flatten().collect()
}

/// Address list and options of each `bind` line.
fn binds(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let list = words.next().filter(|word| *word == "bind");
        let list = list.and_then(|_| words.next())?;
        Some((list, words.take_while(|w| !w.starts_with('#')).collect()))
    })
}

/// `*:80`, `:80`, `10.0.0.1:80`, `:::80`, `[::1]:80`, `ipv4@…`, `ipv6@…`.
fn address(text: &str) -> Option<SocketAddr> {
    let (is_v6, text) = match (text.strip_prefix("ipv4@"), text.strip_prefix("ipv6@")) {
        (Some(rest), _) => (Some(false), rest),
        (_, Some(rest)) => (Some(true), rest),
        _ => (None, text),
    };
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = match (host, is_v6) {
        ("" | "*", Some(true)) => Ipv6Addr::UNSPECIFIED.into(),
        ("" | "*", _) => Ipv4Addr::UNSPECIFIED.into(),
        _ => host.parse().ok()?,
    };
    Some((ip, port).into())
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (_, ports) = text.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Whether a socket at `address` would be refused because there is one already. What else may be
/// wrong with the address is for HAProxy to tell.
#[must_use]
pub fn is_taken(address: SocketAddr) -> bool {
    let tried = || -> io::Result<()> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As HAProxy does; without it connections that have ended would count.
        socket.set_reuseaddr(true)?;
        socket.bind(address)
    };
    tried().is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Whether nobody can listen at `address`, whatever the port, since this host does not have it.
#[must_use]
pub fn is_foreign(address: IpAddr) -> bool {
    let tried = || -> io::Result<()> {
        let socket = match address {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((address, 0).into())
    };
    // The latter: an address of a link, without which link.
    tried().is_err_and(|error| {
        let kind = error.kind();
        kind == ErrorKind::AddrNotAvailable || kind == ErrorKind::InvalidInput
    })
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
        let tables = ["self/net/tcp", "self/net/tcp6"].map(|table| self.root().join(table));
        tables
            .iter()
            .flat_map(|table| listening(table, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect()
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

/// The inodes of the sockets that listen on `port`, in a table of `/proc/net`.
fn listening(table: &Path, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let text = fs::read_to_string(table).unwrap_or_default();
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (_, number) = local.rsplit_once(':')?;
        let is_it = *state == LISTEN && u16::from_str_radix(number, 16) == Ok(port);
        is_it.then(|| inode.parse().ok())?
    };
    text.lines().skip(1).filter_map(inode).collect()
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
            ("bind :::80 v6only", vec![]),
            ("bind *:80 interface eth0", vec![]),
            ("bind *:80 # interface eth0", vec!["0.0.0.0:80"]),
            ("bind /run/x.sock mode 600", vec![]),
            ("bind unix@/run/x:80", vec![]),
            ("bind fd@3", vec![]),
            ("bind *:0", vec![]),
            ("bind *:80-90", vec![]),
            ("bind quic4@:443", vec![]),
            ("bind host:80", vec![]),
            ("bind-process 1", vec![]),
            ("bind", vec![]),
            ("# bind *:80", vec![]),
        ] {
            let found: Vec<String> = addresses(line).map(|a| a.to_string()).collect();
            assert_eq!(found, want, "{line}");
        }
    }

    #[test]
    fn ports_are_read_whatever_the_address() {
        let text = "a\n  bind *:80-82 v6only\n  bind host:9000,quic4@:443 x\n  bind /run/x\n";
        assert_eq!(Vec::from_iter(ports(text)), [80, 81, 82, 443, 9000]);
    }

    #[test]
    fn a_port_is_taken_while_somebody_listens_and_trying_does_not_take_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
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
        assert!(!is_taken(address));
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
