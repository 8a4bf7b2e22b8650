//! Ports that nobody uses at the moment.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// `count` different free TCP ports for binds of HAProxy.
///
/// The system picks them from its range of ephemeral ports. They are released before this
/// returns, since HAProxy has to bind them itself, so that in between any process may get one:
/// by asking for port 0 or, on loopback, as the local side of a connection. The system hands
/// them out in no order, which makes that rare; a start that fails because an address is in use
/// is answered by asking for other ports.
///
/// # Errors
/// When the system has no port left.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    // All are held until all are known, or the system could give one twice.
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
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
