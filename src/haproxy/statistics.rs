//! What a process counts of its backends: `show stat`.
//!
//! In comes the reply; out go typed rows. Columns are found by their names in the header, since they
//! differ by version; a number that is missing or cannot be read is 0, because people look at these and
//! nobody acts on them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Asks for all proxies' backends, and for nothing of frontends and servers: with thousands of them
/// the answer is a fraction of the whole.
pub const SHOW_BACKENDS: &str = "show stat -1 2 -1";

/// A backend, or the backend of a `listen` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Servers that take requests, backups among them.
    pub up: u64,
    /// Sessions at this moment.
    pub sessions: u64,
    /// Requests that wait for a server.
    pub queued: u64,
    /// New sessions in the last second.
    pub rate: u64,
    /// Answers with 5xx since the process began, its own among them.
    pub answers_5xx: u64,
    /// Connections to servers that could not be made, and answers that broke off, since then.
    pub errors: u64,
}

/// The backends of a reply, by name; `None` where it is no such reply.
#[must_use]
pub fn backends(reply: &str) -> Option<BTreeMap<&str, Backend>> {
    let mut lines = reply.lines();
    let header: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name);
    let (proxy, service) = (column("pxname")?, column("svname")?);
    let numbers = [
        "act", "bck", "scur", "qcur", "rate", "hrsp_5xx", "econ", "eresp",
    ]
    .map(column);
    let mut backends = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        // Only behind these columns a text may be quoted, and hold a comma.
        let fields: Vec<&str> = line.split(',').collect();
        if fields.get(service) != Some(&"BACKEND") {
            continue;
        }
        let field = |at: Option<usize>| fields.get(at?)?.parse::<u64>().ok();
        let [
            up,
            backups,
            sessions,
            queued,
            rate,
            answers_5xx,
            refused,
            broken,
        ] = numbers.map(|at| field(at).unwrap_or_default());
        let backend = Backend {
            up: up + backups,
            sessions,
            queued,
            rate,
            answers_5xx,
            errors: refused + broken,
        };
        backends.insert(*fields.get(proxy)?, backend);
    }
    Some(backends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_counted_by_the_names_of_columns() {
        let reply = "\
# svname,pxname,scur,qcur,econ,eresp,act,bck,rate,hrsp_5xx,last_chk,
BACKEND,web_80,7,2,1,3,2,1,40,9,,
FRONTEND,web_80,1,,,,,,5,,,
s1,web_80,3,0,1,0,1,0,4,2,\"a, b\",
BACKEND,tcp_81,,,,,0,0,,,,

";
        let backends = backends(reply).unwrap();
        let expected = [
            ("tcp_81", Backend::default()),
            (
                "web_80",
                Backend {
                    up: 3,
                    sessions: 7,
                    queued: 2,
                    rate: 40,
                    answers_5xx: 9,
                    errors: 4,
                },
            ),
        ];
        assert_eq!(backends, BTreeMap::from(expected));
    }

    #[test]
    fn what_is_no_such_reply_is_told_apart_from_one_without_backends() {
        assert_eq!(backends("Unknown command: 'show stat'\n"), None);
        assert_eq!(backends("# pxname,svname\n"), Some(BTreeMap::new()));
        assert_eq!(backends("# name,of,others\n"), None);
    }
}
