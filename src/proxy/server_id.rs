//! Names, ids and cookies of servers as marathon-lb 1.15 gave them ("Names"): the same place has the
//! same ones on every host and after every restart.

use std::borrow::Cow;
use std::collections::HashSet;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::marathon_lb::cleaned;

/// `host_address_port`, or `address_port` where the host is named by its address.
pub(super) fn server_name(host: &str, address: &str, port: u16) -> String {
    let mut name = cleaned(host);
    if host != address {
        name.push('_');
        name.push_str(&cleaned(address));
    }
    name.push('_');
    name.push_str(&port.to_string());
    name
}

/// The value that binds a client to a server of this name.
pub(super) fn cookie(server_name: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, server_name.as_bytes());
    hex(&hash.as_ref()[..5])
}

/// Ids are below this.
const IDS: u64 = 32767;

/// The ids that are in use in one backend.
#[derive(Debug, Default)]
pub(super) struct ServerIds(HashSet<u32>);

impl ServerIds {
    /// For so many servers.
    pub(super) fn with_capacity(servers: usize) -> Self {
        Self(HashSet::with_capacity(servers))
    }

    /// An id for a server of this name, from 1 to 32766: the same one for the same names in the
    /// same order.
    pub(super) fn assign(&mut self, name: &str) -> u32 {
        let mut hash = digest(&SHA256, name.as_bytes());
        let mut name = Cow::Borrowed(name);
        loop {
            let id = remainder(hash.as_ref());
            if id > 0 && self.0.insert(id) {
                return id;
            }
            if self.0.len() as u64 + 1 >= IDS {
                // All are in use; HAProxy refuses the file, whatever is said here.
                return id;
            }
            name = Cow::Owned(format!("{name} {}", hex(hash.as_ref())));
            hash = digest(&SHA256, name.as_bytes());
        }
    }
}

/// Of the hash as one large number.
fn remainder(hash: &[u8]) -> u32 {
    // Four digits of a number to the base of 256 at once, by which a division is saved on three.
    let rest = hash.chunks(4).fold(0, |rest, digits| {
        let shifted = |rest, &digit: &u8| (rest << 8) | u64::from(digit);
        digits.iter().fold(rest, shifted) % IDS
    });
    u32::try_from(rest).expect("it is below 32767")
}

fn hex(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(hash.len() * 2);
    for byte in hash {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_marathon_lb() {
        for (name, want) in [
            ("0", 17068),
            ("1", 25733),
            ("a", 25929),
            ("10_0_6_25_23336", 14676),
            ("agent1_1_1_1_1_1024", 28363),
            ("10_0_0_1_31000", 28035),
            // Their first hash is no id.
            ("uudnntiqtd", 26825),
            ("rghtavdepy", 5030),
            ("ofdsehlvjo", 26512),
            ("adwquoyjfl", 24165),
            ("oebmwvpofe", 11608),
        ] {
            assert_eq!(ServerIds::default().assign(name), want, "{name}");
        }
    }

    #[test]
    fn an_id_that_is_taken_leads_to_the_next() {
        let mut ids = ServerIds::default();
        let got: Vec<u32> = (0..4).map(|_| ids.assign("10_0_0_1_31000")).collect();
        assert_eq!(got, [28035, 8455, 24925, 147]);
        let mut ids = ServerIds::default();
        for (name, want) in [
            ("yftjqzplpu", 28876),
            ("ttccbfrdhi", 7893),
            ("ilvparharq", 22002),
            ("gpagkxfzou", 21805),
            ("dcsfcvfolh", 20892),
            ("tsqkugaath", 25675),
        ] {
            assert_eq!(ids.assign(name), want, "{name}");
        }
    }

    #[test]
    fn a_backend_can_have_as_many_servers_as_there_are_ids() {
        let mut ids = ServerIds::default();
        let all: HashSet<u32> = (0..30_000).map(|n| ids.assign(&format!("s{n}"))).collect();
        assert_eq!(all.len(), 30_000);
        assert!(!all.contains(&0));
    }

    #[test]
    fn names_and_cookies_are_those_of_marathon_lb() {
        assert_eq!(server_name("10.0.0.1", "10.0.0.1", 31000), "10_0_0_1_31000");
        assert_eq!(
            server_name("agent-2.dc", "10.9.9.9", 31001),
            "agent-2_dc_10_9_9_9_31001"
        );
        for (name, want) in [
            ("agent1_1_1_1_1_1024", "d6ad48c81f"),
            ("10_0_0_1_31000", "13d473d85a"),
            ("agent-2_dc_10_9_9_9_31001", "f13f92fdf9"),
        ] {
            assert_eq!(cookie(name), want);
        }
    }
}
