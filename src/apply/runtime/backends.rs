//! Whole backends that come and go: those that say nothing of their own but servers (`addable`).
//!
//! In come the file and what HAProxy lists; out goes which it lacks and which it has left over. One
//! that comes is there before its servers and led to after them; one that goes is led to no more
//! before its servers go. Whether HAProxy can do it is seen by its answers, since the program on the
//! disk may be another than the one that runs.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use tracing::debug;

use super::converge::Refusal;
use super::fallback::Fallback;
use super::tell::{Limits, Pauses, Text};
use super::wanted::{Backend, backends};
use crate::haproxy::{Session, Version, addable};

/// What is to be done, by name.
#[derive(Debug, Default)]
pub(super) struct Backends {
    /// With their profiles.
    coming: BTreeMap<String, String>,
    going: BTreeSet<String>,
}

impl Backends {
    /// Compares what the process lists with what it should have.
    pub(super) async fn compare(session: &mut Session, text: &Text<'_>) -> Result<Self, Fallback> {
        let wanted = addable(text.cfg);
        let before = text.before.map(addable);
        let is_meant = |name: &str| match text.sections {
            None => true,
            Some(sections) => {
                let was_there = before.as_ref().is_some_and(|b| b.contains_key(name));
                sections.contains(name) && wanted.contains_key(name) != was_there
            }
        };
        // Rows are told only where all that they can name is there.
        let leads = text.maps.iter().any(|map| map.has_changed) && !wanted.is_empty();
        let mut both = wanted.keys().chain(before.iter().flat_map(BTreeMap::keys));
        if !leads && !both.any(|name| is_meant(name)) {
            return Ok(Self::default());
        }
        let present = present(session).await?;
        let mut all = Self::default();
        for (name, profile) in &wanted {
            let is_there = present.contains(*name);
            let was_there = before.as_ref().is_none_or(|b| b.contains_key(name));
            if !is_meant(name) {
                if leads && !is_there {
                    return Err(refused(name, "the process has none of this name"));
                }
                continue;
            }
            if is_there && was_there {
                continue;
            }
            if is_there {
                // Left over from one that went, perhaps with another profile.
                delete(session, name).await?.ok_or_else(|| {
                    refused(name, "one of this name went before, and is still in use")
                })?;
            }
            all.coming.insert((*name).to_owned(), (*profile).to_owned());
        }
        // Others may be those of another file that HAProxy reads beside ours.
        let gone = before.iter().flat_map(BTreeMap::keys);
        let gone = gone.filter(|name| is_meant(name) && !wanted.contains_key(*name));
        let gone = gone.filter(|name| present.contains(**name));
        all.going.extend(gone.map(|name| (*name).to_owned()));
        Ok(all)
    }

    /// They are there, and nobody is led to them yet. Where one goes that `version` keeps, nothing is told:
    /// that is found out here and not when all the rest is done.
    pub(super) async fn add(
        &self,
        session: &mut Session,
        version: Version,
    ) -> Result<(), Fallback> {
        if let Some(name) = self.going.first().filter(|_| !version.adds_backends()) {
            let why = format!("HAProxy {version} takes no backend away");
            return Err(refused(name, &why));
        }
        for (name, profile) in &self.coming {
            let command = format!("add backend {name} from {profile}");
            let reply = session.ask(&command).await?;
            let is_added = ends_with(&reply, "New backend registered.")
                || reply.contains('\n') && present(session).await?.contains(name);
            if !is_added {
                return Err(Fallback::Backend(surprise(&command, &reply)));
            }
        }
        Ok(())
    }

    /// What is wanted, with those that go, which are to have no servers.
    pub(super) fn and_going(
        &self,
        mut wanted: BTreeMap<String, Backend>,
    ) -> BTreeMap<String, Backend> {
        for name in &self.going {
            wanted.extend(backends(&format!("backend {name}\n")));
        }
        wanted
    }

    /// Their servers are there: whom a rule or a map leads there now arrives.
    pub(super) async fn publish(&self, session: &mut Session) -> Result<Vec<String>, Fallback> {
        for name in self.coming.keys() {
            let command = format!("publish backend {name}");
            let done = done(session, &command, "Backend published.").await?;
            done.map_err(Fallback::Lead)?;
        }
        Ok(self.coming.keys().cloned().collect())
    }

    /// No map leads there any more; nor does anything else.
    pub(super) async fn unpublish(&self, session: &mut Session) -> Result<(), Fallback> {
        for name in &self.going {
            let command = format!("unpublish backend {name}");
            let done = done(session, &command, "Backend unpublished.").await?;
            done.map_err(Fallback::Lead)?;
        }
        Ok(())
    }

    /// Takes away those whose servers went, and gives their names, and who is still in use: it stays
    /// without servers, and goes later or with the next reload.
    pub(super) async fn delete(
        &self,
        session: &mut Session,
        limits: Limits,
    ) -> Result<(Vec<String>, Vec<String>), Fallback> {
        let deadline = Instant::now() + limits.idle;
        let (mut deleted, mut left) = (Vec::new(), Vec::new());
        for name in &self.going {
            let mut pauses = Pauses::default();
            loop {
                if delete(session, name).await?.is_some() {
                    deleted.push(name.clone());
                    break;
                }
                if Instant::now() >= deadline {
                    left.push(name.clone());
                    break;
                }
                pauses.next().await;
            }
        }
        Ok((deleted, left))
    }
}

/// `None` where HAProxy keeps it.
async fn delete(session: &mut Session, name: &str) -> Result<Option<()>, Fallback> {
    let command = format!("del backend {name}");
    let reply = ask_until(session, &command, "Backend deleted.").await?;
    // The answer before this one was cut off.
    if ends_with(&reply, "Backend deleted.") || reply == "No such backend." {
        return Ok(Some(()));
    }
    debug!("`{command}`: {}", reply.escape_debug());
    Ok(None)
}

/// The names of all that `use_backend` can lead to.
async fn present(session: &mut Session) -> Result<BTreeSet<String>, Fallback> {
    let command = "show backend";
    let reply = session.ask(command).await?;
    let mut lines = reply.lines().map(str::trim);
    if lines.next() != Some("# name") {
        return Err(Fallback::Backend(surprise(command, &reply)));
    }
    Ok(lines
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

async fn done(
    session: &mut Session,
    command: &str,
    expected: &str,
) -> Result<Result<(), Refusal>, Fallback> {
    let reply = ask_until(session, command, expected).await?;
    if ends_with(&reply, expected) {
        return Ok(Ok(()));
    }
    Ok(Err(surprise(command, &reply)))
}

/// The answer to a command that may be given twice. Before its last line HAProxy says what it has not
/// yet said of servers that went, and cuts it off at about 1,000 bytes, with the line that counts; then
/// it is asked again.
async fn ask_until(
    session: &mut Session,
    command: &str,
    expected: &str,
) -> Result<String, Fallback> {
    let reply = session.ask(command).await?;
    if ends_with(&reply, expected) || !reply.contains('\n') {
        return Ok(reply);
    }
    debug!("`{command}` is given again: {}", reply.escape_debug());
    Ok(session.ask(command).await?)
}

fn ends_with(reply: &str, expected: &str) -> bool {
    reply.lines().next_back() == Some(expected)
}

fn surprise(command: &str, reply: &str) -> Refusal {
    let first = reply.trim().lines().next().unwrap_or_default();
    let why = if first.starts_with("Unknown command") {
        "before 3.4 HAProxy takes away no backend that it has read from its file, and is told of none \
         that comes"
            .to_owned()
    } else {
        format!("answered with `{}`", first.escape_debug())
    };
    Refusal {
        subject: format!("`{command}`"),
        why,
    }
}

fn refused(name: &str, why: &str) -> Fallback {
    Fallback::Backend(Refusal {
        subject: format!("`{name}`"),
        why: why.to_owned(),
    })
}
