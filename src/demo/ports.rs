//! Ports that nobody uses at the moment.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that Linux gives out by itself, from 32768 on: a client under load takes thousands
/// of those for the local sides of its connections, and keeps each for a minute.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Ports that this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// `count` different free TCP ports for binds of HAProxy.
///
/// They are released before this returns, since HAProxy has to bind them itself, so that in between
/// any process may get one. This one does not try a port again before it has tried all others, and
/// two processes begin at different ones, which makes that rare; a start that fails because an
/// address is in use is answered by asking for other ports.
///
/// # Errors
/// When no port is left.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let mut free = Vec::with_capacity(count);
    for _ in 0..COUNT {
        if free.len() == count {
            return Ok(free);
        }
        let port = next();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => free.push(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => (),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn next() -> u16 {
    // Processes that follow each other have numbers that do: a prime keeps them apart.
    let begin = process::id().wrapping_mul(997);
    let place = begin.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
    let offset = u16::try_from(place % u32::from(COUNT)).expect("it is less than COUNT");
    FIRST + offset
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let ports = free_ports(20).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
        let bound: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)))
            .collect();
        assert!(bound.iter().all(Result::is_ok), "{bound:?}");
    }
}
