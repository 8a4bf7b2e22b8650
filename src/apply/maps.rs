//! The map that stands between two configurations: it serves the one as well as the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::proxy::native::is_crt_list;

/// The names that `use_backend` can reach in a configuration.
pub(super) fn proxies(cfg: &[u8]) -> BTreeSet<&[u8]> {
    let mut names = BTreeSet::new();
    for line in cfg.split(|&byte| byte == b'\n') {
        let mut words = words(line);
        if let (Some(b"backend" | b"listen"), Some(name)) = (words.next(), words.next()) {
            names.insert(name);
        }
    }
    names
}

/// The maps in `folder`, and the lists of certificates of ours, that a configuration names.
pub(super) fn named<'c>(cfg: &'c str, folder: &Path) -> BTreeSet<&'c str> {
    let folder = format!("{}/", folder.display());
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    cfg.split(folder.as_str())
        .skip(1)
        .map(|rest| &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())])
        .filter(|name| name.strip_suffix(".map").is_some() || is_crt_list(name))
        .collect()
}

/// A map with the rows of both, one for each key.
///
/// Where they disagree, the row goes in whose backend both configurations have. If there is none,
/// the old row: until the new configuration is in place, requests then go where they went. Old
/// rows keep their order and come first, for matches in which the first row wins.
pub(super) fn widen(old: &[u8], new: &[u8], in_both: &BTreeSet<&[u8]>) -> Vec<u8> {
    let mut added: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
    for row in rows(new) {
        // The first of two rows with one key is the one that HAProxy finds.
        added.entry(key(row)).or_insert(row);
    }
    let mut seen = BTreeSet::new();
    let mut wide = Vec::with_capacity(old.len() + new.len());
    let mut push = |row: &[u8]| {
        wide.extend_from_slice(row);
        wide.push(b'\n');
    };
    for row in rows(old) {
        if !seen.insert(key(row)) {
            continue;
        }
        match added.get(key(row)) {
            Some(&new) if value(new).is_some_and(|backend| in_both.contains(backend)) => push(new),
            _ => push(row),
        }
    }
    for row in rows(new) {
        if seen.insert(key(row)) {
            push(row);
        }
    }
    wide
}

/// Lines that HAProxy reads: comments and empty lines are none.
pub(super) fn rows(map: &[u8]) -> impl Iterator<Item = &[u8]> {
    map.split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|row| !row.is_empty() && !row.starts_with(b"#"))
}

fn key(row: &[u8]) -> &[u8] {
    words(row).next().unwrap_or(row)
}

fn value(row: &[u8]) -> Option<&[u8]> {
    words(row).nth(1)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_found_by_the_path_that_names_them() {
        let cfg = "backend b\n  use_backend %[req.hdr(host),lower,map(/e/h/d.map)] if { path -m beg \
                   -f /e/h/a-1.map }\n  errorfile 503 /e/h/503.http\n  acl x src -f /e/other/x.map\n  \
                   bind *:1 ssl crt-list /e/h/https-0123456789abcdef.crt-list crt-list /e/h/own.crt-list\n";
        let found = named(cfg, Path::new("/e/h"));
        let list = "https-0123456789abcdef.crt-list";
        assert_eq!(found, BTreeSet::from(["a-1.map", "d.map", list]));
    }

    #[test]
    fn backends_and_listens_can_be_reached_and_frontends_cannot() {
        let cfg = b"global\nbackend a\n  server backend b\n\tlisten\tc # backend d\nfrontend e\n";
        let names: Vec<&[u8]> = proxies(cfg).into_iter().collect();
        assert_eq!(names, [b"a", b"c"]);
    }

    #[test]
    fn a_wide_map_serves_the_old_and_the_new_configuration() {
        for (what, old, new, want) in [
            ("one more", "a A\n", "a A\nb B\n", "a A\nb B\n"),
            ("one less", "a A\nb B\n", "b B\n", "a A\nb B\n"),
            ("new backend is in both", "a GONE\n", "a A\n", "a A\n"),
            ("old backend is in both", "a A\n", "a ADDED\n", "a A\n"),
            ("both are in both", "a A\n", "a B\n", "a B\n"),
            ("neither is in both", "a GONE\n", "a ADDED\n", "a GONE\n"),
            (
                "spaces and comments",
                "# x\n\n a\tA \n",
                "#\r\na  B\r\n",
                "a  B\n",
            ),
            ("rows of one key", "a A\na B\n", "a B\na A\n", "a B\n"),
            ("no last line end", "a A", "b B", "a A\nb B\n"),
            ("row without a value", "a\n", "a\nb\n", "a\nb\n"),
            ("order", "z A\na A\n", "m A\nz A\n", "z A\na A\nm A\n"),
        ] {
            let in_both = BTreeSet::from([&b"A"[..], b"B"]);
            let wide = widen(old.as_bytes(), new.as_bytes(), &in_both);
            assert_eq!(String::from_utf8(wide).unwrap(), want, "{what}");
        }
    }
}
