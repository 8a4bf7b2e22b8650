//! The page for people who look rather than read: what `status` says, the services with what HAProxy
//! counts of them, and the last lines of the log.
//!
//! It is one document without scripts, so that it can be saved, mailed, or served by anybody. All
//! texts on it are escaped by Tera: names and hosts are what app owners write.

mod services;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tera::{Context, Tera};

use self::services::{Row, Sums, rows};
pub use self::services::{Sources, Uncounted};
use super::live::Facts;

const NAME: &str = "status.html";
const TEMPLATE: &str = include_str!("../../../templates/page/status.html.tera");

static TERA: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::new();
    tera.autoescape_on([".html"]);
    let added = tera.add_raw_template(NAME, TEMPLATE);
    added.expect("the template is a part of the program, and tests render it");
    tera
});

/// Findings of one kind beyond these are counted: a fault of a template is one of each app.
const MOST_ALIKE: usize = 20;

/// Lines of the table, for a page that a browser shows at once; the filter reaches all others.
const MOST_ROWS: usize = 500;

/// After so many seconds a browser asks a watcher again.
const LIVE: u32 = 10;

/// The same where cron may write the page anew, once a minute.
const SAVED: u32 = 60;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// As it should be.
    Good,
    /// Served, and not all of it is as it should be.
    Weak,
    /// Somebody has to look.
    Bad,
}

/// What whoever looks asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only services whose name, app, hosts or port hold this; all where it is empty.
    pub filter: String,
    /// The page is to stay as it is.
    pub hold: bool,
}

impl Asked {
    /// From a query: `q` is the filter, `hold` holds. Of what stands there twice the last counts.
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let mut asked = Self::default();
        for (name, value) in query {
            match name.as_str() {
                "q" => value.trim().clone_into(&mut asked.filter),
                "hold" => asked.hold = true,
                _ => (),
            }
        }
        asked
    }
}

/// Something that `status` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, in a word or two.
    pub name: &'static str,
    /// What is so.
    pub value: String,
    /// Somebody may want to mend it.
    pub is_amiss: bool,
}

/// All that is shown.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The name of this host.
    pub host: String,
    /// The file that is kept in step.
    pub config: String,
    /// How things stand, in a sentence.
    pub verdict: String,
    /// The same at a glance.
    pub mood: Mood,
    /// When it was made.
    pub now: String,
    /// What else there is to say.
    pub findings: Vec<Finding>,
    /// What a watcher tells of itself; `None` where there is none, or it does not answer.
    pub watcher: Option<&'a Facts>,
    /// The services.
    pub services: Sources<'a>,
    /// The last lines of the log, the latest last.
    pub log: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Tile {
    name: &'static str,
    value: String,
}

impl Page<'_> {
    /// The page, of the services that were `asked` for; `None` for one that nobody answers for, as in a
    /// file.
    ///
    /// # Errors
    /// Tera's, where the template and what is shown do not fit.
    pub fn html(self, asked: Option<&Asked>) -> Result<String> {
        let uncounted = self.services.counted.as_ref().err().cloned();
        let all = rows(self.services);
        let sums = Sums::of(&all);
        let bad = all.iter().filter(|row| row.is_bad()).count();
        let of = all.len();
        let (filter, holds) = asked.map_or(("", false), |asked| (&*asked.filter, asked.hold));
        let meant: Vec<&Row> = all.iter().filter(|row| row.is_meant(filter)).collect();
        let services = &meant[..meant.len().min(MOST_ROWS)];
        let is_amiss = bad > 0
            || uncounted
                .as_ref()
                .is_some_and(|uncounted| uncounted.is_amiss);
        let mood = self
            .mood
            .max(if is_amiss { Mood::Weak } else { Mood::Good });
        let mut context = Context::new();
        context.insert(
            "tiles",
            &tiles(of, &sums, uncounted.is_none(), self.watcher),
        );
        context.insert("bad", &bad);
        context.insert("shown", &services.len());
        context.insert("meant", &meant.len());
        context.insert("of", &of);
        context.insert("services", services);
        context.insert("filter", filter);
        context.insert("holds", &holds);
        context.insert("uncounted", &uncounted.map(|uncounted| uncounted.why));
        context.insert("host", &self.host);
        context.insert("config", &self.config);
        context.insert("verdict", &self.verdict);
        context.insert("mood", &mood);
        context.insert("now", &self.now);
        context.insert("findings", &few(self.findings));
        context.insert("is_live", &asked.is_some());
        context.insert(
            "refresh_seconds",
            &if asked.is_some() { LIVE } else { SAVED },
        );
        context.insert("log", &self.log.iter().rev().collect::<Vec<_>>());
        context.insert("version", env!("CARGO_PKG_VERSION"));
        TERA.render(NAME, &context)
            .context("the page cannot be made")
    }
}

/// The first of each kind, and how many more there are.
fn few(findings: Vec<Finding>) -> Vec<Finding> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut few: Vec<Finding> = Vec::new();
    for finding in findings {
        let seen = seen.entry(finding.name).or_default();
        *seen += 1;
        if *seen <= MOST_ALIKE {
            few.push(finding);
        }
    }
    for (name, seen) in seen {
        let more = seen.saturating_sub(MOST_ALIKE);
        let last = few.iter().rposition(|finding| finding.name == name);
        if let Some(last) = last.filter(|_| more > 0) {
            let more = Finding {
                value: format!("and {more} more, which `status` tells"),
                ..few[last].clone()
            };
            few.insert(last + 1, more);
        }
    }
    few
}

fn tiles(services: usize, sums: &Sums, is_counted: bool, watcher: Option<&Facts>) -> Vec<Tile> {
    let tile = |name, value: String| Tile { name, value };
    let mut tiles = vec![tile("services", services.to_string())];
    if is_counted {
        let up = format!("{} of {}", sums.up, sums.servers);
        tiles.push(tile("servers up", up));
        tiles.push(tile("sessions", sums.sessions.to_string()));
        tiles.push(tile("new sessions/s", sums.rate.to_string()));
    } else {
        tiles.push(tile("servers", sums.servers.to_string()));
    }
    if let Some(facts) = watcher {
        let turns: u64 = facts.turns.values().sum();
        tiles.push(tile("events", facts.events.to_string()));
        tiles.push(tile("turns", turns.to_string()));
        tiles.push(tile("reloads", facts.reloads.to_string()));
    }
    tiles
}

#[cfg(test)]
mod tests;
