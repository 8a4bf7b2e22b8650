//! What happens on the host between turns: somebody edits a file, HAProxy ends.

use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::Result;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::super::certificates::{Known, Renewal, Renewed, known, named, read as read_by};
use super::super::stages::Edited;
use super::super::turn::{Memory, save};
use super::configuration::{Reader, Reading, keep_fixed};
use super::edit::have_one_program;
use super::files::{Changed, Files};
use super::{Watcher, now, rhythm, unfit_from_the_start};
use crate::apply::{Looked, Outcome};
use crate::config::{Built, Config};
use crate::cycle::goes_on;
use crate::disk::{self, Digest};
use crate::haproxy::program::{NotInstalled, VersionError};
use crate::haproxy::{Proc, Version};
use crate::marathon::events::Follower;
use crate::state::{State, Time};
use crate::watch::{Schedule, pulse};

/// What may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// To a file.
    Files,
    /// To HAProxy.
    Pulse,
    /// Nothing that is known of, but an edit that came to nothing is due to be tried again.
    Edit,
}

/// The host around a watcher.
pub(super) struct Around<'r> {
    reader: Reader<'r>,
    files: Files,
    pulse_at: Instant,
    /// As it was read last, good or not to be put to use.
    wanted: Rc<Config>,
    /// Of that reading.
    warnings: Vec<String>,
    /// Somebody has edited since, and that could not be read.
    is_unread: bool,
    /// When an edit that came to nothing is tried again.
    again_at: Option<Instant>,
    looks_again: bool,
}

impl<'r> Around<'r> {
    /// Reads the configuration once more, so that no edit is missed after that.
    pub(super) fn new(mut reader: Reader<'r>, config: Config, state_folder: &Path) -> Self {
        let Reading { files, .. } = reader.read();
        let pause = state_folder.join("paused.json");
        let files = Files::new(files, &config, pause);
        let mut around = Self {
            reader,
            files,
            pulse_at: Instant::now(),
            wanted: Rc::new(config),
            warnings: Vec::new(),
            is_unread: false,
            again_at: None,
            looks_again: false,
        };
        // What is wrong with it by now is told when it changes again.
        let Reading { built, files } = around.reader.read();
        if let Ok(Built { config, warnings }) = built {
            around.files.become_of(files, &config);
            around.warnings = warnings;
            around.wanted = Rc::new(config);
        }
        around
    }

    pub(super) fn config(&self) -> Rc<Config> {
        Rc::clone(&self.wanted)
    }

    /// Until it is time to look at something.
    pub(super) async fn next(&mut self) -> Seen {
        let again_at = self.again_at;
        if std::mem::take(&mut self.looks_again) {
            return Seen::Files;
        }
        tokio::select! {
            () = self.files.next() => Seen::Files,
            () = sleep_until(self.pulse_at) => Seen::Pulse,
            () = sleep_until(again_at.unwrap_or(self.pulse_at)), if again_at.is_some() => Seen::Edit,
        }
    }

    /// What was wanted last came to nothing, and is tried again then if nobody edits it before.
    pub(super) fn is_refused(&mut self, again_at: Instant) {
        self.again_at = Some(again_at);
    }

    /// Whether what was read last could not be put to use.
    fn is_unused(&self, in_use: &Rc<Config>) -> bool {
        !Rc::ptr_eq(&self.wanted, in_use)
    }

    /// What was changed and had to wait is looked for once more.
    pub(super) fn look_again(&mut self) {
        self.looks_again = true;
    }

    /// Somebody asks for everything to be looked at.
    pub(super) fn try_edit_again(&mut self) {
        self.again_at = self.again_at.map(|_| Instant::now());
    }
}

impl Watcher {
    /// Answers what may have happened.
    pub(super) async fn look(
        &mut self,
        seen: Seen,
        around: &mut Around<'_>,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) {
        self.troubles.time_goes_on(now());
        match seen {
            Seen::Files => self.look_at_files(false, around, follower, schedule).await,
            Seen::Edit => self.look_at_files(true, around, follower, schedule).await,
            Seen::Pulse => {
                let looked = self.look_at_haproxy().await;
                if looked == Looked::Left {
                    schedule.asked(now());
                }
                let applied = self.memory.state.applied.as_ref();
                let is_down = applied.is_some_and(|applied| applied.down.is_some());
                let pause = pulse(is_down || looked != Looked::Done);
                around.pulse_at = Instant::now() + pause;
            }
        }
    }

    /// A turn that began then may have had HAProxy read other files.
    pub(super) async fn look_after_turn(&mut self, around: &mut Around<'_>, began: SystemTime) {
        let is_paused = self.memory.state.paused.is_some();
        if std::mem::replace(&mut self.was_paused, is_paused) && !is_paused {
            // Certificates that were changed meanwhile were left as they are.
            around.look_again();
        }
        let applied = self.applied();
        if self.looked_at == applied {
            return;
        }
        let mut are_others = false;
        if let Ok(cfg) = disk::read_text(&self.config.haproxy.config, disk::LARGEST_MADE) {
            let renewed = self.renewed_before(&cfg);
            let files = &mut around.files;
            are_others = files.use_certificates(&cfg, began, renewed.as_ref());
        }
        let pid = |looked_at: Option<(_, Option<u32>)>| looked_at.and_then(|(_, pid)| pid);
        are_others |= pid(self.looked_at) != pid(applied);
        self.looked_at = applied;
        if are_others {
            self.remember_certificates(&around.files).await;
        }
    }

    /// Which `haproxy.cfg` is run, and by which process.
    fn applied(&self) -> Option<(Digest, Option<u32>)> {
        let applied = self.memory.state.applied.as_ref();
        applied.map(|applied| (applied.cfg_hash, applied.haproxy_pid))
    }

    /// What became of certificates before this watcher, where HAProxy is the one of then.
    fn renewed_before(&self, cfg: &str) -> Option<Renewed> {
        let is_first = self.looked_at.is_none();
        match is_first.then(|| known(cfg, &self.memory.state)) {
            Some(Known::Renewed(renewed)) => Some(renewed),
            Some(Known::AsRead | Known::Nothing) | None => None,
        }
    }

    /// Remembers what HAProxy has read for who comes next, where that is all of them.
    async fn remember_certificates(&mut self, files: &Files) {
        if files.certificates.as_read().is_none() {
            return;
        }
        // An operator may have had HAProxy read other files meanwhile, of which this says nothing.
        let applied = self.applied();
        self.enter_folder().await;
        if self.applied() == applied && self.certificates_are_read(files) {
            self.save();
        }
        self.lock.leave_folder();
    }

    fn certificates_are_read(&mut self, files: &Files) -> bool {
        let state = &mut self.memory.state;
        let is_open = state.pending.is_some();
        let is_run = state
            .applied
            .as_ref()
            .is_some_and(|applied| !applied.unproved);
        let read = files.certificates.as_read().filter(|_| is_run && !is_open);
        let read = read.map(|(files, contents)| read_by(state, files, contents, SystemTime::now()));
        let is_news = read.is_some();
        state.certificates_read = read.or(state.certificates_read);
        is_news
    }

    async fn look_at_files(
        &mut self,
        tries_again: bool,
        around: &mut Around<'_>,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) {
        let changed = around.files.look();
        debug!(?changed, tries_again, "looked at the files");
        let has_changed = |what| changed.contains(&what);
        self.troubles.sees_late(around.files.deaf());
        let mut is_read = false;
        if has_changed(Changed::Configuration) {
            self.edit.is_another();
        }
        if has_changed(Changed::Configuration) || tries_again && around.is_unread {
            is_read = self.read_configuration(around);
        }
        if has_changed(Changed::Program) || has_changed(Changed::Certificates) {
            self.beside.forget();
        }
        // The version of the program decides how texts are written.
        let are_texts_others = has_changed(Changed::Templates) || has_changed(Changed::Program);
        if are_texts_others {
            self.edit.is_another();
        }
        if is_read || are_texts_others || tries_again {
            around.again_at = None;
            // Else templates alone were refused.
            let asks_anew = is_read || around.is_unused(&self.config);
            let what = if asks_anew {
                Some("the options")
            } else {
                let is_edit = has_changed(Changed::Templates);
                is_edit.then_some("the templates").or(self.edit.untried)
            };
            self.edit.untried = None;
            match self
                .renew(around, asks_anew, what, follower, schedule)
                .await
            {
                Ok(is_other) => {
                    if asks_anew || is_other {
                        schedule.asked(now());
                    }
                }
                Err(error) => {
                    // A program that turns have to do without, too, is told by them.
                    let is_of_program = error.is::<NotInstalled>() || error.is::<VersionError>();
                    let is_told = is_of_program && have_one_program(&around.wanted, &self.config);
                    if self.unfit.is_some() {
                        // Nothing counted before; the next turn says so.
                        self.unfit = Some(unfit_from_the_start(&error));
                        schedule.asked(now());
                    } else if is_told {
                        debug!("texts cannot be made: {error:#}");
                    } else {
                        self.troubles.templates(Some(&format!("{error:#}")));
                    }
                    self.edit.untried = what;
                    around.is_refused(self.edit.again_at());
                }
            }
        }
        if around.is_unread && around.again_at.is_none() {
            // What kept it from being read may be over without a trace in the file.
            around.is_refused(self.edit.again_at());
        }
        let is_left = self.renew_certificates(&mut around.files).await;
        // They may have been what a turn came to nothing for.
        if has_changed(Changed::Certificates) {
            around.try_edit_again();
        }
        let is_mended = has_changed(Changed::Program)
            || has_changed(Changed::Certificates) && self.refusals > 0;
        if has_changed(Changed::Pause) || is_left || is_mended {
            schedule.asked(now());
        }
    }

    /// Whether there is another one to be put to use.
    fn read_configuration(&mut self, around: &mut Around<'_>) -> bool {
        let Reading { built, files } = around.reader.read();
        match built {
            Ok(Built {
                mut config,
                warnings,
            }) => {
                self.troubles.configuration(None);
                let kept = keep_fixed(&mut config, &self.config);
                self.troubles.fixed(kept.as_deref());
                for warning in &warnings {
                    if !around.warnings.contains(warning) {
                        warn!("{warning}");
                    }
                }
                around.warnings = warnings;
                around.files.become_of(files, &config);
                around.wanted = Rc::new(config);
                around.is_unread = false;
                true
            }
            Err(mistakes) => {
                let sentence = mistakes.to_string().replace('\n', "; ");
                self.troubles.configuration(Some(&sentence));
                let wanted = around.config();
                around.files.become_of(files, &wanted);
                around.is_unread = true;
                false
            }
        }
    }

    /// Puts to use what was read last, with templates as they are now; all of it or nothing. Gives
    /// whether the installed files may become others.
    async fn renew(
        &mut self,
        around: &mut Around<'_>,
        asks_anew: bool,
        what: Option<&'static str>,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) -> Result<bool> {
        let config = around.config();
        // Whatever fails does so before anything is changed.
        let edited = Edited::read(&config, asks_anew).await?;
        if asks_anew {
            self.follow(&config, follower, schedule).await?;
            let is_removal_news = config.allow_removal && !self.config.allow_removal;
            self.stages.allow_removal = is_removal_news;
            // Its version may be written down now.
            self.haproxy = None;
        }
        Ok(self.put_to_use(edited, config, what))
    }

    /// Follows what `config` names, in its rhythm. A Marathon that was told to send its events is told to
    /// stop before, so that the port is free for the next one.
    ///
    /// # Errors
    /// When that cannot be followed: what the options in use name is, as far as possible.
    pub(super) async fn follow(
        &mut self,
        config: &Config,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) -> Result<()> {
        if let Some(old) = follower.take_if(|old| old.is_called_back()) {
            old.leave(super::LEAVE).await;
        }
        let result = super::follower(config).map(|anew| *follower = anew);
        let in_use = match &result {
            Ok(()) => config,
            // Whoever was not left tells events as before.
            Err(_) if follower.is_some() => return result,
            Err(_) => {
                match super::follower(&self.config) {
                    Ok(old) => *follower = old,
                    Err(error) => warn!("the events of before cannot be followed: {error:#}"),
                }
                &self.config
            }
        };
        schedule.keep_time(rhythm(in_use), now());
        self.hears(follower.as_ref());
        schedule.hears(false, now());
        result
    }

    /// Has HAProxy show certificates that were changed. Gives whether a turn has something to do.
    async fn renew_certificates(&mut self, files: &mut Files) -> bool {
        let changed = files.certificates.changed();
        if changed.is_empty() {
            if files.certificates.are_read() {
                self.troubles.certificates(None);
            }
            return false;
        }
        let state = &self.memory.state;
        if state.applied.is_none() || state.paused.is_some() {
            // The next look finds them again.
            return false;
        }
        let is_pending = state.pending.is_some();
        if state
            .applied
            .as_ref()
            .is_some_and(|applied| applied.down.is_some())
        {
            // Whoever starts it has it read them.
            files.certificates.were_read();
            return false;
        }
        let names = named(&changed);
        let result = self.bring_again(&changed).await;
        self.lock.leave_folder();
        // They are found again once it has ended.
        if result.as_ref().is_err_and(goes_on) {
            return false;
        }
        if is_pending && matches!(result, Ok(Outcome::Postponed { .. })) {
            // Whatever becomes of that reload, the next look finds them again.
            self.troubles.certificates(Some(&format!(
                "certificates were changed ({names}); HAProxy cannot be told of them, and goes on with \
                 those that it has read until the reload that failed is made good"
            )));
            return false;
        }
        if let Err(error) = Renewal::of(result, &names) {
            files.certificates.were_refused();
            self.troubles.certificates(Some(&format!("{error:#}")));
            return false;
        }
        files.certificates.were_read();
        self.troubles.certificates(None);
        self.remember_certificates(files).await;
        self.memory.state.pending.is_some()
    }

    /// Looks whether HAProxy ended, or came up, since it was looked at last; one that is ours to start is
    /// started with the files that it ran, whether Marathon answers or not, and whatever else waits.
    async fn look_at_haproxy(&mut self) -> Looked {
        if self.memory.state.applied.is_none() {
            return Looked::Done;
        }
        let at = Time::at(SystemTime::now());
        let haproxy = match self.haproxy().await {
            Ok(haproxy) => haproxy,
            Err(error) => {
                self.lacks_program(&error);
                return Looked::Done;
            }
        };
        let ground = self.ground(haproxy.clone());
        if !ground
            .host(&ground.haproxy())
            .is_missed(&self.memory.state, at)
        {
            return Looked::Done;
        }
        self.enter_folder().await;
        let ground = self.ground(haproxy);
        let local = ground.haproxy();
        let host = ground.host(&local);
        let Memory { store, state } = &mut self.memory;
        let mut remember = |state: &State| save(store, state);
        let looked = host.look_after(state, at, &mut remember).await;
        self.save();
        self.lock.leave_folder();
        looked
    }

    /// A process whose program is gone may be hard to tell from others, so that nothing is said while
    /// its number is in use.
    fn lacks_program(&self, error: &anyhow::Error) {
        let state = &self.memory.state;
        let pid = state
            .applied
            .as_ref()
            .and_then(|applied| applied.haproxy_pid);
        let is_there = |pid: u32| Proc::default().process(pid).is_some();
        if pid.is_some_and(is_there) {
            return;
        }
        // Its version says nothing of processes.
        let ground = self.known_ground().unwrap_or_else(|| {
            let program = self.config.haproxy.program.clone();
            self.ground((program, Version::NEWEST))
        });
        let local = ground.haproxy();
        ground.host(&local).is_lost(state, &format!("{error:#}"));
    }
}
