//! The maps beside a predecessor's file, row by row: which host or app leads where stands in them alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::GETCONFIG;
use crate::config::{Config, redact_value};
use crate::disk::{self, folder_of};
use crate::marathon;
use crate::proxy::native::is_crt_list;

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
    /// They lie or are shown there, and could not be had.
    pub(super) unread: usize,
    same: usize,
    /// Nobody shows them.
    unseen: usize,
}

/// Compares those that would be written with those that lie beside `other`, or that are shown there.
pub(super) async fn compared(
    config: &Config,
    other: &str,
    here: &BTreeMap<String, String>,
) -> Maps {
    let mut maps = Maps::default();
    let maps_here = here.iter().filter(|(name, _)| !is_crt_list(name));
    for (name, here) in maps_here {
        let there = match beside(config, other, name).await {
            Some(Ok(there)) => there,
            Some(Err(why)) => {
                maps.unread += 1;
                let _ = writeln!(maps.text, "note: `{name}` is not compared: {why}");
                continue;
            }
            None => {
                maps.unseen += 1;
                let _ = writeln!(
                    maps.text,
                    "note: `{name}` is not compared: no page shows it; give the file beside which it lies"
                );
                continue;
            }
        };
        maps.add(name, &there, here);
    }
    let (same, differ, left_out) = (maps.same, maps.differ, maps.unread + maps.unseen);
    if left_out > 0 {
        let _ = writeln!(
            maps.text,
            "{same} maps are the same, {differ} differ, {left_out} are not compared"
        );
    } else if same + differ > 0 {
        let _ = writeln!(maps.text, "{same} maps are the same, {differ} differ");
    }
    maps
}

/// The one called `name`; `None` where no such one is shown.
async fn beside(config: &Config, other: &str, name: &str) -> Option<Result<String, String>> {
    let content = match other.parse::<reqwest::Url>() {
        Ok(mut url) if ["http", "https"].contains(&url.scheme()) => {
            let (_, page) = SHOWN.into_iter().find(|(shown, _)| *shown == name)?;
            // Whoever stands before it may have put something before its paths.
            let prefix = match url.path() {
                "/" => "",
                path => path.strip_suffix(GETCONFIG)?,
            };
            let page = format!("{prefix}{page}");
            url.set_path(&page);
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

/// Rows by their keys, without remarks, the order of the keys, and how they are set. Of the rows of one key
/// HAProxy takes the first.
fn rows(text: &str) -> BTreeMap<&str, Vec<String>> {
    let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let row = words.join(" ");
        let of_key = rows.entry(words[0]).or_default();
        if !of_key.contains(&row) {
            of_key.push(row);
        }
    }
    for of_key in rows.values_mut() {
        of_key[1..].sort_unstable();
    }
    rows
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
        self.only("-", &there, &here);
        self.only("+", &here, &there);
    }

    /// Rows of `all` that `others` lacks, and those that stand in another order.
    fn only(
        &mut self,
        sign: &str,
        all: &BTreeMap<&str, Vec<String>>,
        others: &BTreeMap<&str, Vec<String>>,
    ) {
        for (key, rows) in all {
            let other = others.get(key).map(Vec::as_slice).unwrap_or_default();
            let is_known = |row: &String| other.contains(row);
            if *rows == other {
                continue;
            }
            // Also where one of them is gone that counts for nothing.
            if rows.iter().all(is_known) && rows[0] != other[0] {
                let _ = writeln!(self.text, "  {sign} {}    (the first of its rows)", rows[0]);
            }
            for row in rows.iter().filter(|row| !is_known(row)) {
                let _ = writeln!(self.text, "  {sign} {row}");
            }
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

    #[test]
    fn the_first_row_of_a_key_counts() {
        let mut maps = Maps::default();
        maps.add(
            "a.map",
            "a.test a\na.test b\nb.test b\n",
            "a.test b\nb.test b\na.test a\n",
        );
        assert_eq!(maps.differ, 1);
        assert_eq!(
            maps.text,
            "a.map differs\n  - a.test a    (the first of its rows)\n\
             \x20 + a.test b    (the first of its rows)\n"
        );
        maps.add(
            "b.map",
            "a.test a\na.test b\n",
            "a.test a\nc.test c\na.test a\na.test b\n",
        );
        assert!(
            maps.text.ends_with("b.map differs\n  + c.test c\n"),
            "{}",
            maps.text
        );
    }
}
