//! What is remembered between runs, and the folder that holds it.
//!
//! In comes what a turn learnt; out comes what the run before knew. Nothing that is served depends
//! on it: whatever is missing, unreadable or written by a newer program costs one warning, and the
//! run goes on as the first one would.

mod app_ids;
mod folder;
mod leftovers;
mod refused_starts;
mod time;
mod unsaved;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::cluster::{AppId, Warning};
use crate::disk::Digest;

pub use folder::{Folder, SavedSnapshot, Writable, canonical};
pub use leftovers::Leftovers;
pub use refused_starts::RefusedStarts;
pub use time::Time;
pub use unsaved::Unsaved;

/// The content of `state.json`.
///
/// Fields that the file lacks take the value that a first run has, so that a file of an older
/// format is read as it stands; unknown ones are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What HAProxy was last proved to run, apart from what lies on the disk.
    pub applied: Option<Applied>,
    /// A reload that failed and has to be tried again.
    pub pending: Option<Pending>,
    /// Of the installed `haproxy.cfg`, where HAProxy was told at runtime of what differs from the one
    /// that was applied, and `haproxy -c` is yet to look at all of it.
    pub told: Option<Digest>,
    /// When HAProxy last read files anew.
    pub reloaded_at: Option<Time>,
    /// HAProxy did not start with files that `haproxy -c` accepted: the next start waits.
    pub refused_starts: Option<RefusedStarts>,
    /// What a comparison with the running HAProxy found that cannot be told, and that a reload was to
    /// mend: a second one would not.
    pub unmended: Option<String>,
    /// What came of the last turn.
    pub last_turn: Option<LastTurn>,
    /// Address of the Marathon that answered last, without user and password.
    pub last_good_marathon: Option<String>,
    /// When Marathon last asked for what is served.
    pub as_of: Option<Time>,
    /// How sure the removal guard is of a removal that it holds.
    pub guard: GuardMemory,
    /// Who serves a service port that several apps ask for.
    #[serde(with = "app_ids::values")]
    pub incumbents: BTreeMap<u32, AppId>,
    /// Who has which host and path in the native set.
    #[serde(with = "app_ids::values")]
    pub places: BTreeMap<Box<str>, AppId>,
    /// Certificates that labels bring to port 443 in the native set, in their order there.
    pub certificates: Vec<Box<str>>,
    /// What the last turn served, as the removal guard counts it: servers by app and service port.
    #[serde(with = "app_ids::keys")]
    pub service_ports: BTreeMap<AppId, BTreeMap<u32, u32>>,
    /// Addresses of the host names in use, for the time when DNS gives no answer.
    pub addresses: BTreeMap<Box<str>, IpAddr>,
    /// The answer that HAProxy was last brought to as a whole, so that it is recognised.
    pub seen: Option<Seen>,
    /// The answer in `snapshot.json`, while it is known what was made of it.
    pub answer: Option<KeptAnswer>,
    /// The certificates that HAProxy has read, so that whoever watches next finds one that was renewed
    /// meanwhile; `None` where it names none, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates_read: Option<CertificatesRead>,
    /// Set while an operator keeps the program from changing anything. It has a file of its own, see
    /// [`Writable::pause`].
    #[serde(skip)]
    pub paused: Option<Paused>,
    /// Servers that an operator wants to get no new requests. They have a file of their own, see
    /// [`Writable::drain`].
    #[serde(skip)]
    pub drained: Vec<Drained>,
    /// Service ports whose owners say something that cannot be served, by app and position.
    pub quarantined: Vec<Quarantined>,
    /// Tasks whose readiness Marathon has spoken of, while that may be asked again.
    pub readiness: ReadinessMemory,
    /// What is yet to be taken away from the running HAProxy. Whoever does not know of it finds the
    /// servers when he compares all.
    #[serde(skip)]
    pub leftovers: Leftovers,
}

impl State {
    /// Whatever is in quarantine is tried again in the next turn, and whatever waits for a start that was
    /// refused: somebody wants that, or what it was refused for may be over.
    pub fn ask_again(&mut self) {
        self.refused_starts = None;
        for entry in &mut self.quarantined {
            entry.ask_again();
        }
    }

    /// HAProxy comes to an end with it, as a try told: the next turn asks for it as for anybody.
    pub fn comes_to_an_end(&mut self, app: &AppId, index: usize) {
        let mut all = self.quarantined.iter_mut();
        if let Some(entry) = all.find(|entry| entry.app == app.as_str() && entry.index == index) {
            entry.ask_again();
            entry.unnamed = 0;
        }
    }

    /// Whether HAProxy refused what the last whole turn wanted. Servers are followed meanwhile, which
    /// changes nothing about that.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let last = self.last_turn.as_ref();
        last.is_some_and(|last| last.outcome == TurnOutcome::Rejected)
    }

    /// The turn that began then has `ended`: HAProxy may have taken minutes to refuse what it was asked,
    /// and the pause begins after them.
    pub fn asked_until(&mut self, began: Time, ended: Time) {
        let asked = self.quarantined.iter_mut();
        for entry in asked.filter(|entry| entry.asked_at == began) {
            entry.asked_at = ended;
        }
        let refused = self.refused_starts.as_mut();
        if let Some(refused) = refused.filter(|refused| refused.at == began) {
            refused.at = ended;
        }
    }
}

/// A set of files that HAProxy was proved to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Of `haproxy.cfg`.
    pub cfg_hash: Digest,
    /// Of the maps, by file name.
    #[serde(default)]
    pub map_hashes: BTreeMap<String, Digest>,
    /// Of the structure, as the file's `description` carries it.
    pub structure_hash: Option<String>,
    /// When it was proved.
    pub at: Time,
    /// How HAProxy was brought to it: the reload method, or the runtime API.
    pub how: String,
    /// It was installed only: HAProxy did not run, or was not told, as configured.
    #[serde(default)]
    pub unproved: bool,
    /// We started that process ourselves, and no service manager looks after it.
    #[serde(default)]
    pub started_by_us: bool,
    /// Why no process runs them; whoever starts HAProxy has it read them.
    #[serde(default)]
    pub down: Option<Down>,
    /// Which process ran it.
    pub haproxy_pid: Option<u32>,
    /// Since when that process does not listen any more, though it is there: a start that failed left it
    /// so, and nobody is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,
    /// Backends for which spare ones stand in there. Whatever process comes next reads the file, and has
    /// them under their own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stand_ins: BTreeMap<String, String>,
    /// Spare backends that ever stood in there. Requests for the one backend may still be under way, and
    /// would be sent to servers of the next.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub used_spares: BTreeSet<String>,
    /// How many spare backends it read in its file.
    #[serde(default)]
    pub spare_backends: usize,
}

impl Applied {
    /// Another process serves, which read the file: it has every backend under its own name.
    pub fn is_run_by(&mut self, pid: u32) {
        self.haproxy_pid = Some(pid);
        self.silent_since = None;
        self.stand_ins.clear();
        self.used_spares.clear();
    }

    /// Whether a HAProxy ran files of ours, and none does now, as far as was noticed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.down == Some(Down::HasEnded)
    }
}

/// Why no HAProxy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Down {
    /// None was ever seen.
    NeverRan,
    /// One ran files of ours, and ended.
    HasEnded,
}

/// What HAProxy has read, and never reads again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesRead {
    /// The process, where it is known.
    pub pid: Option<u32>,
    /// When.
    pub at: Time,
    /// Of what the files looked like then, so that most looks need not read them.
    pub seen: Digest,
    /// Of what they held.
    pub held: Digest,
}

/// Files that are installed and that HAProxy could not be brought to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Of the `haproxy.cfg` in question.
    pub cfg_hash: Digest,
    /// How often it failed; 0 while a turn is at it for the first time.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: String,
    /// Not before.
    pub next_try_at: Time,
    /// Of the structure of that file.
    #[serde(default)]
    pub structure_hash: Option<String>,
    /// Of the file that ran, with those servers: that was tried in vain, too, since the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_hash: Option<Digest>,
    /// Each attempt was refused, or came to nothing before HAProxy was told: the process that ran
    /// before has no reason to run anything else.
    #[serde(default)]
    pub refused: bool,
    /// No HAProxy ran when it was tried last: to start one is what failed.
    #[serde(default)]
    pub none_ran: bool,
}

/// What operators ask for first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTurn {
    /// When it began.
    pub at: Time,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// The same in a sentence, where there is more to say.
    #[serde(default)]
    pub detail: Option<String>,
    /// What was left out or held back.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// So many warnings tell of who waits until HAProxy may open more files.
    #[serde(default)]
    pub wait_for_files: usize,
    /// What HAProxy complains of in the installed files, without numbers of lines.
    #[serde(default)]
    pub haproxy_warnings: Vec<String>,
    /// Address of the Marathon that answered, without user and password.
    #[serde(default)]
    pub marathon: Option<String>,
    /// What differed from the installed file, where anything did.
    #[serde(default)]
    pub change: Option<String>,
    /// What the removal guard held back, and until when.
    #[serde(default)]
    pub held: Option<String>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnOutcome {
    /// HAProxy runs what the cluster asks for already.
    Unchanged,
    /// HAProxy was brought to it.
    Applied,
    /// The check refused the candidate; the last good files stay.
    Rejected,
    /// The files are installed, HAProxy does not run them.
    ReloadFailed,
    /// It did not come so far: Marathon, the disk, HAProxy.
    Failed,
    /// Something differs, and an operator keeps it from being applied.
    Paused,
    /// An operator went back to earlier files.
    RolledBack,
}

/// What the removal guard knows of a removal that it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardMemory {
    /// The latest full fetches that agree on it, the oldest first; none while nothing is held.
    pub fetches: Vec<Fetch>,
}

/// What Marathon said of the readiness of tasks, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadinessMemory {
    /// Those that were ready once.
    pub ready: BTreeSet<Box<str>>,
    /// Those that never were, and when that was last said.
    pub waiting: BTreeMap<Box<str>, Time>,
}

/// A full fetch that lacked most of what is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// When it came; of several close together, the first.
    pub at: Time,
    /// What it lacked, by section: `app:service_port`.
    pub lacking: BTreeMap<String, Lacking>,
}

/// What a fetch lacks of a service port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lacking {
    /// All of it.
    Whole,
    /// These servers, as `host:port`.
    Servers(BTreeSet<String>),
}

/// An answer of Marathon that was read to its end, and all that it depends on what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Of the body, as far as it is read.
    pub answer: Digest,
    /// Of the service ports that it asked for, and of what was left out of them: most of an answer
    /// reaches no file.
    #[serde(default)]
    pub asked: Option<Digest>,
    /// Of this program's version, its templates and the options that reach the files.
    pub decisions: Digest,
    /// Of the `haproxy.cfg` that was made of it; a rollback leads to another one.
    pub cfg_hash: Digest,
    /// Of what was drained then.
    #[serde(default)]
    pub drained: Option<Digest>,
}

/// Marathon's last good answer, beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// As in [`Answer`](crate::marathon::Answer).
    pub essence: Digest,
    /// Of the `haproxy.cfg` that was made of it, and that HAProxy was brought to.
    pub cfg_hash: Digest,
}

/// A service port that is not served as its owner wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The app.
    pub app: String,
    /// The position among its service ports.
    pub index: usize,
    /// As it is now wanted.
    pub service_port: u32,
    /// As its app writes it at that position: another one is another service port.
    #[serde(default)]
    pub written_port: Option<u32>,
    /// Since when.
    pub since: Time,
    /// When this was last found to be refused.
    pub asked_at: Time,
    /// Of what is said of the service port now.
    pub said: Digest,
    /// As in [`Seen`].
    pub decisions: Digest,
    /// What is wrong with that.
    pub why: Refusal,
    /// Whether others have a part in that, who may say something else at any time: then it is tried
    /// anew in each turn.
    #[serde(default)]
    pub is_open: bool,
    /// How often in a row HAProxy refused this without naming it, so that it was found by trial alone;
    /// 0 where it is known to be wrong.
    #[serde(default)]
    pub unnamed: u32,
    /// How often in a row HAProxy did not start for this, though `haproxy -c` accepted it.
    #[serde(default)]
    pub starts: u32,
    /// What was said of it when it was last served, and still is; `None` where it is left out.
    pub last_good: Option<BTreeMap<Box<str>, Box<str>>>,
}

impl Quarantined {
    /// It is tried again in the next turn, however short it is ago that it was refused.
    pub fn ask_again(&mut self) {
        self.asked_at = Time::at(SystemTime::UNIX_EPOCH);
    }

    /// Whether it is the same service port of the same app.
    #[must_use]
    pub fn is_about(&self, other: &Self) -> bool {
        self.app == other.app && self.index == other.index
    }
}

/// What a warning says, but for whose it is and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// As in [`Warning`].
    pub subject: String,
    /// As in [`Warning`].
    pub found: String,
    /// As in [`Warning`].
    pub expected: String,
}

impl Refusal {
    /// Of a warning.
    #[must_use]
    pub fn of(warning: &Warning) -> Self {
        Self {
            subject: warning.subject.clone(),
            found: warning.found.clone(),
            expected: warning.expected.clone(),
        }
    }

    /// As it was, with nothing done about it yet.
    #[must_use]
    pub fn warning(&self, app: &AppId) -> Warning {
        Warning {
            app: Some(app.clone()),
            subject: self.subject.clone(),
            found: self.found.clone(),
            expected: self.expected.clone(),
            effect: String::new(),
        }
    }
}

/// Who stopped the program from changing anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub since: Time,
    /// By whom, as far as it is known.
    pub by: String,
    /// Why, in his words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What an operator wants to get no new requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// A host or a task as Marathon names it, or a server as `host:port`.
    pub what: String,
    /// Since when.
    pub since: Time,
    /// By whom, as far as it is known.
    pub by: String,
    /// Why, in his words.
    #[serde(default)]
    pub reason: Option<String>,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            since,
            by,
            reason,
        } = self;
        write!(f, "`{what}` since {since} by {by}")?;
        match reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, by, reason } = self;
        write!(f, "paused since {since} by {by}")?;
        match reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}
