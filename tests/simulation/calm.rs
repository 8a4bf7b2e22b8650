//! What a watcher owes when nothing is broken any more: it catches up by itself, follows at once what
//! it is told of, asks for no more than that, and leaves alone what did not change.

use haproxy_marathon_bridge::cluster::Snapshot;
use haproxy_marathon_bridge::config::Names;
use haproxy_marathon_bridge::cycle::{Source, Stages};
use haproxy_marathon_bridge::diff::with_servers_of;
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::marathon::{self, Answer};
use haproxy_marathon_bridge::resolve::{Lookup, Resolver};
use haproxy_marathon_bridge::state::{State, Time};
use haproxy_marathon_bridge::watch::End;

use std::future::ready;
use std::io;
use std::net::IpAddr;

use haproxy_marathon_bridge::apply::FileSet;

use crate::outside::Form;
use crate::program::{recipe, renderer};
use crate::promises::{Broken, broken, check_converged};
use crate::random::Random;
use crate::stream::LONGEST_PAUSE;
use crate::world::World;

/// Milliseconds, as all times here. Three answers agree on a removal by then, each 10 s after the one
/// before, and turns that failed are tried again.
const CATCHES_UP: u64 = LONGEST_PAUSE + 30_000 + 45_000;

/// Where nothing tells it, everything is asked for after this.
const RESYNC: u64 = 300_000;

/// A reload that failed is tried again after this at the latest.
const RELOADS_AGAIN: u64 = 610_000;

/// What HAProxy refused, it is asked for again after this.
const ASKED_AGAIN: u64 = 610_000;

/// An event is there, is gathered, and is answered by a turn, which may have to wait for another one.
const FOLLOWS: u64 = 250 + 2_000 + 2 * 600;

/// Three answers have to agree on it, each a turn.
const LETS_GO: u64 = 3 * (11_000 + 600);

impl World<'_> {
    pub(crate) fn calm(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.heal();
        self.has_haproxy = true;
        self.is_calm = true;
        self.stream.is_reliable = true;
        self.check_host()?;
        self.catch_up(random)?;
        self.stay_quiet(random)?;
        for _ in 0..4 {
            self.follow(random)?;
        }
        self.follow_burst(random)?;
        self.start_again(random)
    }

    /// By itself, whatever it has missed.
    fn catch_up(&mut self, random: &mut Random) -> Result<(), Broken> {
        if self.forgot && self.setting.tells() {
            self.outside.cluster.borrow_mut().deploy_alone();
            self.count("peace without memory");
            self.tell(random);
        }
        let (memory, _) = Self::folder().load(&self.disk);
        let memory = self.program.as_ref().map_or(memory, |p| p.memory.clone());
        let mut bound = CATCHES_UP;
        if self.stream.is_open() {
            bound += RESYNC;
        } else {
            self.count("caught up by a new stream");
        }
        if memory.pending.is_some() {
            bound += RELOADS_AGAIN;
        }
        if !memory.quarantined.is_empty() {
            bound += ASKED_AGAIN;
        }
        self.live(bound, random)?;
        self.check_converged("caught up")
    }

    fn check_converged(&self, when: &str) -> Result<(), Broken> {
        check_converged(&self.outside.asked(), &self.haproxy)
            .map_err(|Broken(what)| Broken(format!("{what}, where it should have {when}")))
    }

    /// Nothing happens, and so little is done.
    fn stay_quiet(&mut self, random: &mut Random) -> Result<(), Broken> {
        let is_refused = self.program.as_ref().is_none_or(|program| {
            !program.memory.quarantined.is_empty() || matches!(program.end, End::Open(_))
        });
        // What could not be kept by the first good turn, for want of a folder, the next one keeps.
        self.ask_for_turn();
        self.live(2_000, random)?;
        let fetches = self.fetches();
        let took = 700_000;
        self.check_untouched(|world| world.live(took, random))?;
        let [whole, single] = self.fetches_since(fetches);
        // It is asked about what was refused, too.
        let most = if is_refused { 16 } else { 3 };
        if whole > most || single > 0 {
            return broken(format!(
                "nothing happened for {} s, and everything was asked for {whole} times, single apps \
                 {single} times",
                took / 1_000
            ));
        }
        Ok(())
    }

    /// A change that is told of is followed at once, and costs what it has to.
    fn follow(&mut self, random: &mut Random) -> Result<(), Broken> {
        let pause = random.pick(&[150, 700, 4_000, 20_000]);
        self.live(pause, random)?;
        if self.held {
            self.live(LETS_GO, random)?;
        }
        let (memory, _) = Self::folder().load(&self.disk);
        let is_open = memory.guard != State::default().guard;
        let ends_at = self.clock + FOLLOWS;
        let is_alone = self
            .watcher
            .as_ref()
            .is_some_and(|watcher| ends_at < watcher.timed_at)
            && !is_open
            && self.setting.form == Form::Json;
        let churned = random
            .percent(60)
            .then(|| self.outside.cluster.borrow_mut().churn(random))
            .flatten();
        let said = match &churned {
            Some(id) => format!("another task of {id}"),
            None => self.outside.cluster.borrow_mut().change(random),
        };
        self.note(&said);
        self.tell(random);
        let fetches = self.fetches();
        self.live(FOLLOWS, random)?;
        if self.held {
            self.live(LETS_GO, random)?;
        }
        self.check_converged("followed")?;
        let [whole, single] = self.fetches_since(fetches);
        if churned.is_some() && is_alone {
            self.count("one app followed");
            if whole > 0 || single == 0 {
                return broken(format!(
                    "one app had another task, and everything was asked for {whole} times, single \
                     apps {single} times"
                ));
            }
        }
        Ok(())
    }

    /// Many changes at once make few turns.
    fn follow_burst(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.live(3_000, random)?;
        let (turns, began) = (self.turns, self.clock);
        self.stream.is_prompt = true;
        for _ in 0..30 {
            self.outside.cluster.borrow_mut().churn(random);
            self.tell(random);
            let pause = random.below(90) as u64;
            self.live(pause, random)?;
        }
        let lasted = self.clock - began;
        self.live(FOLLOWS, random)?;
        self.stream.is_prompt = false;
        let turns = self.turns - turns;
        // The first, the gathered ones, and one for which it was time.
        let most = 2 + usize::try_from(lasted / 2_000).expect("it is small") + 1;
        if turns > most {
            return broken(format!("a burst of {lasted} ms made {turns} turns"));
        }
        self.count("burst followed");
        self.check_converged("followed a burst")
    }

    /// A watcher that is started again finds all in order.
    fn start_again(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.live(40_000, random)?;
        if self.unsaved {
            return Ok(());
        }
        self.end_program();
        // With a turn after the first one, which may keep an answer that was not worth it before.
        self.check_untouched(|world| world.live(20_000 + RESYNC, random))
    }

    fn fetches(&self) -> [usize; 2] {
        let outside = &self.outside;
        [outside.whole_fetches.get(), outside.single_fetches.get()]
    }

    fn fetches_since(&self, before: [usize; 2]) -> [usize; 2] {
        let [whole, single] = self.fetches();
        [whole - before[0], single - before[1]]
    }

    /// What was made of servers alone is, byte for byte, what a program would make of all apps that
    /// remembers the same and has never made anything before.
    pub(crate) fn check_light_turn(
        &mut self,
        before: Option<&FileSet>,
        mut memory: State,
        now: Time,
    ) -> Result<(), Broken> {
        if !memory.quarantined.is_empty() {
            // A whole turn tries some of it again.
            return Ok(());
        }
        let kind = self.setting.kind;
        let is_edited = self.is_edited;
        let shadow = &mut self.shadow[usize::from(is_edited)];
        let known = self.outside.known.borrow().as_ref().map(|k| k.json(0));
        let known = known.expect("somebody was asked");
        let dns = Resolver::new(NoDns, memory.addresses.clone());
        let mut stages = Stages {
            source: Known(known),
            recipe: recipe(kind),
            last_answer: None,
            takes_out_what_is_refused: true,
            resolver: Some((dns, Names::Numeric)),
            renderer: shadow.take().unwrap_or_else(|| renderer(kind, is_edited)),
            decisions: Digest::of(b"as of the others"),
            allow_removal: false,
            is_on_trial: false,
            whole: None,
            in_service: None,
            audited: None,
        };
        let before = before.map(|files| files.cfg.as_str());
        let plan = stages.plan_beside(before, None, &mut memory, now);
        let plan = self.runtime.block_on(plan);
        self.shadow[usize::from(is_edited)] = Some(stages.renderer);
        let wanted =
            plan.map_err(|error| Broken(format!("no whole turn can be taken: {error}")))?;
        self.count("light turn compared");
        let found = self.haproxy.installed();
        let stages = self.program.as_ref().map(|program| &program.stages);
        if stages.is_some_and(Stages::leaves_proof) {
            // The rest has to wait; of what is there, servers are those of now.
            let found = found.map(|files| files.cfg).unwrap_or_default();
            if with_servers_of(&found, &wanted.files.cfg).text != found {
                return broken("servers were not followed while something waited");
            }
            self.count("light turn while something waits");
            return Ok(());
        }
        // Not all maps are named by the file.
        let is_same = found.as_ref().is_some_and(|found| {
            let mut maps = found.maps.iter();
            found.cfg == wanted.files.cfg
                && maps.all(|(name, text)| wanted.files.maps.get(name) == Some(text))
        });
        if !is_same {
            let found = found.map(|files| files.cfg).unwrap_or_default();
            let wanted = wanted.files.cfg;
            let differ = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
            return broken(format!(
                "a turn for servers alone left another file than a whole one does: {differ:?}, of \
                 {} and {} lines",
                found.lines().count(),
                wanted.lines().count()
            ));
        }
        Ok(())
    }
}

/// All apps, as they are known.
struct Known(String);

impl Source for Known {
    async fn fetch(&mut self) -> anyhow::Result<Answer> {
        let (apps, warnings) = marathon::apps(&self.0)?;
        Ok(Answer {
            cluster: marathon::Cluster::Apps(Snapshot::new(apps)),
            warnings,
            from: "memory".to_owned(),
            essence: Digest::of(b""),
            body: String::new(),
        })
    }

    fn recognise(&mut self, _: Option<Digest>) {}
}

/// Whoever is asked for nothing but what is remembered.
struct NoDns;

impl Lookup for NoDns {
    fn lookup(&self, _: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static {
        ready(Err(io::Error::other("nobody is asked")))
    }
}
