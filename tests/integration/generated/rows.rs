//! Rows of maps: one key, one value, and a value that leads somewhere.

use std::collections::{BTreeMap, BTreeSet};

/// Ends of hosts lead to keys of the two others, all else to backends.
const SUFFIXES: &str = "suffix2domain.map";

/// Every row is a key and a value, and what the value names is there. Each key of the native set comes
/// once; marathon-lb wrote all that there are, of which HAProxy takes the first.
#[track_caller]
pub(super) fn assert_whole(cfg: &str, maps: &BTreeMap<String, String>) {
    let backends: BTreeSet<&str> = cfg
        .lines()
        .filter_map(|line| line.strip_prefix("backend "))
        .collect();
    let rows = |map: &str| -> Vec<(String, String)> {
        let text = maps.get(map).map_or("", String::as_str);
        assert!(text.is_empty() || text.ends_with('\n'), "{map}: {text:?}");
        let row = |row: &str| {
            // HAProxy passes over blanks before a key, parts rows by blanks, and takes a line that
            // begins with `#` for a comment.
            let row = row.trim_start_matches(' ');
            let words: Vec<&str> = row.split(|c: char| c.is_ascii_whitespace()).collect();
            let [key, value] = words[..] else {
                panic!("{map}: {row:?}");
            };
            assert!(!key.is_empty() && !key.starts_with('#'), "{map}: {row:?}");
            (key.to_owned(), value.to_owned())
        };
        let rows: Vec<_> = text.split_terminator('\n').map(row).collect();
        if maps.contains_key(SUFFIXES) {
            let keys: BTreeSet<&String> = rows.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), rows.len(), "{map}: {text}");
        }
        rows
    };
    let mut keys: Vec<String> = Vec::new();
    for map in maps.keys().filter(|map| *map != SUFFIXES) {
        for (key, value) in rows(map) {
            assert!(backends.contains(&*value), "{map}: {key} {value}");
            keys.push(key);
        }
    }
    for (suffix, domain) in rows(SUFFIXES) {
        assert_eq!(domain, format!("*{suffix}"));
        assert!(keys.iter().any(|key| key.starts_with(&domain)), "{domain}");
    }
}
