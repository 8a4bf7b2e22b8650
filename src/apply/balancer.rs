//! HAProxy as the transaction sees it: something that judges files and can be brought to them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::path::PathBuf;
use std::time::Duration;

use super::reload::{ReloadError, Reloaded};
use super::runtime::{Fallback, Text, Told};
use super::validate::{CheckError, Verdict};
use super::{FileSet, Installation};
use crate::cluster::AppId;
use crate::disk::Digest;
use crate::haproxy::files::NamedFile;
use crate::haproxy::listen::Listener;
use crate::haproxy::open_files::Allowance;
use crate::proxy::native::CertificateNames;

/// A check of files that are not wanted: it is to find out who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// One that takes longer counts as refused.
    pub limit: Duration,
    /// Stands for what is tried: who is out. Whatever else of the files changes, the answer is the same.
    pub of: Digest,
}

/// Files of a service port that kept an earlier check from its end: nobody else is to wait for another
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The app.
    pub app: AppId,
    /// The position among its service ports.
    pub index: usize,
    /// All that is wanted, with what it asks for.
    pub files: FileSet,
}

/// Judges files and is brought to them.
pub trait Balancer {
    /// Whether HAProxy would take `files`, which are what is wanted or a try. Where checks go on beside
    /// turns, a long one is no verdict but [`CheckError::GoesOn`]; what it comes to is said when the same
    /// is asked again.
    fn check(
        &self,
        files: &FileSet,
        at: &Installation,
        tries: Option<Try>,
    ) -> impl Future<Output = Result<Verdict, CheckError>>;

    /// Whether a turn before this one was put off for a check, and nothing was decided since. What that
    /// said of a try may be of other files than are tried now.
    fn has_put_off(&self) -> bool {
        false
    }

    /// Whether [`Balancer::retry`] does something.
    fn can_retry(&self) -> bool {
        false
    }

    /// Has `retry` checked beside all else; nobody waits for what that comes to.
    fn retry(&self, retry: Retry, at: &Installation) {
        let _ = (retry, at);
    }

    /// Brings the running HAProxy to `files`, which are installed; with `may_start`, one that does
    /// not run is started if nobody else is there to do it, since we did so before.
    fn reload(
        &self,
        files: &FileSet,
        at: &Installation,
        may_start: bool,
    ) -> impl Future<Output = Result<Reloaded, ReloadError>>;

    /// Whether the process `pid` runs our files; its number may be another's by now.
    fn serves(&self, pid: u32, at: &Installation) -> bool;

    /// A process that runs our files, whoever started it; of several, the latest.
    fn running(&self, at: &Installation) -> Option<u32>;

    /// Whether it is told of new files at all.
    fn is_asked(&self) -> bool;

    /// Whether a process that runs our files would be seen here: a command may reach one that lives
    /// elsewhere.
    fn is_in_sight(&self) -> bool;

    /// Whether it can be told of servers without a reload, as far as an operator wants it.
    fn is_told_of_servers(&self) -> bool {
        false
    }

    /// The least time between two reloads.
    fn reloads_apart(&self) -> Duration {
        Duration::ZERO
    }

    /// Tells the process `pid`, which serves, of the servers of a file that is installed.
    fn tell(
        &self,
        pid: u32,
        text: Text<'_>,
        at: &Installation,
    ) -> impl Future<Output = Result<Told, Fallback>> {
        let _ = (pid, text, at);
        ready(Err(Fallback::NoSocket))
    }

    /// Whether the process `pid`, which ran `files`, still serves them, and no younger one does.
    fn still_serves(&self, pid: u32, files: &FileSet, at: &Installation) -> bool;

    /// The ports of `wanted` on which another process than our HAProxy listens, as far as can be told
    /// before HAProxy tries.
    fn taken(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<u16>;

    /// The ports of `wanted` on which HAProxy may not listen, where it has our rights.
    fn forbidden(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<u16> {
        let _ = (wanted, at);
        BTreeSet::new()
    }

    /// How many files HAProxy may open once it runs the next file; `None` where that cannot be told.
    fn open_files(&self, at: &Installation) -> Option<Allowance> {
        let _ = at;
        None
    }

    /// Who listens on a port, for people; `None` where it cannot be told.
    fn holder(&self, port: u16) -> Option<String>;

    /// Those of `wanted` that HAProxy cannot have, since this host does not have their addresses.
    fn foreign(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<Listener>;

    /// Those of `files`, which may lie below `bases`, that it could not read to their end, and why.
    fn unfit(&self, files: &BTreeSet<&NamedFile>, bases: &[PathBuf])
    -> BTreeMap<NamedFile, String>;

    /// For which hosts each of `certificates`, which may lie below `bases`, would be shown; none
    /// where that cannot be told.
    fn certificate_names(&self, certificates: &[Box<str>], bases: &[PathBuf]) -> CertificateNames {
        let _ = (certificates, bases);
        CertificateNames::new()
    }

    /// Those of `certificates`, which may lie below `bases`, that may stand in a list; none where that
    /// cannot be told.
    fn listable(&self, certificates: &[Box<str>], bases: &[PathBuf]) -> BTreeSet<Box<str>> {
        let _ = (certificates, bases);
        BTreeSet::new()
    }

    /// Whether a reload starts a HAProxy that does not run, where we started it before or not.
    fn starts(&self, started_before: bool) -> bool;
}
