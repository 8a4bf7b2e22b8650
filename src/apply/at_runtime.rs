//! Files in which nothing but servers, backends of servers alone and rows of maps is new, for a HAProxy
//! that need not read them: they are put in place as any other, and the process is told of what differs.
//!
//! Whatever goes wrong with that is made good by a reload, since the file is the whole truth.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use anyhow::Result;
use tracing::debug;

use super::last_good::Marks;
use super::proved::{has_run_but_for_servers, is_run};
use super::runtime::{self, Fallback, Frame, MapText, Text, Told};
use super::stand_ins::{self, Shortage, StandIns, cfg_seen, seen};
use super::standing::Standing;
use super::wish::Wish;
use super::{Balancer, FileSet, Host, Outcome, leftovers, mark};
use crate::diff::{self, Backends, Change};
use crate::disk::Digest;
use crate::state::{Applied, State};

/// Who is told, and of what.
pub(super) struct Way {
    pid: u32,
    /// All where it is not known what was told before.
    sections: Option<BTreeSet<String>>,
    /// Which backends it has under other names, before and after.
    stand_ins: (StandIns, StandIns),
    /// Why nothing stands in for those that come, unless HAProxy can add them.
    shortage: Option<Shortage>,
}

impl Way {
    /// It was gone, up to the file `cfg`, which is yet to be proved.
    pub(super) fn end(self, memory: &mut State, cfg: Digest, how: &str) {
        memory.told = Some(cfg);
        if let Some(applied) = &mut memory.applied {
            how.clone_into(&mut applied.how);
            let (_, then) = self.stand_ins;
            applied.used_spares.extend(then.values().cloned());
            applied.stand_ins = then;
        }
    }
}

impl<B: Balancer> Host<'_, B> {
    /// As [`Host::way_at_runtime`], also where a reload to other files was refused and is not wanted any
    /// more: HAProxy runs what it ran.
    pub(super) fn way_past_refusal(
        &self,
        before: &FileSet,
        wish: &Wish<'_>,
        memory: &mut State,
    ) -> Option<Way> {
        let is_refused = memory.pending.as_ref().is_some_and(|p| p.refused);
        let is_over = is_refused && self.is_left_alone(before, &Marks::of(before), memory);
        let refused = memory.pending.take_if(|_| is_over);
        let way = self.way_at_runtime(before, wish, memory);
        if way.is_none() && refused.is_some() {
            memory.pending = refused;
        }
        way
    }

    /// How HAProxy, which runs `before`, can be brought to what is wanted without a reload. It is
    /// decided before the files change.
    pub(super) fn way_at_runtime(
        &self,
        before: &FileSet,
        wish: &Wish<'_>,
        memory: &mut State,
    ) -> Option<Way> {
        if !is_run(before, memory) {
            return None;
        }
        self.way_from(before, wish, memory)
    }

    /// The same where HAProxy may not have been told of all servers in `before`.
    pub(super) fn way_from(
        &self,
        before: &FileSet,
        wish: &Wish<'_>,
        memory: &mut State,
    ) -> Option<Way> {
        let wanted = wish.files;
        let is_known = is_run(before, memory);
        let is_near = is_known || has_run_but_for_servers(before, memory);
        if !self.balancer.is_told_of_servers() || memory.pending.is_some() || !is_near {
            return None;
        }
        let change = match diff::compare(Some(&before.cfg), &wanted.cfg) {
            Change::Servers(servers) => Backends {
                servers,
                ..Backends::default()
            },
            Change::Backends(change) => change,
            // It was told of them, and they are only now proved.
            Change::Nothing => Backends::default(),
            Change::Structure(_) => return None,
        };
        if !wish.is_told {
            debug!("a reload is needed: the file does not carry the hash of its structure");
            return None;
        }
        if !before.maps.keys().eq(wanted.maps.keys()) {
            debug!("a reload is needed: there are other maps than before");
            return None;
        }
        let standing = self.observe(memory, wish.now);
        if matches!(standing, Standing::HasEnded | Standing::ToStart) {
            return None;
        }
        let applied = memory.applied.as_ref().filter(|applied| {
            !applied.unproved
                && applied.down.is_none()
                && applied.silent_since.is_none()
                && applied.structure_hash.as_ref() == Some(&wish.marks.structure)
        });
        let applied = applied?;
        let pid = self.pid_of(applied)?;
        let before_it = applied.stand_ins.clone();
        let texts = (&*before.cfg, &*wanted.cfg);
        let after = stand_ins::after(&before_it, &applied.used_spares, &change, texts);
        let (then, shortage) = match after {
            Ok(then) => (then, None),
            // It may be able to add them.
            Err((then, shortage)) => (then, shortage),
        };
        let sections = (standing == Standing::AsBefore && is_known).then(|| {
            let titles = change.servers.iter().map(|change| change.section.as_str());
            let names = titles.filter_map(|title| title.split_ascii_whitespace().nth(1));
            let backends = change.new.iter().chain(&change.gone).map(String::as_str);
            let known = |name| {
                let stand_in = then.get(name).or_else(|| before_it.get(name));
                stand_in.map_or(name, String::as_str).to_owned()
            };
            names.chain(backends).map(known).collect()
        });
        Some(Way {
            pid,
            sections,
            stand_ins: (before_it, then),
            shortage,
        })
    }

    /// Tells HAProxy of the servers in the installed files; the inner error says why it has to read them
    /// anew.
    pub(super) async fn at_runtime(
        &self,
        wish: &Wish<'_>,
        before: &FileSet,
        way: Way,
        memory: &mut State,
    ) -> Result<Result<Outcome, Untold>> {
        let told = match self.tell_all(before, wish.files, &way).await {
            Ok(told) => told,
            Err(untold) => return Ok(Err(untold)),
        };
        leftovers::note(memory, &told);
        self.is_still_installed(wish.files)?;
        let how = told.to_string();
        let (_, then) = way.stand_ins;
        wish.told(memory, how.clone(), way.pid, then);
        if let Some(ran) = mark::Ran::of(memory) {
            mark::set(self.disk, self.at, &wish.marks, ran);
        }
        self.keep(wish.files, &wish.marks, wish.now);
        if before == wish.files && told.is_nothing() {
            return Ok(Ok(Outcome::Unchanged));
        }
        Ok(Ok(Outcome::Applied {
            how,
            installed: before != wish.files,
            reloaded: false,
            again: false,
        }))
    }

    /// Tells HAProxy, which runs `before`, of `files`, which are installed.
    pub(super) async fn tell_all(
        &self,
        before: &FileSet,
        files: &FileSet,
        way: &Way,
    ) -> Result<Told, Untold> {
        let (before_it, then) = &way.stand_ins;
        let shown = (seen(before, before_it), seen(files, then));
        let has_changed = |name: &str| before.maps.get(name) != files.maps.get(name);
        let mut maps = self.map_texts(&shown.1, has_changed);
        if way.sections.is_some() {
            maps.retain(|map| map.has_changed);
        }
        let text = Text {
            cfg: &shown.1.cfg,
            structure: None,
            before: Some(&shown.0.cfg),
            sections: way.sections.as_ref(),
            maps: &maps,
            certificates: &[],
        };
        self.told(way.pid, text, way.shortage.as_ref()).await
    }

    /// The maps of `files`, by which HAProxy knows them.
    pub(super) fn map_texts<'f>(
        &self,
        files: &'f FileSet,
        has_changed: impl Fn(&str) -> bool,
    ) -> Vec<MapText<'f>> {
        let text = |(name, text): (&String, &'f String)| MapText {
            path: self.at.cfg.with_file_name(name).display().to_string(),
            text,
            has_changed: has_changed(name),
        };
        files.only_maps().map(text).collect()
    }

    /// What HAProxy was told, or why it has to read the files anew: where it can add no backends, the
    /// `shortage` of those that could have stood in.
    pub(super) async fn told(
        &self,
        pid: u32,
        text: Text<'_>,
        shortage: Option<&Shortage>,
    ) -> Result<Told, Untold> {
        match self.told_or_why(pid, text).await {
            Ok(told) => Ok(told),
            Err(why) => {
                let is_at_once = why.is_at_once();
                let has_no_servers = text.sections.is_some_and(BTreeSet::is_empty);
                let what = if !text.certificates.is_empty() {
                    "certificates"
                } else if has_no_servers || matches!(why, Fallback::Map(_)) {
                    "maps"
                } else if matches!(why, Fallback::Backend(_) | Fallback::Lead(_)) {
                    "backends"
                } else {
                    "servers"
                };
                let why = match (&why, shortage) {
                    (Fallback::Backend(refusal), Some(shortage)) => {
                        debug!("backends cannot be added: {refusal}");
                        shortage.to_string()
                    }
                    _ => why.to_string(),
                };
                let why = format!("{what} cannot be changed at runtime: {why}");
                Err(Untold {
                    section: None,
                    is_at_once,
                    why,
                })
            }
        }
    }

    async fn told_or_why(&self, pid: u32, text: Text<'_>) -> Result<Told, Fallback> {
        let told = self.balancer.tell(pid, text, self.at).await?;
        if !told.tombstones.is_empty() {
            let names: Vec<String> = told.tombstones.iter().map(ToString::to_string).collect();
            debug!(
                "taken away once their connections end: {}",
                names.join(", ")
            );
        }
        Ok(told)
    }

    /// Where it was not known, as behind a command that started it, it is looked for; whoever answers
    /// has to prove to be it.
    fn pid_of(&self, applied: &Applied) -> Option<u32> {
        applied
            .haproxy_pid
            .or_else(|| self.balancer.running(self.at))
    }

    /// The process that runs what is installed, where it can be told of servers.
    #[must_use]
    pub fn listener(&self, memory: &State) -> Option<u32> {
        let applied = memory.applied.as_ref()?;
        if memory.pending.is_some() {
            return None;
        }
        self.served_by(applied, memory)
    }

    /// The same whatever else waits.
    #[must_use]
    pub fn listener_meanwhile(&self, memory: &State) -> Option<u32> {
        self.served_by(memory.applied.as_ref()?, memory)
    }

    /// As it stood then.
    pub(super) fn served_by(&self, applied: &Applied, memory: &State) -> Option<u32> {
        let serves_nobody = applied.down.is_some() || applied.silent_since.is_some();
        let is_open = applied.unproved || serves_nobody;
        if is_open || !self.balancer.is_told_of_servers() {
            return None;
        }
        let pid = self.pid_of(applied)?;
        (self.standing(memory) == Standing::AsBefore).then_some(pid)
    }

    /// Tells the process `pid` of `sections`, which are installed already, in the place of those of
    /// `before`; `cfg` is the whole.
    ///
    /// # Errors
    /// Why it has to read the file anew.
    pub async fn tell_sections(
        &self,
        pid: u32,
        frame: &Frame,
        (before, sections): (&str, &str),
        cfg: &str,
        memory: &mut State,
    ) -> Result<String, Untold> {
        let [before, sections] = [before, sections].map(|text| {
            let text = cfg_known(text, memory);
            frame.around(&text)
        });
        let names = runtime::backends(&sections).into_keys().collect();
        let text = Text {
            cfg: &sections,
            structure: Some(&frame.structure),
            before: Some(&before),
            sections: Some(&names),
            maps: &[],
            certificates: &[],
        };
        let told = self.told_or_why(pid, text).await;
        remembered(told, cfg, memory)
    }

    /// Tells the process `pid` of all servers in `cfg`, which is installed already, but for those of
    /// these backends: what it was told before is not known.
    ///
    /// # Errors
    /// Why it has to read the file anew.
    pub async fn tell_all_but(
        &self,
        pid: u32,
        cfg: &str,
        but: &BTreeSet<String>,
        memory: &mut State,
    ) -> Result<String, Untold> {
        let names = runtime::backends(cfg).into_keys();
        let names: Vec<String> = names.filter(|name| !but.contains(name)).collect();
        let known = memory.applied.as_ref().map(|applied| &applied.stand_ins);
        let known = |name: String| known.and_then(|k| k.get(&name)).cloned().unwrap_or(name);
        let sections: BTreeSet<String> = names.into_iter().map(known).collect();
        let shown = cfg_known(cfg, memory);
        let text = Text {
            cfg: &shown,
            structure: None,
            before: None,
            sections: (!but.is_empty()).then_some(&sections),
            maps: &[],
            certificates: &[],
        };
        let told = self.told_or_why(pid, text).await;
        remembered(told, cfg, memory)
    }
}

/// Why HAProxy cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The backend that is in the way, where it is one alone.
    pub section: Option<String>,
    /// It was told of nothing, so that it is as it was.
    pub is_at_once: bool,
    /// In words.
    pub why: String,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Untold {
    fn of(why: &Fallback, memory: &State) -> Self {
        // It has some under other names.
        let own = |name: &str| {
            let applied = memory.applied.iter();
            let mut known = applied.flat_map(|applied| &applied.stand_ins);
            let own = known.find(|(_, stand_in)| *stand_in == name);
            own.map_or(name, |(own, _)| own).to_owned()
        };
        Self {
            section: why.section().map(own),
            is_at_once: why.is_at_once(),
            why: why.to_string(),
        }
    }
}

/// With the names that the process knows.
fn cfg_known<'t>(cfg: &'t str, memory: &State) -> Cow<'t, str> {
    let stand_ins = memory.applied.as_ref().map(|applied| &applied.stand_ins);
    stand_ins.map_or(Cow::Borrowed(cfg), |known| cfg_seen(cfg, known))
}

/// It was told of what is in `cfg`.
fn remembered(
    told: Result<Told, Fallback>,
    cfg: &str,
    memory: &mut State,
) -> Result<String, Untold> {
    let told = told.map_err(|why| Untold::of(&why, memory))?;
    leftovers::note(memory, &told);
    let how = told.to_string();
    memory.told = Some(Digest::of(cfg.as_bytes()));
    if let Some(applied) = &mut memory.applied {
        applied.how.clone_from(&how);
    }
    Ok(how)
}
