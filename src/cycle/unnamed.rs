//! A refusal of HAProxy that names nobody, led back to those whose text it is about.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tracing::debug;

use super::Stages;
use super::plan::{Plan, refused};
use super::source::Source;
use super::suspects::{Found, Suspects};
use super::wanted::Cause;
use crate::apply::validate::{Severity, Verdict};
use crate::apply::{Accepted, Balancer, CheckMessage, Host, Try};
use crate::cluster::Warning;
use crate::disk::Digest;
use crate::labels::{self, Template};
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Https, Service};
use crate::resolve::Lookup;

/// What is left of files of which HAProxy told what is wrong takes it as long as any other.
const LONGEST_TRY: Duration = Duration::from_secs(60);

/// After a check without an end, what is left without all who are suspected is about what is installed,
/// which takes seconds.
const LONGEST_TRY_OF_A_WAIT: Duration = Duration::from_secs(20);

/// So often it is tried where many are suspected still. No clock counts here: a search that has to wait
/// for HAProxy is begun again, and has to come to the same point.
const MOST_TRIES: usize = 40;

/// The same where each try takes its whole time.
const MOST_TRIES_OF_A_WAIT: usize = 6;

/// What no more than so many say is the most suspect.
const FEW: usize = 8;

/// Those without whom HAProxy accepts the files.
#[derive(Debug, Default)]
pub(super) struct Blamed {
    /// Whom it names.
    named: Vec<(Owner, Warning)>,
    /// Who is to blame, as far as trials tell.
    culprits: Vec<(Owner, Warning)>,
    /// Among whom others are to blame; it could not be told who.
    suspected: Vec<(Owner, Warning)>,
    /// The last that it accepted of what was tried.
    accepted: Option<Accepted>,
}

impl Blamed {
    pub(super) fn named(named: Vec<(Owner, Warning)>) -> Self {
        Self {
            named,
            ..Self::default()
        }
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.named.is_empty() && self.culprits.is_empty() && self.suspected.is_empty()
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The same files, if HAProxy accepts by now what it just refused without naming anything: then it
    /// was short of memory or time, and the file is not to blame.
    pub(super) async fn was_passing<B: Balancer>(
        &self,
        host: &Host<'_, B>,
        plan: &Plan,
    ) -> Result<Option<Accepted>> {
        let tries = Try {
            limit: LONGEST_TRY,
            of: Digest::of(b"all once more"),
        };
        let verdict = host.balancer.check(&plan.files, host.at, Some(tries)).await;
        let verdict = verdict.context("the new files cannot be checked once more")?;
        Ok(match verdict {
            Verdict::Accepted { warnings } => Some((plan.files.clone(), warnings)),
            Verdict::Rejected { .. } => None,
        })
    }

    /// Those without whom HAProxy accepts the file; nobody where it never does. Suspected is who says
    /// what is not installed: others are served as they are, and nobody is taken out of service by
    /// trial. Tries are made on copies, and nothing is installed.
    pub(super) async fn search<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        messages: &[CheckMessage],
        installed: Option<&str>,
    ) -> Result<Blamed> {
        if plan.is_about_the_frame(messages) {
            return Ok(Blamed::default());
        }
        let owners = plan.suspects(installed);
        if owners.is_empty() {
            return Ok(Blamed::default());
        }
        let is_wait = messages.iter().any(CheckMessage::is_of_a_wait);
        // A file without an end takes its whole time at each try: the first is without all of them.
        let tiers = if is_wait {
            vec![owners]
        } else {
            plan.tiers(owners)
        };
        let mut suspects = Suspects::new(tiers);
        let mut accepted = None;
        let (limit, most) = if is_wait {
            (LONGEST_TRY_OF_A_WAIT, MOST_TRIES_OF_A_WAIT)
        } else {
            (LONGEST_TRY, MOST_TRIES)
        };
        while let Some(out) = suspects.next_try(most) {
            let asked = Some(Try {
                limit,
                of: out_of(&out),
            });
            let out = out.into_iter().map(|owner| unnamed(owner, messages));
            let tried = self.draw_without(plan.clone(), out.collect(), installed)?;
            let verdict = host.balancer.check(&tried.files, host.at, asked).await;
            let verdict = verdict.context("a part of the new files cannot be checked")?;
            let is_accepted = matches!(verdict, Verdict::Accepted { .. });
            debug!(out = tried.refused.len(), is_accepted, "tried");
            if let Verdict::Accepted { warnings } = verdict {
                accepted = Some((tried.files, warnings));
            }
            if !suspects.judge(is_accepted) {
                return Ok(Blamed::default());
            }
        }
        let Found {
            culprits,
            suspected,
        } = suspects.found();
        let culprits = culprits.into_iter().map(|owner| unnamed(owner, messages));
        let number = suspected.len();
        let suspected = suspected.into_iter();
        let suspected = suspected.map(|owner| one_of(owner, number, messages));
        Ok(Blamed {
            named: Vec::new(),
            culprits: culprits.collect(),
            suspected: suspected.collect(),
            accepted,
        })
    }

    /// The plan with what those who are blamed were last served with, or without them; and what HAProxy
    /// accepted already, which that may be.
    pub(super) fn draw_left(
        &mut self,
        mut plan: Plan,
        blamed: Blamed,
        installed: Option<&str>,
    ) -> Result<(Plan, Option<Accepted>)> {
        for (owners, cause) in [
            (blamed.named, Cause::Own),
            (blamed.culprits, Cause::Unnamed),
            (blamed.suspected, Cause::Others),
        ] {
            if !owners.is_empty() {
                plan = self.draw_instead(plan, owners, cause, installed)?;
            }
        }
        Ok((plan, blamed.accepted))
    }
}

/// Stands for those who are out.
fn out_of(owners: &[Owner]) -> Digest {
    let name = |owner: &Owner| format!("{}:{}", owner.app, owner.service_port);
    let mut names: Vec<String> = owners.iter().map(name).collect();
    names.sort_unstable();
    Digest::of(names.join("\n").as_bytes())
}

/// Stands between a label and its value.
const VALUE: char = '\0';

/// The label, where its value is meant too.
fn name_of(thing: &str) -> Option<&str> {
    thing.split_once(VALUE).map(|(name, _)| name)
}

/// Of which labels a rare value tells: of most those who say them say the same. A host is each app's
/// own.
fn telling(numbers: &HashMap<String, usize>) -> HashSet<&str> {
    let mut values: HashMap<&str, usize> = HashMap::new();
    for name in numbers.keys().filter_map(|thing| name_of(thing)) {
        *values.entry(name).or_default() += 1;
    }
    let telling = values
        .into_iter()
        .filter(|(name, different)| numbers.get(*name).is_some_and(|all| different * 2 <= *all));
    telling.map(|(name, _)| name).collect()
}

impl Plan {
    /// Everybody in the file who is not out already; beside an `installed` file those who say
    /// anything that it does not.
    fn suspects(&self, installed: Option<&str>) -> Vec<Owner> {
        let known: HashSet<&str> = installed.unwrap_or_default().lines().collect();
        let mut seen = HashSet::new();
        let chunks = self.rendered.chunks().iter();
        let says_news = chunks
            .filter(|chunk| chunk.text.lines().any(|line| !known.contains(line)))
            .filter_map(|chunk| chunk.owner.as_ref());
        says_news
            .chain(self.in_shared_frontends())
            .filter(|owner| !self.refused.contains(owner) && seen.insert(*owner))
            .cloned()
            .collect()
    }

    /// By how few say the rarest of what they say, the rarest first: of what many say HAProxy mostly
    /// has nothing to complain.
    fn tiers(&self, suspects: Vec<Owner>) -> Vec<Vec<Owner>> {
        if suspects.len() <= FEW {
            return vec![suspects];
        }
        let services = self.proxies.services();
        let mut of_owners: HashMap<&Owner, Vec<String>> = HashMap::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for service in services {
            let said = self.things_said(service);
            for thing in &said {
                *numbers.entry(thing.clone()).or_default() += 1;
            }
            of_owners.insert(&service.owner, said);
        }
        let telling = telling(&numbers);
        let (mut few, mut some, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for owner in suspects {
            let said = of_owners.get(&owner).into_iter().flatten();
            let said =
                said.filter(|thing| name_of(thing).is_none_or(|name| telling.contains(name)));
            let rarest = said.filter_map(|thing| numbers.get(thing)).min();
            match rarest {
                Some(number) if *number <= FEW => few.push(owner),
                Some(number) if *number <= services.len() / FEW => some.push(owner),
                _ => others.push(owner),
            }
        }
        let mut tiers = vec![few, some, others];
        tiers.retain(|tier| !tier.is_empty());
        tiers
    }

    /// Names of labels, and with their values; of texts in the place of templates the texts too, but for
    /// the numbers that differ from one app to the next.
    fn things_said(&self, service: &Service) -> Vec<String> {
        let place = (service.owner.app.clone(), service.index);
        let said = self.draft.wanted.said.as_ref();
        let Some(spoken) = said.and_then(|said| said.options.get(&place)) else {
            return Vec::new();
        };
        let prefix = format!("HAPROXY_{}_", service.index);
        let said = labels::said_of(&spoken.app.labels, service.index);
        let things = said.iter().flat_map(|(label, text)| {
            let name = label.strip_prefix(&*prefix).unwrap_or(label);
            if labels::is_value(label) {
                return vec![name.to_owned(), format!("{name}{VALUE}{text}")];
            }
            let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
            vec![format!("{name} {text}")]
        });
        things.collect()
    }

    /// Whose certificates and options stand in the frontend of a host, which may be that of several or
    /// of all, and perhaps nowhere else: a text of their own need not hold them.
    fn in_shared_frontends(&self) -> impl Iterator<Item = &Owner> {
        let is_grouped = self.has_shared_frontends();
        let services = self.proxies.services().iter();
        let chunks = self.rendered.chunks().iter();
        let with_frontend = chunks.filter(|chunk| {
            let mut lines = chunk.text.lines();
            lines.any(|line| line.starts_with("frontend "))
        });
        // Who is led to by a name alone has none of its own.
        let have_own: HashSet<&Owner> = with_frontend
            .filter_map(|chunk| chunk.owner.as_ref())
            .collect();
        let is_only_there = move |service: &&Arc<Service>| {
            let options = &service.options;
            let is_there = options.ssl_cert.is_some() || options.bind_options.is_some();
            let says_own = options.overrides.contains_key(&Template::FrontendHead);
            is_grouped && is_there && (says_own || !have_own.contains(&service.owner))
        };
        services.filter(is_only_there).map(|service| &service.owner)
    }

    fn has_shared_frontends(&self) -> bool {
        if let Some(native) = &self.proxies.native {
            let mut services = native.services.iter();
            return native.opens_https() && services.any(|s| s.options.ssl_cert.is_some());
        }
        matches!(&self.proxies.layout.https, Https::ByVhost(vhosts) if !vhosts.is_empty())
    }

    /// Whether a line is named that belongs to nobody: no app can be blamed for it. Frontends of
    /// hosts are nobody's, but hold what owners said.
    fn is_about_the_frame(&self, messages: &[CheckMessage]) -> bool {
        if self.has_shared_frontends() {
            return false;
        }
        let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
        let mut lines = alerts.filter_map(|message| message.line);
        lines.any(|line| self.rendered.owner_of_line(line).is_none())
    }
}

/// Why HAProxy refuses a file, where it tells of neither a line nor a section.
pub(super) fn words(messages: &[CheckMessage]) -> Option<String> {
    let mut alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
    let names_something = |m: &CheckMessage| m.line.is_some() || !m.proxies.is_empty();
    let is_named = alerts.clone().any(names_something);
    let first = alerts.next().filter(|_| !is_named);
    first.map(CheckMessage::lasting)
}

fn unnamed(owner: Owner, messages: &[CheckMessage]) -> (Owner, Warning) {
    let words = first_words(messages);
    let warning = refused(&owner, &format!("something, without naming it: {words}"));
    (owner, warning)
}

fn one_of(owner: Owner, number: usize, messages: &[CheckMessage]) -> (Owner, Warning) {
    let words = first_words(messages);
    let words = format!(
        "something of this service port or of others, without naming it ({number} could not be told \
         apart in time, and are tried again in the next turn): {words}"
    );
    let warning = refused(&owner, &words);
    (owner, warning)
}

fn first_words(messages: &[CheckMessage]) -> String {
    let mut alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
    let first = alerts.next();
    first.map_or_else(String::new, CheckMessage::lasting)
}
