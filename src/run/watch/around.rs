//! What happens on the host between turns: somebody edits a file, HAProxy ends.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::super::lock::installation;
use super::super::stages::renew;
use super::super::turn::Memory;
use super::configuration::{Reader, Reading, keep_fixed};
use super::files::{Changed, Files};
use super::{Watcher, now, rhythm};
use crate::apply::{Host, Installation, LocalHaproxy, Outcome, Standing};
use crate::config::{Built, Config, ReloadMethod};
use crate::disk::OsDisk;
use crate::marathon::events::Follower;
use crate::state::{Pending, State, Time};
use crate::watch::Schedule;

/// Between two looks at the process of HAProxy: a few reads below `/proc`.
const PULSE: Duration = Duration::from_secs(2);

/// The same while none runs, which takes a look at every process of the host.
const PULSE_WHILE_DOWN: Duration = Duration::from_secs(5);

/// What may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// To a file.
    Files,
    /// To HAProxy.
    Pulse,
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
    /// What was wanted last is not in service.
    is_open: bool,
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
            is_open: false,
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
        tokio::select! {
            () = self.files.next() => Seen::Files,
            () = sleep_until(self.pulse_at) => Seen::Pulse,
        }
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
        match seen {
            Seen::Files => self.look_at_files(around, follower, schedule).await,
            Seen::Pulse => {
                let is_left = self.look_at_haproxy().await;
                if is_left {
                    schedule.asked(now());
                }
                let applied = self.memory.state.applied.as_ref();
                let is_down = applied.is_some_and(|applied| applied.down.is_some());
                let pause = if is_down || is_left {
                    PULSE_WHILE_DOWN
                } else {
                    PULSE
                };
                around.pulse_at = Instant::now() + pause;
            }
        }
    }

    /// A turn that began then may have had HAProxy read other files.
    pub(super) fn look_after_turn(&mut self, around: &mut Around<'_>, began: SystemTime) {
        let applied = self.memory.state.applied.as_ref();
        let applied = applied.map(|applied| applied.cfg_hash);
        if self.looked_at == applied {
            return;
        }
        if let Ok(cfg) = std::fs::read_to_string(&self.config.haproxy.config) {
            around.files.use_certificates(&cfg, began);
        }
        self.looked_at = applied;
    }

    async fn look_at_files(
        &mut self,
        around: &mut Around<'_>,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) {
        let Changed {
            configuration,
            templates,
            pause,
        } = around.files.look();
        debug!(configuration, templates, pause, "looked at the files");
        self.troubles.sees_late(around.files.deaf());
        let mut is_read = false;
        if configuration {
            is_read = self.read_configuration(around);
        }
        if is_read || templates {
            // What is open was read, but could not be put to use.
            let asks_anew = is_read || around.is_open;
            match self.renew(around, asks_anew, follower).await {
                Ok(is_other) => {
                    self.troubles.templates(None);
                    if asks_anew {
                        schedule.keep_time(rhythm(&self.config), now());
                        schedule.hears(false, now());
                    }
                    if asks_anew || is_other {
                        schedule.asked(now());
                    }
                }
                Err(error) => self.troubles.templates(Some(&error)),
            }
        }
        if pause {
            schedule.asked(now());
        }
        if self.renew_certificates(&mut around.files).await {
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
                around.is_open = true;
                true
            }
            Err(mistakes) => {
                let sentence = mistakes.to_string().replace('\n', "; ");
                self.troubles.configuration(Some(&sentence));
                let wanted = around.config();
                around.files.become_of(files, &wanted);
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
        follower: &mut Option<Follower>,
    ) -> Result<bool> {
        let config = around.config();
        // Whatever fails does so before anything is changed.
        let anew = if asks_anew {
            Some(self.follow_anew(&config, follower).await?)
        } else {
            None
        };
        let is_other = renew(&mut self.stages, &config, asks_anew).await?;
        if let Some(anew) = anew {
            if let Some(anew) = &anew {
                self.live.hears(anew.heard());
            }
            *follower = anew;
            let is_removal_news = config.allow_removal && !self.config.allow_removal;
            self.stages.allow_removal = is_removal_news;
            // Its version may be written down now.
            self.haproxy = None;
            if let Some(address) = &self.memory.state.last_good_marathon {
                self.stages.source.client.prefer(address);
            }
            info!("the options were read again");
        } else if is_other {
            info!("the templates were read again");
        }
        self.config = config;
        around.is_open = false;
        Ok(is_other)
    }

    /// Follows what `config` names. A Marathon that was told to send its events is told to stop, and
    /// the port is free for the next one.
    async fn follow_anew(
        &mut self,
        config: &Config,
        follower: &mut Option<Follower>,
    ) -> Result<Option<Follower>> {
        if self.config.watch.callback_url.is_some()
            && let Some(old) = follower.take()
        {
            old.leave(super::LEAVE).await;
        }
        super::follower(config).inspect_err(|_| {
            if follower.is_none() {
                *follower = super::follower(&self.config).ok().flatten();
            }
        })
    }

    /// Has HAProxy read certificates that were changed. Gives whether a turn has something to do.
    async fn renew_certificates(&mut self, files: &mut Files) -> bool {
        let changed = files.certificates.changed();
        if changed.is_empty() {
            if files.certificates.are_read() {
                self.troubles.certificates(None);
            }
            return false;
        }
        let state = &self.memory.state;
        let is_open = state.pending.is_some() || state.applied.is_none();
        if is_open || state.paused.is_some() {
            // The next look finds them again.
            return false;
        }
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
        let result = self.bring_again().await;
        self.lock.leave_folder();
        let trouble = match result {
            Ok(Outcome::Applied { how, .. }) => {
                info!("HAProxy was reloaded, since its certificates were changed ({names}); {how}");
                None
            }
            Ok(Outcome::Rejected { messages }) => {
                files.certificates.were_refused();
                let messages: Vec<String> = messages.iter().map(ToString::to_string).collect();
                Some(messages.join("; "))
            }
            // The next turn makes up for it, and says so.
            Ok(_) => None,
            Err(error) => {
                files.certificates.were_refused();
                Some(format!("{error:#}"))
            }
        };
        if let Some(why) = trouble {
            let sentence = format!(
                "certificates were changed ({names}), and HAProxy goes on with those that it has \
                 read: {why}"
            );
            self.troubles.certificates(Some(&sentence));
            return false;
        }
        files.certificates.were_read();
        self.troubles.certificates(None);
        self.memory.state.pending.is_some()
    }

    /// Looks whether HAProxy ended, or came up, since it was looked at last; one that is ours to start is
    /// started with the files that it ran, whether Marathon answers or not. Gives whether something is
    /// left for a turn.
    async fn look_at_haproxy(&mut self) -> bool {
        if self.config.reload.method == ReloadMethod::None {
            return false;
        }
        let state = &self.memory.state;
        let Some(applied) = &state.applied else {
            return false;
        };
        let at = Time::at(SystemTime::now());
        // Another set is due, or this one is not yet to be tried again: turns see to that.
        let is_theirs =
            |pending: &Pending| pending.cfg_hash != applied.cfg_hash || at < pending.next_try_at;
        if state.pending.as_ref().is_some_and(is_theirs) {
            return false;
        }
        let Ok((program, version)) = self.haproxy().await else {
            return false;
        };
        let config = Rc::clone(&self.config);
        let local = LocalHaproxy::new(program, version, &config, &OsDisk);
        let place = Installation::new(&config.haproxy.config, self.memory.store.path());
        let host = |at| Host {
            disk: &OsDisk,
            balancer: &local,
            at,
        };
        if host(&place).standing(&self.memory.state) == Standing::AsBefore {
            return false;
        }
        self.enter_folder().await;
        self.memory.heed_operator();
        let place = installation(&config, self.memory.store.path(), self.lock.is_alone());
        let Memory { store, state } = &mut self.memory;
        let mut remember = |state: &State| {
            if let Some(warning) = store.save(&OsDisk, state) {
                warn!("{warning}");
            }
        };
        let result = host(&place).stand_up(state, at, &mut remember).await;
        remember(state);
        self.lock.leave_folder();
        match result {
            Ok(Some(Outcome::Unchanged | Outcome::Paused)) => false,
            Ok(Some(Outcome::Applied { how, .. })) => {
                warn!("HAProxy had ended, and was brought to the files that it ran; {how}");
                false
            }
            Ok(Some(Outcome::NotRunning { .. })) => {
                warn!(
                    "HAProxy does not run any more, and the way in which it is reloaded starts none; \
                     `{}` waits for whoever does",
                    config.haproxy.config.display()
                );
                false
            }
            Ok(Some(Outcome::ReloadFailed { error, .. })) => {
                error!("HAProxy has ended, and cannot be started: {error}");
                true
            }
            Ok(
                Some(
                    Outcome::Waiting { .. } | Outcome::Postponed { .. } | Outcome::Rejected { .. },
                )
                | None,
            ) => true,
            Err(error) => {
                error!("HAProxy has ended, and cannot be started: {error:#}");
                true
            }
        }
    }
}

fn named(files: &[PathBuf]) -> String {
    const MOST: usize = 3;
    let shown = files.iter().take(MOST);
    let mut shown: Vec<String> = shown.map(|file| format!("`{}`", file.display())).collect();
    if MOST < files.len() {
        shown.push(format!("and {} more", files.len() - MOST));
    }
    shown.join(", ")
}
