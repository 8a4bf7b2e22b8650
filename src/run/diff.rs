//! `diff`: what `refresh` would change, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use tracing::{error, info};

use super::look::{Look, look};
use super::turn::version;
use super::{json, print};
use crate::apply::{FileSet, LocalHaproxy, is_proved};
use crate::config::Config;
use crate::diff::{Change, Paint, unified};
use crate::disk::OsDisk;
use crate::haproxy::program;
use crate::logging;
use crate::proxy::native::is_crt_list;

/// Its name and its text.
type File<'f> = (&'f String, &'f String);

/// Exit 0: nothing, 1: something, 2: it cannot be told.
pub(super) async fn diff(config: &Config) -> Result<ExitCode> {
    let look = match look_beside_haproxy(config).await {
        Ok(look) => look,
        Err(error) => {
            error!("{error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let paint = if logging::paints(&io::stdout()) {
        Paint::Colours
    } else {
        Paint::Plain
    };
    let is_waiting = !is_proved(&OsDisk, &look.at, &look.plan.files, &look.memory);
    if config.json {
        let text = differences(&look, Paint::Plain);
        let different = Different::of(&look, &text, is_waiting);
        print(&json(&different)?)?;
        return Ok(ExitCode::from(u8::from(!different.same)));
    }
    if look.plan.keeps_all {
        // What is held back, and everything with it, was said.
        return Ok(ExitCode::from(1));
    }
    let text = differences(&look, paint);
    if text.is_empty() {
        if !is_waiting {
            return Ok(ExitCode::SUCCESS);
        }
        info!("the files are the same, but HAProxy was not brought to run them yet");
        return Ok(ExitCode::from(1));
    }
    match &look.plan.change {
        Change::Nothing => info!("maps changed"),
        change => info!("{change}"),
    }
    print(&text)?;
    Ok(ExitCode::from(1))
}

/// The keys of `--json`.
#[derive(Debug, Serialize)]
struct Different<'a> {
    /// Whether `refresh` has nothing to do.
    same: bool,
    /// What the change means for a running HAProxy.
    change: Meaning,
    /// The same in sentences.
    why: String,
    /// Whether HAProxy is yet to be brought to the files.
    waiting: bool,
    /// What is held back, in a sentence; null where nothing is.
    held_back: Option<String>,
    /// Whether all else is held back with it.
    keeps_all: bool,
    /// What differs, file by file, as a unified diff.
    diff: &'a str,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Meaning {
    Nothing,
    Maps,
    Servers,
    Backends,
    Structure,
}

impl<'a> Different<'a> {
    fn of(look: &Look, diff: &'a str, waiting: bool) -> Self {
        let plan = &look.plan;
        let change = match &plan.change {
            Change::Nothing if diff.is_empty() => Meaning::Nothing,
            Change::Nothing => Meaning::Maps,
            Change::Servers(_) => Meaning::Servers,
            Change::Backends(_) => Meaning::Backends,
            Change::Structure(_) => Meaning::Structure,
        };
        Self {
            same: diff.is_empty() && !waiting && !plan.keeps_all,
            change,
            why: plan.change.to_string(),
            waiting,
            held_back: plan.held_back(),
            keeps_all: plan.keeps_all,
            diff,
        }
    }
}

async fn look_beside_haproxy(config: &Config) -> Result<Look> {
    let Ok(program) = program::find(&config.haproxy.program) else {
        return look(config, None).await;
    };
    let version = version(config, &program).await?;
    let local = LocalHaproxy::new(program, version, config, &OsDisk);
    look(config, Some(&local)).await
}

/// Of all files of both sets, `haproxy.cfg` first.
fn differences(look: &Look, paint: Paint) -> String {
    let cfg = |files: &FileSet| Some(files.cfg.clone());
    let mut text = of_file(
        &look.at.cfg,
        look.installed.as_ref().and_then(cfg),
        cfg(&look.plan.files),
        paint,
    );
    let nothing = BTreeMap::new();
    let before = look
        .installed
        .as_ref()
        .map_or(&nothing, |files| &files.maps);
    for (old, new) in pairs(before, &look.plan.files.maps) {
        let own =
            |(name, text): (&String, &String)| (look.at.cfg.with_file_name(name), text.clone());
        text.push_str(&of_files(old.map(own), new.map(own), paint));
    }
    text
}

/// What lies beside `haproxy.cfg`, and what takes its place: of maps the ones of the same name, and of lists of
/// certificates, which have another name once they hold others, those that are new.
fn pairs<'f>(
    before: &'f BTreeMap<String, String>,
    after: &'f BTreeMap<String, String>,
) -> Vec<(Option<File<'f>>, Option<File<'f>>)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of_name = |name| (before.get_key_value(name), after.get_key_value(name));
    let (lists, mut pairs): (Vec<_>, Vec<_>) = names.into_iter().map(of_name).partition(|pair| {
        let ((Some(file), None) | (None, Some(file))) = pair else {
            return false;
        };
        is_crt_list(file.0)
    });
    let mut gone = lists.iter().filter_map(|pair| pair.0);
    let mut new = lists.iter().filter_map(|pair| pair.1);
    let lists = std::iter::from_fn(|| Some((gone.next(), new.next())));
    pairs.extend(lists.take_while(|pair| *pair != (None, None)));
    pairs
}

fn of_file(path: &Path, old: Option<String>, new: Option<String>, paint: Paint) -> String {
    let own = |text| (path.to_owned(), text);
    of_files(old.map(own), new.map(own), paint)
}

/// `None` is a file that does not exist; it differs from an empty one by its name alone.
fn of_files(
    old: Option<(PathBuf, String)>,
    new: Option<(PathBuf, String)>,
    paint: Paint,
) -> String {
    let nothing = || ("/dev/null".to_owned(), String::new());
    let old = old.map(|(path, text)| (path.display().to_string(), text));
    let new = new.map(|(path, text)| (format!("{} (wanted)", path.display()), text));
    let (old, new) = (old.unwrap_or_else(nothing), new.unwrap_or_else(nothing));
    unified(&old.1, &new.1, (&old.0, &new.0), paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_or_goes_is_told_from_one_that_changes() {
        let text = |old: Option<&str>, new: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            of_file(Path::new("/m.map"), own(old), own(new), Paint::Plain)
        };
        assert_eq!(
            text(None, Some("a\n")),
            "--- /dev/null\n+++ /m.map (wanted)\n@@ -0,0 +1 @@\n+a\n"
        );
        assert_eq!(
            text(Some("a\n"), None),
            "--- /m.map\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
        );
        assert!(text(Some("a\n"), Some("b\n")).starts_with("--- /m.map\n+++ /m.map (wanted)\n"));
        assert_eq!(text(Some("a\n"), Some("a\n")), "");
    }

    #[test]
    fn a_list_of_certificates_is_compared_with_the_one_whose_place_it_takes() {
        let of = |names: &[&str]| -> BTreeMap<String, String> {
            let own = names.iter().map(|name| ((*name).to_owned(), String::new()));
            own.collect()
        };
        let list = |digit: char| format!("https-{}.crt-list", digit.to_string().repeat(16));
        let [a, b, c] = ['a', 'b', 'c'].map(list);
        let before = of(&["d.map", &a, &b]);
        for (after, want) in [
            (
                of(&["d.map", &b, &c]),
                "https-b https-b, d.map d.map, https-a https-c",
            ),
            (of(&["e.map"]), "d.map -, - e.map, https-a -, https-b -"),
        ] {
            let name = |file: Option<File<'_>>| {
                let name = file.map(|(name, _)| name.replace(".crt-list", ""));
                name.map_or("-".to_owned(), |name| {
                    let is_list = name.starts_with("https-");
                    if is_list { name[..7].to_owned() } else { name }
                })
            };
            let told = pairs(&before, &after).into_iter();
            let told = told.map(|(old, new)| format!("{} {}", name(old), name(new)));
            let mut told: Vec<String> = told.collect();
            let mut want: Vec<&str> = want.split(", ").collect();
            told.sort();
            want.sort_unstable();
            assert_eq!(told, want);
        }
    }
}
