//! The kernel's tables of sockets of TCP, `net/tcp` and `net/tcp6` of a process: those of its network.
//!
//! Source: `proc_net_tcp.rst` of the kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One that listens, or a connection that has not ended on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) listens: bool,
    /// On this host.
    pub(super) port: u16,
}

/// Those in the network of the process whose folder of `/proc` that is, each as a process has it open:
/// `socket:[INODE]`.
pub(super) fn sockets(process: &Path) -> BTreeMap<String, Socket> {
    let tables = ["net/tcp", "net/tcp6"].map(|table| process.join(table));
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = texts.iter().flat_map(|text| text.lines().skip(1));
    rows.filter_map(socket).collect()
}

fn socket(row: &str) -> Option<(String, Socket)> {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if ![ESTABLISHED, CLOSE_WAIT, LISTEN].contains(state) {
        return None;
    }
    let (_, port) = local.rsplit_once(':')?;
    let socket = Socket {
        listens: *state == LISTEN,
        port: u16::from_str_radix(port, 16).ok()?,
    };
    Some((format!("socket:[{inode}]"), socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        let row = |local: &str, state: &str| {
            let rest = "00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
            socket(&format!("   0: {local} 00000000:0000 {state} {rest}"))
        };
        let of = |listens, port| Some(("socket:[4711]".to_owned(), Socket { listens, port }));
        for (local, state, want) in [
            ("0100007F:1F90", "0A", of(true, 8080)),
            (
                "00000000000000000000000001000000:01BB",
                "01",
                of(false, 443),
            ),
            ("0100007F:1F90", "08", of(false, 8080)),
            // It has ended here, or has not begun.
            ("0100007F:1F90", "06", None),
            ("0100007F:1F90", "02", None),
            ("0100007F:1F90F", "0A", None),
            ("0100007F", "0A", None),
        ] {
            assert_eq!(row(local, state), want, "{local} {state}");
        }
        assert_eq!(socket(""), None);
    }
}
