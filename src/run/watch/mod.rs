//! `watch`, and the predecessors' ways to go on running: a turn as of `refresh` whenever Marathon tells of a change, for as long as it runs.
//!
//! Whatever fails is told once, and once when it is over; the files that are in service stay, and
//! the next turn tries again.

mod around;
mod configuration;
mod edit;
mod files;
mod ground;
mod leftovers;
mod live;
mod notify;
mod proof;
mod signals;
mod told;
mod turns;

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use self::around::Around;
use self::configuration::Reader;
use self::edit::Edit;
use self::ground::Haproxy;
use self::leftovers::Sweeps;
use self::notify::Notify;
use self::proof::Proof;
use self::signals::{Signals, Wish};
use self::told::Troubles;
use super::lock::{lock_for_life, places};
use super::site::waits_for_program;
use super::stages::stages_or_bare;
use super::turn::{Memory, save};
use crate::admin::Live;
use crate::apply::{Beside, LockPlaces, Locked, Outcome};
use crate::cluster::AppId;
use crate::config::{Config, ReloadMethod, Request, Watch};
use crate::cycle::{Marathon, Stages, goes_on};
use crate::disk::Digest;
use crate::haproxy::Version;
use crate::logging::in_one_line;
use crate::marathon::events::{Follower, Pace, Told};
use crate::render::Renderer;
use crate::resolve::{Resolver, System};
use crate::state::{Folder, State, Time};
use crate::watch::{End, FIRST_WORD, Rhythm, Schedule, WITHOUT_EVENTS};

/// Between two looks whether Marathon still knows where to send its events.
const CALLBACK_CHECK: Duration = Duration::from_secs(30);

/// For the last word to Marathon.
const LEAVE: Duration = Duration::from_secs(3);

/// A turn may take this long to its end once somebody wants ours.
const FAREWELL: Duration = Duration::from_secs(10);

pub(super) async fn watch(config: Config, request: &Request) -> Result<ExitCode> {
    // First of all, so that none is missed.
    let mut signals = Signals::listen()?;
    let mut notify = Notify::from_environment();
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    let mut around = Around::new(Reader::new(request), config, folder.path());
    let config = around.config();
    let mut watcher = tokio::select! {
        biased;
        () = signals.end() => return Ok(ExitCode::SUCCESS),
        watcher = Watcher::new(Rc::clone(&config), folder) => watcher?,
    };
    let mut follower = follower(&config)?;
    watcher.hears(follower.as_ref());
    let beside = Rc::clone(&watcher.beside);
    let live = Arc::clone(&watcher.live);
    let _desk = live::desk(&config, &live);
    if watcher.unfit.is_some() {
        around.is_refused(watcher.edit.again_at());
    }
    let first_word = follower.as_ref().map_or(Duration::ZERO, |_| FIRST_WORD);
    let mut schedule = Schedule::new(rhythm(&config), now() + first_word);
    loop {
        let has_time = !schedule.is_overdue(now());
        watcher.sweeps.heed(&watcher.memory.state.leftovers, now());
        tokio::select! {
            biased;
            wish = signals.next() => match wish {
                Wish::End => break,
                Wish::Resync => {
                    notify.reloading();
                    watcher.memory.state.ask_again();
                    watcher.stages.audited = None;
                    around.try_edit_again();
                    schedule.asked(now());
                }
                Wish::Reload => {
                    notify.reloading();
                    if !is_done(&live, watcher.reload(), &mut signals).await {
                        break;
                    }
                    notify.ready(&watcher.status());
                }
            },
            told = next(follower.as_mut()), if has_time => watcher.hear(told, &mut schedule),
            // What waited for it can be done now.
            () = beside.ends() => {
                schedule.asked(now());
                around.look_again();
                if watcher.reload_is_due && !is_done(&live, watcher.reload(), &mut signals).await {
                    break;
                }
            }
            (app, index) = beside.retried() => {
                watcher.memory.state.comes_to_an_end(&app, index);
                schedule.asked(now());
            }
            next = watcher.proof.next(), if has_time => {
                if !watcher.prove(next) {
                    schedule.changed(now());
                }
            }
            seen = around.next(), if has_time => {
                let look = watcher.look(seen, &mut around, &mut follower, &mut schedule);
                if !is_done(&live, Box::pin(look), &mut signals).await {
                    break;
                }
                watcher.live.unused(watcher.troubles.unused());
                notify.status(&watcher.status());
            }
            () = watcher.sweeps.next(), if has_time => {
                if !is_done(&live, watcher.sweep(), &mut signals).await {
                    break;
                }
            }
            () = sleep_until(schedule.due().into()) => {
                watcher.ask_for(schedule.began(now()));
                let began = SystemTime::now();
                let mut end = End::Failed;
                let turn = async {
                    end = watcher.turn().await;
                    watcher.go_back(&mut around, &mut follower, &mut schedule).await;
                    watcher.look_after_turn(&mut around, began).await;
                };
                if !is_done(&live, Box::pin(turn), &mut signals).await {
                    break;
                }
                schedule.ended(end, now());
                watcher.live.unused(watcher.troubles.unused());
                notify.ready(&watcher.status());
            }
        }
    }
    notify.stopping();
    watcher.leave_word().await;
    if let Some(follower) = follower {
        follower.leave(LEAVE).await;
    }
    info!("ends as it was asked to; what is in service stays");
    Ok(ExitCode::SUCCESS)
}

/// Does `work` to its end; `false` where somebody wants ours meanwhile. What is not done soon then
/// is left as a kill would leave it, which the next run mends.
async fn is_done(live: &Live, work: impl Future<Output = ()>, signals: &mut Signals) -> bool {
    live.works(Time::at(SystemTime::now()));
    let mut work = std::pin::pin!(async {
        work.await;
        live.rests();
    });
    tokio::select! {
        biased;
        () = signals.end() => (),
        () = &mut work => return true,
    }
    if timeout(FAREWELL, work).await.is_err() {
        warn!(
            "the turn was not done {} s after the end was asked for, and is broken off",
            FAREWELL.as_secs()
        );
    }
    false
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn rhythm(config: &Config) -> Rhythm {
    let (gather, at_most) = config.watch.debounce;
    Rhythm {
        gather,
        at_most,
        resync: config.watch.resync,
        without_events: config.watch.poll.unwrap_or(WITHOUT_EVENTS),
        chance: RandomState::new().hash_one(()) as f64 / u64::MAX as f64,
    }
}

/// Nobody where events are not to be followed: as the operator wants it, or for lack of a node.
fn follower(config: &Config) -> Result<Option<Follower>> {
    let is_saved = |url: &String| url.starts_with("file:");
    if config.watch.poll.is_some() || config.marathon.urls.iter().all(is_saved) {
        return Ok(None);
    }
    let pace = Pace::new(&config.marathon);
    let Watch {
        callback_url,
        callback_listen,
        resync,
        ..
    } = &config.watch;
    let follower = match callback_url {
        None => Follower::start(&config.marathon, &pace),
        Some(url) => {
            let check = CALLBACK_CHECK.min(*resync);
            Follower::called_back(&config.marathon, &pace, url, *callback_listen, check)
        }
    };
    follower.map(Some)
}

async fn next(follower: Option<&mut Follower>) -> Told {
    match follower {
        Some(follower) => follower.next().await,
        None => std::future::pending().await,
    }
}

/// Whoever expects tasks to come and go without a reload hears at the start why they do not. What the
/// templates fail to make is told by turns.
fn tell_what_is_told(config: &Config, renderer: &Renderer) {
    let is_told = config.reload.runtime_api && config.reload.method != ReloadMethod::None;
    if is_told && matches!(renderer.tells_structure(), Ok(false)) {
        info!(
            "HAProxy is reloaded for each task that comes or goes, in spite of `runtime-api` auto: \
             found no `description {{{{ structure }}}}` in the `global` section that the templates \
             make, expected it as in the sets native and marathon-lb, since a process tells by it what \
             it runs"
        );
    }
}

fn unfit_from_the_start(error: &anyhow::Error) -> String {
    in_one_line(&format!("{error:#}"))
}

/// Everything that outlives a turn.
struct Watcher {
    config: Rc<Config>,
    places: LockPlaces,
    lock: Locked,
    memory: Memory,
    stages: Stages<Marathon, System>,
    haproxy: Option<Haproxy>,
    /// The `haproxy.cfg` whose certificates are known, and the process that has read them.
    looked_at: Option<(Digest, Option<u32>)>,
    /// Whether the last turn found a pause.
    was_paused: bool,
    troubles: Troubles,
    /// Of files in which servers alone were new.
    proof: Proof,
    /// Of files that are to be installed, where it takes long.
    beside: Rc<Beside>,
    /// One that was asked for waits for such a check.
    reload_is_due: bool,
    /// Since when one goes on.
    checking_since: Option<Time>,
    edit: Edit,
    /// Of what HAProxy was told to let go while it was in use.
    sweeps: Sweeps,
    /// So many turns in a row were refused.
    refusals: u32,
    /// Why templates or sections of the host cannot be used since the start: there are none to go back
    /// to, and nothing is made until they are mended.
    unfit: Option<String>,
    live: Arc<Live>,
}

impl Watcher {
    async fn new(config: Rc<Config>, folder: Folder) -> Result<Self> {
        let places = places(&config, &folder);
        let lock = lock_for_life(&config, &places).await?;
        let memory = Memory::open(folder);
        let resolver = Resolver::new(System, memory.state.addresses.clone());
        let names = Some((resolver, config.policy.names));
        let (mut stages, unfit) = match waits_for_program(&config) {
            Ok(()) => stages_or_bare(&config, names).await?,
            // Its version decides how texts are written: nothing that is made without it counts.
            Err(missing) => {
                let mut any = Config::clone(&config);
                any.haproxy.version = Some((Version::NEWEST.major, Version::NEWEST.minor));
                let (stages, _) = stages_or_bare(&any, names).await?;
                (stages, Some(missing.into()))
            }
        };
        stages.source.keep();
        if unfit.is_none() {
            tell_what_is_told(&config, &stages.renderer);
        }
        if let Some(address) = &memory.state.last_good_marathon {
            stages.source.client.prefer(address);
        }
        let started = Time::at(SystemTime::now());
        let live = Live::new(process::id(), started, stages.source.client.fetched());
        Ok(Self {
            config,
            places,
            lock,
            memory,
            stages,
            haproxy: None,
            looked_at: None,
            was_paused: false,
            troubles: Troubles::default(),
            proof: Proof::default(),
            beside: Rc::default(),
            reload_is_due: false,
            checking_since: None,
            edit: Edit::default(),
            sweeps: Sweeps::default(),
            refusals: 0,
            unfit: unfit.as_ref().map(unfit_from_the_start),
            live: Arc::new(live),
        })
    }

    /// What Marathon tells, for the schedule.
    fn hear(&mut self, told: Told, schedule: &mut Schedule) {
        self.live.told(&told, Time::at(SystemTime::now()));
        if let Some(doubt) = self.live.unread() {
            self.troubles.cannot_read(&doubt, now());
        }
        match told {
            Told::Attached { from } => {
                self.troubles.hears_again(now());
                debug!("follows the events of `{from}`");
                schedule.hears(true, now());
                schedule.changed(now());
            }
            Told::Touched(apps) => {
                let names: Vec<&str> = apps.iter().map(AppId::as_str).collect();
                debug!("may have changed: {}", names.join(", "));
                schedule.touched(apps, now());
            }
            Told::Doubt(doubt) => {
                debug!("something may have changed: {doubt:?}");
                schedule.changed(now());
            }
            Told::Lost(lost) => {
                self.troubles.hears_nothing(&lost, WITHOUT_EVENTS, now());
                schedule.hears(false, now());
            }
        }
    }

    /// Who tells events from now on.
    fn hears(&mut self, follower: Option<&Follower>) {
        self.troubles.follows_another(follower.is_some());
        let heard = follower.map(Follower::heard);
        self.live.hears(heard, Time::at(SystemTime::now()));
    }

    /// Brings HAProxy to the installed files once more.
    async fn reload(&mut self) {
        let result = self.bring_again(&[]).await;
        self.lock.leave_folder();
        self.reload_is_due = result.as_ref().is_err_and(goes_on);
        match result {
            Ok(Outcome::Applied { how, .. }) => {
                info!(
                    "HAProxy was brought to the installed files again, as it was asked for; {how}"
                );
            }
            Ok(Outcome::NotRunning { .. }) => {
                warn!("HAProxy does not run, so that it cannot be brought to the installed files");
            }
            Ok(Outcome::Rejected { messages }) => {
                let all: Vec<String> = messages.iter().map(ToString::to_string).collect();
                warn!(
                    "`haproxy -c` refuses the installed files, so that HAProxy was not brought to \
                     them: {}",
                    all.join("; ")
                );
            }
            Ok(Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. }) => {
                warn!("the reload that was asked for failed: {error}");
            }
            Ok(
                Outcome::Unchanged
                | Outcome::Paused
                | Outcome::Postponed { .. }
                | Outcome::Checking,
            ) => (),
            Err(_) if self.reload_is_due => {
                info!("the reload that was asked for waits for `haproxy -c`, which goes on");
            }
            Err(error) => warn!("the reload that was asked for came to nothing: {error:#}"),
        }
    }

    async fn bring_again(&mut self, certificates: &[PathBuf]) -> Result<Outcome> {
        let haproxy = self.haproxy().await?;
        self.enter_folder().await;
        let ground = self.ground(haproxy);
        let local = ground.beside_turns();
        let host = ground.host(&local);
        let Memory { store, state } = &mut self.memory;
        let mut remember = |state: &State| save(store, state);
        let at = Time::at(SystemTime::now());
        let result = host
            .bring_again(certificates, state, at, &mut remember)
            .await;
        self.save();
        if result.as_ref().is_ok_and(live::is_reload) {
            self.live.reloaded();
        }
        result
    }

    /// Saves what is remembered; where that fails, whoever asks is told.
    fn save(&mut self) {
        self.memory.save();
        self.live.unsaved(self.memory.unsaved());
    }

    /// What HAProxy was told of, and nobody has checked yet, is remembered: else the next run would
    /// reload.
    async fn leave_word(&mut self) {
        if self.memory.state.told.is_some() {
            self.enter_folder().await;
            self.save();
            self.lock.leave_folder();
        }
    }

    /// For `systemctl status`.
    fn status(&self) -> String {
        match &self.memory.state.last_turn {
            None => "no turn was taken yet".to_owned(),
            Some(last) => {
                let at = last.at;
                match self.troubles.worst() {
                    None if self.checking_since.is_some() => {
                        format!("`haproxy -c` goes on to look at what is wanted (turn of {at})")
                    }
                    None => format!("HAProxy is in step since the turn of {at}"),
                    Some(trouble) => format!("{trouble} (turn of {at})"),
                }
            }
        }
    }
}
