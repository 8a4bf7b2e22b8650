//! The maps beside a predecessor's file, row by row: which host or app leads where stands in them alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::GETCONFIG;
use crate::config::{Config, redact_value};
use crate::disk::{self, folder_of};
use crate::marathon;

/// Where marathon-lb shows its own.
const SHOWN: [(&str, &str); 2] = [
    ("domain2backend.map", "/_haproxy_getvhostmap"),
    ("app2backend.map", "/_haproxy_getappmap"),
];

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// For people; nothing where there is none to compare.
    pub(super) text: String,
    pub(super) differ: usize,
    same: usize,
}

/// Compares those that would be written with those that lie beside `other`, or that are shown there.
pub(super) async fn compared(
    config: &Config,
    other: &str,
    here: &BTreeMap<String, String>,
) -> Maps {
    let mut maps = Maps::default();
    for (name, here) in here {
        let there = match beside(config, other, name).await {
            Some(Ok(there)) => there,
            Some(Err(why)) => {
                let _ = writeln!(maps.text, "note: `{name}` is not compared: {why}");
                continue;
            }
            None => continue,
        };
        maps.add(name, &there, here);
    }
    if maps.same + maps.differ > 0 {
        let Maps { same, differ, .. } = maps;
        let _ = writeln!(maps.text, "{same} maps are the same, {differ} differ");
    }
    maps
}

/// The one called `name`; `None` where no such one is shown.
async fn beside(config: &Config, other: &str, name: &str) -> Option<Result<String, String>> {
    let content = match other.parse::<reqwest::Url>() {
        Ok(mut url) if ["http", "https"].contains(&url.scheme()) => {
            let (_, page) = SHOWN.into_iter().find(|(shown, _)| *shown == name)?;
            if !["/", GETCONFIG].contains(&url.path()) {
                return None;
            }
            url.set_path(page);
            let asked = marathon::page(&config.marathon, url).await;
            asked.map_err(|error| format!("`{page}` of `{}`: {error:#}", redact_value(other)))
        }
        _ => {
            let path = folder_of(Path::new(other)).join(name);
            let read = disk::read(&path, disk::LARGEST_MADE);
            read.map_err(|error| error.to_string())
        }
    };
    Some(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// Rows without remarks, their order, and how they are set.
fn rows(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim);
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| row.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

impl Maps {
    fn add(&mut self, name: &str, there: &str, here: &str) {
        let (there, here) = (rows(there), rows(here));
        if there == here {
            self.same += 1;
            return;
        }
        self.differ += 1;
        let _ = writeln!(self.text, "{name} differs");
        for row in there.difference(&here) {
            let _ = writeln!(self.text, "  - {row}");
        }
        for row in here.difference(&there) {
            let _ = writeln!(self.text, "  + {row}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_alone_count() {
        let mut maps = Maps::default();
        maps.add(
            "a.map",
            "# theirs\nb.test  b\na.test\ta\n",
            "a.test a\nb.test b\n",
        );
        assert_eq!((maps.differ, &*maps.text), (0, ""));
        maps.add("b.map", "a.test a\nb.test b\n", "a.test other\nb.test b\n");
        assert_eq!(maps.differ, 1);
        assert_eq!(maps.text, "b.map differs\n  - a.test a\n  + a.test other\n");
    }
}
