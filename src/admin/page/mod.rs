//! The page for people who look rather than read: what `status` says, the services with what HAProxy
//! counts of them, and the last lines of the log.
//!
//! It is one document without scripts, so that it can be saved, mailed, or served by anybody. All
//! texts on it are escaped by Tera: names and hosts are what app owners write.

mod services;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tera::{Context, Tera};

pub use self::services::Sources;
use self::services::{Row, Sums, rows};
use super::live::Facts;

const NAME: &str = "status.html";
const TEMPLATE: &str = include_str!("../../../templates/page/status.html.tera");

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// Only services whose name, app, hosts or port hold this.
    #[serde(default)]
    pub q: String,
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
        let unasked = self.services.counted.as_ref().err().cloned();
        let all = rows(self.services);
        let sums = Sums::of(&all);
        let of = all.len();
        let filter = asked.map_or("", |asked| asked.q.trim());
        let meant = all.iter().filter(|row| row.is_meant(filter));
        let services: Vec<&Row> = meant.take(MOST_ROWS).collect();
        let mut context = Context::new();
        context.insert("tiles", &tiles(of, &sums, unasked.is_none(), self.watcher));
        context.insert("shown", &services.len());
        context.insert("of", &of);
        context.insert("services", &services);
        context.insert("filter", filter);
        context.insert("unasked", &unasked);
        context.insert("host", &self.host);
        context.insert("config", &self.config);
        context.insert("verdict", &self.verdict);
        context.insert("mood", &self.mood);
        context.insert("now", &self.now);
        context.insert("findings", &self.findings);
        context.insert("is_live", &asked.is_some());
        context.insert(
            "refresh_seconds",
            &if asked.is_some() { LIVE } else { SAVED },
        );
        context.insert("log", &self.log.iter().rev().collect::<Vec<_>>());
        context.insert("version", env!("CARGO_PKG_VERSION"));
        let mut tera = Tera::new();
        tera.autoescape_on([".html"]);
        tera.add_raw_template(NAME, TEMPLATE)
            .context("the template of the page cannot be used")?;
        tera.render(NAME, &context)
            .context("the page cannot be made")
    }
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
