//! What the master of a master-worker HAProxy says on its socket: `show proc` and `reload`.
//!
//! In comes the path of the socket that `-S` bound; out go typed answers. The forms of 1.9 to 3.x
//! are read by the names in the header line, since columns came and went.

use std::path::Path;
use std::time::Duration;

use super::socket::{AskError, Speaker, converse};

/// The answer to `show proc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    /// The process that answers.
    pub master: Master,
    /// Those that serve.
    pub workers: Vec<Worker>,
    /// Those that finish the connections they still have.
    pub old_workers: Vec<Worker>,
}

/// The master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its process id, as it sees it.
    pub pid: u32,
    /// How often it was reloaded, failures included.
    pub reloads: u64,
    /// Failed reloads since the last good one; versions before 2.5 do not tell.
    pub failed: Option<u64>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its process id, as the master sees it.
    pub pid: u32,
    /// How many reloads it has survived.
    pub reloads: u64,
    /// Since it started: `0d00h02m07s` as the master writes it.
    pub uptime: String,
    /// Its whole version.
    pub version: String,
}

impl Processes {
    /// Reads the answer to `show proc`. `None` if it names no master.
    #[must_use]
    pub fn parse(reply: &str) -> Option<Self> {
        let mut lines = reply.lines();
        let header = lines.find_map(|line| line.trim().strip_prefix('#'))?;
        let columns = header
            .split(['<', '>'])
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let columns: Vec<&str> = columns.collect();
        let mut master = None;
        let (mut workers, mut old_workers) = (Vec::new(), Vec::new());
        let mut part = "";
        for line in lines {
            if let Some(heading) = line.trim().strip_prefix('#') {
                part = heading.trim();
                continue;
            }
            let (line, failed) = without_brackets(line);
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let field = |name: &str| {
                let column = columns.iter().position(|column| *column == name)?;
                fields.get(column).copied()
            };
            let Some(pid) = field("PID").and_then(|text| text.parse().ok()) else {
                continue;
            };
            let reloads = field("reloads")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let worker = || Worker {
                pid,
                reloads,
                uptime: field("uptime").unwrap_or_default().to_owned(),
                version: field("version").unwrap_or_default().to_owned(),
            };
            match (field("type"), part) {
                (Some("master"), _) => {
                    master = Some(Master {
                        pid,
                        reloads,
                        failed,
                    });
                }
                (Some("worker"), "old workers") => old_workers.push(worker()),
                (Some("worker"), _) => workers.push(worker()),
                _ => (),
            }
        }
        Some(Self {
            master: master?,
            workers,
            old_workers,
        })
    }

    /// The process ids of all workers, those that leave included.
    #[must_use]
    pub fn all_workers(&self) -> Vec<u32> {
        self.workers
            .iter()
            .chain(&self.old_workers)
            .map(|worker| worker.pid)
            .collect()
    }
}

/// Takes out `[failed: N]`, whose number it returns, and turns `[was: N]`, which stands in a column
/// of its own, into one word.
fn without_brackets(line: &str) -> (String, Option<u64>) {
    let mut text = String::new();
    let mut failed = None;
    let mut rest = line;
    while let Some((before, bracket)) = rest.split_once('[') {
        let (inside, after) = bracket.split_once(']').unwrap_or((bracket, ""));
        text.push_str(before);
        match inside.split_once(':') {
            Some(("failed", number)) => failed = number.trim().parse().ok(),
            _ => text.push_str(&inside.replace(' ', "")),
        }
        rest = after;
    }
    text.push_str(rest);
    (text, failed)
}

/// Asks the master that listens on `socket` for its processes.
///
/// # Errors
///
/// When it gives no answer, or one that is not a master's.
pub async fn show_proc(socket: &Path, limit: Duration) -> Result<Processes, AskError> {
    let reply = converse(socket, "show proc", limit, Speaker::Master).await?;
    Processes::parse(&reply).ok_or_else(|| AskError::Unexpected {
        socket: socket.to_owned(),
        command: "show proc".to_owned(),
        reply: reply.chars().take(200).collect(),
    })
}

/// What HAProxy complained of when it was last loaded; `None` where the master does not tell, as before
/// 2.7, or there was nothing that kept it from starting.
pub async fn startup_logs(socket: &Path, limit: Duration) -> Option<String> {
    let reply = converse(socket, "show startup-logs", limit, Speaker::Master).await;
    let logs = reply.ok()?;
    logs.contains("[ALERT]").then(|| logs.trim().to_owned())
}

/// What a master said to `reload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadReply {
    /// Nothing, as before 2.7: `show proc` has to be watched.
    Begun,
    /// `Success=1`.
    Succeeded,
    /// `Success=0`, with what HAProxy printed while it loaded.
    Failed(String),
    /// Something else, such as a lack of permission.
    Refused(String),
}

impl ReloadReply {
    /// Reads the answer to `reload`.
    #[must_use]
    pub fn parse(reply: &str) -> Self {
        let text = reply.trim();
        let (first, log) = text.split_once('\n').unwrap_or((text, ""));
        match first.trim() {
            "" => Self::Begun,
            "Success=1" => Self::Succeeded,
            "Success=0" => Self::Failed(log.trim().trim_start_matches("--").trim().to_owned()),
            _ => Self::Refused(text.to_owned()),
        }
    }
}

/// Tells the master to reload. It closes the connection by executing itself anew, which may look
/// like an error in the middle; what became of it is for `show_proc` to tell.
///
/// # Errors
///
/// When it gives no answer within `limit`.
pub async fn reload(socket: &Path, limit: Duration) -> Result<ReloadReply, AskError> {
    match converse(socket, "reload", limit, Speaker::Master).await {
        Ok(reply) => Ok(ReloadReply::parse(&reply)),
        Err(AskError::Exchange { .. }) => Ok(ReloadReply::Begun),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(pid: u32, reloads: u64, uptime: &str, version: &str) -> Worker {
        Worker {
            pid,
            reloads,
            uptime: uptime.to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn show_proc_of_2_6_is_read() {
        let reply = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n\
            17019           master          2 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u4\n\
            # workers\n\
            17076           worker          1               0d00h00m01s     2.6.12-1+deb12u4\n\
            # old workers\n\
            17050           worker          2               0d00h00m09s     2.6.12-1+deb12u4\n\
            # programs\n\
            1244            foo             0               0d00h00m00s     -\n\n";
        assert_eq!(
            Processes::parse(reply),
            Some(Processes {
                master: Master {
                    pid: 17019,
                    reloads: 2,
                    failed: Some(1)
                },
                workers: vec![worker(17076, 1, "0d00h00m01s", "2.6.12-1+deb12u4")],
                old_workers: vec![worker(17050, 2, "0d00h00m09s", "2.6.12-1+deb12u4")],
            })
        );
    }

    #[test]
    fn show_proc_of_2_0_with_its_relative_pid_is_read() {
        let reply = "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>\n\
            1162            master          0               5               0d00h02m07s     2.0.5\n\
            # workers\n\
            1271            worker          1               0               0d00h00m00s     2.0.5\n\
            1272            worker          2               0               0d00h00m00s     2.0.5\n\
            # old workers\n\
            1233            worker          [was: 1]        3               0d00h00m43s     1.9.4\n";
        let processes = Processes::parse(reply).unwrap();
        assert_eq!(
            processes.master,
            Master {
                pid: 1162,
                reloads: 5,
                failed: None
            }
        );
        assert_eq!(processes.workers.len(), 2);
        assert_eq!(
            processes.old_workers,
            [worker(1233, 3, "0d00h00m43s", "1.9.4")]
        );
        assert_eq!(processes.all_workers(), [1271, 1272, 1233]);
    }

    #[test]
    fn what_is_not_show_proc_is_none() {
        assert_eq!(Processes::parse(""), None);
        assert_eq!(Processes::parse("Permission denied\n"), None);
        assert_eq!(
            Processes::parse("#<PID> <type>\n# workers\n12 worker\n"),
            None
        );
    }

    #[test]
    fn the_answer_to_reload_tells_success_since_2_7() {
        for (reply, want) in [
            ("", ReloadReply::Begun),
            ("\n", ReloadReply::Begun),
            (
                "Success=1\n--\n[NOTICE] (1) : Loading success.\n",
                ReloadReply::Succeeded,
            ),
            ("Success=1\n", ReloadReply::Succeeded),
            (
                "Success=0\n--\n[ALERT] (1) : config : no\n",
                ReloadReply::Failed("[ALERT] (1) : config : no".to_owned()),
            ),
            (
                "Permission denied\n\n",
                ReloadReply::Refused("Permission denied".to_owned()),
            ),
        ] {
            assert_eq!(ReloadReply::parse(reply), want, "{reply:?}");
        }
    }
}
