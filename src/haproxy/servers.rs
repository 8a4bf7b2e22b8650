//! What a process says of its servers: `show servers state` and `show servers conn`.
//!
//! In come the replies; out go typed rows. Columns are found by their names in the header, since
//! they came and went; a row that cannot be read spoils the whole, because whoever acts on half of
//! the truth takes servers away.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// One server of a running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// Its backend, or the `listen` section.
    pub backend: String,
    /// Unique within the backend.
    pub name: String,
    /// `id`, given or drawn.
    pub id: u32,
    /// `None` for a name that was never resolved.
    pub address: Option<IpAddr>,
    /// Where it serves.
    pub port: u16,
    /// What keeps it from requests by somebody's will.
    pub admin: Admin,
    /// What it is found to be.
    pub op: Op,
    /// As set last: `weight` of the file, until somebody sets another.
    pub weight: u16,
    /// How it is checked.
    pub check: Check,
}

/// `srv_admin_state`, a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admin(pub u32);

impl Admin {
    /// In maintenance by a command or by `disabled` in the file. That the file said `disabled` once
    /// (4) stays set when it is ready again, and means nothing.
    #[must_use]
    pub fn is_in_maintenance(self) -> bool {
        self.0 & 1 != 0
    }

    /// Drained by a command.
    #[must_use]
    pub fn is_drained(self) -> bool {
        self.0 & 8 != 0
    }

    /// In maintenance or drained because of another server, or of a name: no command of ours ends
    /// that.
    #[must_use]
    pub fn is_bound(self) -> bool {
        self.0 & (2 | 16 | 32) != 0
    }
}

/// `srv_op_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Down, or in maintenance.
    Stopped,
    /// In its `slowstart`.
    Starting,
    /// It gets requests.
    Running,
    /// It ends what it has.
    Stopping,
}

/// What is known of the checks of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Somebody wrote `check`.
    pub is_configured: bool,
    /// It is done; on servers that were added, only after `enable health`.
    pub is_enabled: bool,
    /// The last one failed.
    pub has_failed: bool,
    /// Where it dials.
    pub dials: Dials,
}

/// Where a check dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dials {
    /// Where the server serves.
    #[default]
    Server,
    /// Another port.
    Port(u16),
    /// HAProxy does not say: before 2.4.
    Untold,
}

/// A reply that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// The line.
    pub line: String,
    /// What it lacks.
    pub expected: &'static str,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.line.chars().take(200).collect();
        write!(f, "`{}`, expected {}", shown.escape_debug(), self.expected)
    }
}

impl std::error::Error for Misread {}

/// Lines below a header that names their columns.
struct Table<'a> {
    columns: Vec<&'a str>,
    rows: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn of(mut lines: impl Iterator<Item = &'a str>) -> Result<Self, Misread> {
        let header = lines.next().unwrap_or_default();
        let columns = header.strip_prefix('#').ok_or_else(|| Misread {
            line: header.to_owned(),
            expected: "a header that begins with `#`",
        })?;
        Ok(Self {
            columns: columns.split_ascii_whitespace().collect(),
            rows: lines.filter(|line| !line.trim().is_empty()).collect(),
        })
    }

    /// Where the columns of this name stand.
    fn place(&self, name: &'static str) -> Result<usize, Misread> {
        let place = self.columns.iter().position(|column| *column == name);
        place.ok_or_else(|| Misread {
            line: self.columns.join(" "),
            expected: name,
        })
    }
}

/// Reads the answer to `show servers state`.
///
/// # Errors
/// When it is none, or of a version that is not known.
pub fn states(reply: &str) -> Result<Vec<ServerState>, Misread> {
    let mut lines = reply.lines().skip_while(|line| line.trim().is_empty());
    let version = lines.next().unwrap_or_default();
    if version.trim() != "1" {
        return Err(Misread {
            line: version.to_owned(),
            expected: "version 1 of the states of servers",
        });
    }
    let table = Table::of(lines)?;
    let [
        backend,
        id,
        name,
        address,
        op,
        admin,
        weight,
        result,
        check,
        port,
        check_port,
    ] = [
        "be_name",
        "srv_id",
        "srv_name",
        "srv_addr",
        "srv_op_state",
        "srv_admin_state",
        "srv_uweight",
        "srv_check_result",
        "srv_check_state",
        "srv_port",
        "srv_check_port",
    ]
    .map(|name| table.place(name));
    let (backend, id, name, address) = (backend?, id?, name?, address?);
    let (op, admin, weight, result) = (op?, admin?, weight?, result?);
    let (check, port, check_port) = (check?, port?, check_port.ok());
    let row = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let read = || {
            let field = |place: usize| fields.get(place).copied();
            let bits: u32 = field(check)?.parse().ok()?;
            let dials = match check_port {
                None => Dials::Untold,
                Some(place) => match field(place)?.parse().ok()? {
                    0 => Dials::Server,
                    port => Dials::Port(port),
                },
            };
            Some(ServerState {
                backend: field(backend)?.to_owned(),
                name: field(name)?.to_owned(),
                id: field(id)?.parse().ok()?,
                address: match field(address)? {
                    "-" => None,
                    text => Some(text.parse().ok()?),
                },
                port: field(port)?.parse().ok()?,
                admin: Admin(field(admin)?.parse().ok()?),
                op: match field(op)? {
                    "0" => Op::Stopped,
                    "1" => Op::Starting,
                    "2" => Op::Running,
                    "3" => Op::Stopping,
                    _ => return None,
                },
                weight: field(weight)?.parse().ok()?,
                check: Check {
                    is_configured: bits & 2 != 0,
                    is_enabled: bits & 4 != 0,
                    has_failed: field(result)? == "2",
                    dials,
                },
            })
        };
        read().ok_or_else(|| Misread {
            line: (*line).to_owned(),
            expected: "the state of a server",
        })
    };
    table.rows.iter().map(row).collect()
}

/// Reads the answer to `show servers conn`: backend and server → how many connections serve
/// requests at the moment.
///
/// # Errors
/// When it is none.
pub fn used_connections(reply: &str) -> Result<BTreeMap<(String, String), u64>, Misread> {
    let table = Table::of(reply.lines().skip_while(|line| line.trim().is_empty()))?;
    let (name, used) = (table.place("bkname/svname")?, table.place("used_cur")?);
    let row = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let read = || {
            let (backend, server) = fields.get(name)?.split_once('/')?;
            let used = fields.get(used)?.parse().ok()?;
            Some(((backend.to_owned(), server.to_owned()), used))
        };
        read().ok_or_else(|| Misread {
            line: (*line).to_owned(),
            expected: "the connections of a server",
        })
    };
    table.rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_2_6: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state \
        srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status \
        srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id \
        srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr \
        srv_agent_addr srv_agent_port";

    fn rows(rows: &str) -> Result<Vec<ServerState>, Misread> {
        states(&format!("1\n{HEADER_2_6}\n{rows}\n\n"))
    }

    /// As 2.6.12 answered.
    #[test]
    fn states_are_read_as_haproxy_writes_them() {
        let read = rows(
            "3 b 11 s1 127.0.0.1 0 0 1 1 0 8 2 0 6 0 0 1 - 18001 - 0 18005 - - 18005\n\
             3 b 12 s2 ::1 2 4 7 1 0 1 0 0 8 0 0 1 - 18002 - 0 0 - - 0\n\
             3 b 13 s3 - 0 1 0 0 0 1 0 0 2 0 0 1 a.b 18003 - 0 0 - - 0",
        )
        .unwrap();
        assert_eq!(
            read[0],
            ServerState {
                backend: "b".to_owned(),
                name: "s1".to_owned(),
                id: 11,
                address: Some("127.0.0.1".parse().unwrap()),
                port: 18001,
                admin: Admin(0),
                op: Op::Stopped,
                weight: 1,
                check: Check {
                    is_configured: true,
                    is_enabled: true,
                    has_failed: true,
                    dials: Dials::Port(18005),
                },
            }
        );
        assert_eq!((read[1].op, read[1].weight), (Op::Running, 7));
        assert_eq!(read[1].address, Some("::1".parse().unwrap()));
        assert_eq!(read[1].check, Check::default());
        assert_eq!(read[2].address, None);
        assert!(read[2].check.is_configured && !read[2].check.is_enabled);
    }

    /// As 2.2.9 answered.
    #[test]
    fn before_2_4_nobody_knows_where_checks_dial() {
        let header = HEADER_2_6.split(" srv_use_ssl").next().unwrap();
        let reply =
            format!("1\n{header}\n3 b 2 slot_2 127.0.0.2 0 5 1 1 0 1 0 0 14 0 0 1 - 8080 -\n\n");
        let read = states(&reply).unwrap();
        assert_eq!((read[0].port, read[0].check.dials), (8080, Dials::Untold));
        assert!(read[0].admin.is_in_maintenance() && read[0].check.is_enabled);
    }

    #[test]
    fn a_section_without_servers_has_none() {
        assert_eq!(rows(""), Ok(Vec::new()));
        assert_eq!(
            used_connections("# bkname/svname bkid/svid addr port - purge_delay used_cur\n\n"),
            Ok(BTreeMap::new())
        );
    }

    /// Other programs took 4 for maintenance.
    #[test]
    fn bits_of_the_admin_state_are_told_apart() {
        for (bits, maintenance, drained, bound) in [
            (0, false, false, false),
            (1, true, false, false),
            (4, false, false, false),
            (5, true, false, false),
            (8, false, true, false),
            (9, true, true, false),
            (2, false, false, true),
            (16, false, false, true),
            (32, false, false, true),
        ] {
            let admin = Admin(bits);
            let got = (
                admin.is_in_maintenance(),
                admin.is_drained(),
                admin.is_bound(),
            );
            assert_eq!(got, (maintenance, drained, bound), "{bits}");
        }
    }

    #[test]
    fn what_is_no_state_of_servers_is_told_and_never_taken_for_none() {
        for reply in [
            "",
            "\n",
            "Can't find backend.\n\n",
            "Permission denied\n\n",
            "2\n# be_id\n",
            "1\n",
            "1\nbe_id be_name\n",
            "1\n# be_id be_name srv_id\n3 b 11\n",
        ] {
            assert!(states(reply).is_err(), "{reply:?}");
            assert!(used_connections(reply).is_err(), "{reply:?}");
        }
        // Cut off, or a number that is none.
        for row in [
            "3 b 11 s1 127.0.0.1 0 0 1",
            "3 b 11 s1 127.0.0.1 9 0 1 1 0 8 2 0 6 0 0 1 - 18001 - 0 0 - - 0",
            "3 b 11 s1 127.0.0.1 0 x 1 1 0 8 2 0 6 0 0 1 - 18001 - 0 0 - - 0",
            "3 b 11 s1 localhost 0 0 1 1 0 8 2 0 6 0 0 1 - 18001 - 0 0 - - 0",
        ] {
            let error = rows(row).unwrap_err();
            assert!(error.to_string().contains("expected the state"), "{error}");
        }
    }

    #[test]
    fn used_connections_are_found_by_the_name_of_their_column() {
        let of_2_6 = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max \
            need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[2]\n\
            b/s1 3/11 127.0.0.1 18001 - 5000 4 9 1 0 0 -1 2 0 2\n\
            b/s2 3/12 127.0.0.1 18002 - 5000 0 0 0 0 0 -1 0 0 0\n\n";
        let key = |server: &str| ("b".to_owned(), server.to_owned());
        assert_eq!(
            used_connections(of_2_6),
            Ok(BTreeMap::from([(key("s1"), 4), (key("s2"), 0)]))
        );
        let other = "# bkname/svname used_cur\nb/s1 3\n";
        assert_eq!(
            used_connections(other),
            Ok(BTreeMap::from([(key("s1"), 3)]))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_reply_makes_a_reader_stumble(reply in "\\PC*", row in "[ -~\n]*") {
            let _ = (states(&reply), used_connections(&reply), rows(&row));
        }
    }
}
