//! `compare`: what this program would write, beside what a predecessor wrote, section by section, and
//! why it differs, as far as that can be known.

mod maps;
mod servers;
mod why;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use tracing::error;

use self::why::Why;
use super::print;
use super::stages::stages;
use crate::config::{Config, redact_value};
use crate::diff::{Beside, Kin, beside, flattened};
use crate::disk;
use crate::haproxy::certificates::listable;
use crate::resolve::{Resolver, System};
use crate::state::{State, Time};
use crate::{logging, marathon};

/// Where marathon-lb shows the file that it installed, on the port of the statistics.
const GETCONFIG: &str = "/_haproxy_getconfig";

/// Exit 0: the same, 1: something differs, 2: it cannot be told.
pub(super) async fn compare(config: &Config, other: &str) -> Result<ExitCode> {
    match compared(config, other).await {
        Ok((text, code)) => {
            print(&text)?;
            Ok(ExitCode::from(code))
        }
        Err(error) => {
            error!("{error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

async fn compared(config: &Config, other: &str) -> Result<(String, u8)> {
    // Tabs and several blanks say what one blank says.
    let there = one_blank(&read(config, other).await?);
    let resolver = Resolver::new(System, BTreeMap::default());
    // What lets HAProxy be told of tasks is ours, and stands in no predecessor's file.
    let mut theirs = config.clone();
    theirs.reload.runtime_api = false;
    let mut stages = stages(&theirs, Some((resolver, config.policy.names))).await?;
    let now = Time::at(SystemTime::now());
    let plan = stages.plan(None, &mut State::default(), now).await?;
    let plan = stages.with_crt_lists(plan, None, listable)?;
    for warning in &plan.warnings {
        logging::warning(warning);
    }
    let here = one_blank(&plan.files.cfg);
    // What a backend takes from a profile may stand in itself there.
    let (there, here) = (flattened(&there), flattened(&here));
    let all = beside(&there, &here);
    ensure!(
        all.iter().any(|one| one.kin != Kin::OnlyHere),
        "`{}` holds no section of HAProxy's, expected a haproxy.cfg",
        redact_value(other)
    );
    let why = Why::of(config, &plan, &there, &all);
    let maps = maps::compared(config, other, &plan.files.maps).await;
    let is_same = all.iter().all(|one| one.kin == Kin::Same) && maps.differ == 0;
    let code = match maps.unread {
        _ if !is_same => 1,
        0 => 0,
        _ => 2,
    };
    Ok((told(&all, &why) + &maps.text, code))
}

/// A file, or what a URL gives; the folder alone stands for where marathon-lb shows its file.
async fn read(config: &Config, other: &str) -> Result<String> {
    let shown = redact_value(other);
    if !other.starts_with("http://") && !other.starts_with("https://") {
        let looks_like_an_address = !other.starts_with(['/', '.']) && other.contains(':');
        let content = disk::read(Path::new(other), disk::LARGEST_MADE);
        // A remark in another encoding is no difference.
        let text = content.map(|content| String::from_utf8_lossy(&content).into_owned());
        return text.with_context(|| {
            if looks_like_an_address {
                format!("`{shown}` cannot be read as a file; for an address, give http://{shown}")
            } else {
                format!("`{shown}` cannot be read")
            }
        });
    }
    let unreadable = || format!("`{shown}` cannot be asked");
    let mut url: reqwest::Url = other.parse().with_context(unreadable)?;
    if url.path() == "/" {
        url.set_path(GETCONFIG);
    }
    let body = marathon::page(&config.marathon, url).await;
    Ok(String::from_utf8_lossy(&body.with_context(unreadable)?).into_owned())
}

/// Each run of blanks outside of quotes and behind no backslash as one.
fn one_blank(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let (mut quote, mut is_escaped, mut is_after_blank) = (None, false, false);
    for c in text.chars() {
        match c {
            '\n' => quote = None,
            ' ' | '\t' if quote.is_none() && !is_escaped => {
                if !std::mem::replace(&mut is_after_blank, true) {
                    all.push(' ');
                }
                continue;
            }
            '"' | '\'' if !is_escaped && quote.is_none_or(|open| open == c) => {
                quote = quote.is_none().then_some(c);
            }
            _ => (),
        }
        is_after_blank = false;
        is_escaped = c == '\\' && !is_escaped;
        all.push(c);
    }
    all
}

/// Reasons, for a section and for a line of it.
trait Reasons {
    fn of_section(&self, one: &Beside<'_>) -> Option<String>;
    fn of_line(&self, one: &Beside<'_>, side: Side, line: &str) -> Option<String>;
    /// What goes for more than one section.
    fn of_all(&self) -> Vec<String>;
}

/// Which of the two files a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    There,
    Here,
}

fn told(all: &[Beside<'_>], why: &dyn Reasons) -> String {
    let mut text = String::new();
    for one in all {
        let how = match one.kin {
            Kin::Same => continue,
            Kin::Reordered => "says the same in another order",
            Kin::Renamed => "has the same servers, under other names or with other options",
            Kin::Differs => "differs",
            Kin::OnlyThere => "is only there",
            Kin::OnlyHere => "is new",
        };
        let _ = match why.of_section(one) {
            Some(why) => writeln!(text, "{} {how}: {why}", one.title),
            None => writeln!(text, "{} {how}", one.title),
        };
        for (sign, side, lines) in [('-', Side::There, &one.there), ('+', Side::Here, &one.here)] {
            for line in lines {
                let _ = match why.of_line(one, side, line) {
                    Some(why) => writeln!(text, "  {sign} {line}    ({why})"),
                    None => writeln!(text, "  {sign} {line}"),
                };
            }
        }
    }
    for note in why.of_all() {
        let _ = writeln!(text, "note: {note}");
    }
    let count = |kin: &[Kin]| all.iter().filter(|one| kin.contains(&one.kin)).count();
    let _ = writeln!(
        text,
        "{} sections are the same, {} say it in another way, {} differ, {} are only there, {} are new",
        count(&[Kin::Same]),
        count(&[Kin::Reordered, Kin::Renamed]),
        count(&[Kin::Differs]),
        count(&[Kin::OnlyThere]),
        count(&[Kin::OnlyHere]),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_count_where_they_say_something() {
        for (text, want) in [
            ("\tbind\t *:80\n", " bind *:80\n"),
            ("a \"x\t y\"  z", "a \"x\t y\" z"),
            ("it's  so\nb  c", "it's  so\nb c"),
            ("a\\   b", "a\\  b"),
            ("a\\\"  b", "a\\\" b"),
        ] {
            assert_eq!(one_blank(text), want);
        }
    }

    struct Known;

    impl Reasons for Known {
        fn of_section(&self, one: &Beside<'_>) -> Option<String> {
            (one.title == "backend b").then(|| "Marathon has no such app".to_owned())
        }

        fn of_line(&self, _: &Beside<'_>, side: Side, line: &str) -> Option<String> {
            why::of_version(side, line).map(str::to_owned)
        }

        fn of_all(&self) -> Vec<String> {
            vec!["it is a test".to_owned()]
        }
    }

    #[test]
    fn what_differs_is_told_with_its_lines_and_counted() {
        let there =
            "global\n maxconn 1\nbackend a\n rspadd X:\\ y\n mode http\nbackend b\n mode tcp\n";
        let here = "global\n maxconn 1\nbackend a\n http-response add-header X y\n mode http\n";
        assert_eq!(
            told(&beside(there, here), &Known),
            "backend a differs\n\
             \x20 - rspadd X:\\ y    (HAProxy 2.1 and later do not know it)\n\
             \x20 + http-response add-header X y\n\
             backend b is only there: Marathon has no such app\n\
             \x20 - mode tcp\n\
             note: it is a test\n\
             1 sections are the same, 0 say it in another way, 1 differ, 1 are only there, 0 are new\n"
        );
    }
}
