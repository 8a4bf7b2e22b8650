//! Spare backends that stand in for backends which a process cannot be told to add.
//!
//! The file names each backend of an app as it is, and always as many spare ones as were asked for, so
//! that whoever reads it has both. A process that read an earlier one has only the spare ones: there,
//! one of the same profile takes the servers and the rows of maps of the backend that came. All that
//! it is told or asked of therefore has the names that it knows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::FileSet;
use super::files::FileKind;
use crate::diff::Backends;
use crate::haproxy::{addable, is_spare, profile_of, sections};

/// Backend → the spare one that stands in for it.
pub(super) type StandIns = BTreeMap<String, String>;

/// `files` as the process knows them.
pub(super) fn seen<'f>(files: &'f FileSet, stand_ins: &StandIns) -> Cow<'f, FileSet> {
    if stand_ins.is_empty() {
        return Cow::Borrowed(files);
    }
    let maps = files.maps.iter();
    let maps = maps.map(|(name, text)| {
        let seen = match FileKind::of(name) {
            FileKind::Map => rows_seen(text, stand_ins),
            FileKind::CrtList => text.clone(),
        };
        (name.clone(), seen)
    });
    Cow::Owned(FileSet {
        cfg: cfg_seen(&files.cfg, stand_ins).into_owned(),
        maps: maps.collect(),
    })
}

/// The same for `haproxy.cfg`, or some of its sections.
pub(super) fn cfg_seen<'t>(cfg: &'t str, stand_ins: &StandIns) -> Cow<'t, str> {
    if stand_ins.is_empty() {
        return Cow::Borrowed(cfg);
    }
    let taken: BTreeSet<&str> = stand_ins.values().map(String::as_str).collect();
    let mut seen = String::with_capacity(cfg.len());
    for section in sections(cfg) {
        let mut before = 0;
        let title = section.split_inclusive('\n').find_map(|line| {
            let at = before;
            before += line.len();
            profile_of(line).map(|found| (at..before, found))
        });
        match title {
            Some((_, (name, _))) if taken.contains(name) => (),
            Some((place, (name, profile))) if stand_ins.contains_key(name) => {
                let renamed = format!("backend {} from {profile}\n", stand_ins[name]);
                seen.extend([&section[..place.start], &renamed, &section[place.end..]]);
            }
            _ => seen.push_str(section),
        }
    }
    Cow::Owned(seen)
}

fn rows_seen(map: &str, stand_ins: &StandIns) -> String {
    let mut seen = String::with_capacity(map.len());
    for row in map.split_inclusive('\n') {
        let words: Vec<&str> = row.split_ascii_whitespace().collect();
        match words[..] {
            [key, backend] if !key.starts_with('#') && stand_ins.contains_key(backend) => {
                seen.extend([key, " ", &stand_ins[backend], "\n"]);
            }
            _ => seen.push_str(row),
        }
    }
    seen
}

/// Too few spare backends of a kind are left for those that come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shortage {
    /// Of that kind.
    of: usize,
    /// That nobody stood in for yet.
    left: usize,
    /// That came.
    come: usize,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, left, come } = self;
        let since = "since HAProxy last read its file";
        let more = "more are kept by a greater --spare-backends";
        let all = match of {
            1 => "1 spare backend".to_owned(),
            _ => format!("{of} spare backends"),
        };
        match left {
            0 => write!(f, "all of {all} were used {since}; {more}"),
            _ => write!(
                f,
                "of {all} {left} {} left {since}, expected {come}, for as many that come; {more}",
                if *left == 1 { "is" } else { "are" }
            ),
        }
    }
}

/// Who stands in once backends came and went between the files `before`, which the process was brought
/// to, and `after`. Where that has too few spare ones, those that stay, and what is short unless there
/// never was any.
///
/// None that ever stood in is taken again: a request for the one that went may still be under way, and
/// where its server ends, HAProxy would send it to another one that it finds there.
pub(super) fn after(
    stand_ins: &StandIns,
    used: &BTreeSet<String>,
    change: &Backends,
    (before, after): (&str, &str),
) -> Result<StandIns, (StandIns, Option<Shortage>)> {
    let before = cfg_seen(before, stand_ins);
    let (present, wanted) = (addable(&before), addable(after));
    let taken: BTreeSet<&str> = stand_ins.values().chain(used).map(String::as_str).collect();
    let mut next = without(stand_ins, change);
    if change.new.iter().any(|name| is_spare(name)) {
        // Somebody wants more of them.
        return Err((next, None));
    }
    let mut by_profile: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for name in &change.new {
        let Some(profile) = wanted.get(name.as_str()) else {
            return Err((next, None));
        };
        by_profile.entry(profile).or_default().push(name);
    }
    let mut came = StandIns::new();
    for (profile, names) in by_profile {
        let of_profile = present
            .iter()
            .filter(|(spare, own)| **own == profile && is_spare(spare));
        let spares: Vec<&str> = of_profile.map(|(spare, _)| *spare).collect();
        let is_free = |spare: &&&str| !taken.contains(**spare);
        let free: Vec<&str> = spares.iter().filter(is_free).copied().collect();
        if free.len() < names.len() {
            let shortage = Shortage {
                of: spares.len(),
                left: free.len(),
                come: names.len(),
            };
            return Err((next, (!spares.is_empty()).then_some(shortage)));
        }
        let pairs = names.into_iter().zip(free);
        came.extend(pairs.map(|(name, spare)| (name.clone(), spare.to_owned())));
    }
    next.extend(came);
    Ok(next)
}

/// Those whose backends did not go.
fn without(stand_ins: &StandIns, change: &Backends) -> StandIns {
    let stay = stand_ins
        .iter()
        .filter(|(name, _)| !change.gone.contains(name));
    stay.map(|(name, spare)| (name.clone(), spare.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Change, compare};
    use crate::haproxy::structure_hash;

    const SPARES: &str = "\nbackend spare-p-1 from p\n\nbackend spare-p-2 from p\n\n\
                          backend spare-q-1 from q\n";

    fn file(backends: &str) -> String {
        format!("defaults p\n  mode http\ndefaults q\n  mode http\n{backends}{SPARES}")
    }

    fn change(before: &str, after: &str) -> Backends {
        match compare(Some(before), after) {
            Change::Backends(change) => change,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_spare_backend_of_the_same_profile_stands_in() {
        let (none, a) = (
            file(""),
            file("\nbackend a from p\n  server x 10.0.0.1:80\n"),
        );
        let told = after(
            &StandIns::new(),
            &BTreeSet::new(),
            &change(&none, &a),
            (&none, &a),
        )
        .unwrap();
        assert_eq!(told, StandIns::from([("a".into(), "spare-p-1".into())]));
        // The process has it in the place of the spare one, and reads no more of the file than that.
        let seen_cfg = cfg_seen(&a, &told);
        assert!(
            seen_cfg.contains("\nbackend spare-p-1 from p\n  server x "),
            "{seen_cfg}"
        );
        assert_eq!(seen_cfg.matches("spare-p-1").count(), 1);
        assert!(!seen_cfg.contains("backend a"));
        assert_eq!(addable(&seen_cfg), addable(&none));
        assert_eq!(structure_hash(&seen_cfg), structure_hash(&a));
        let files = FileSet {
            cfg: a.clone(),
            maps: [("m.map".to_owned(), "# a\nh.test a\nb.test ab\n".to_owned())].into(),
        };
        // A remark of a template may hold the same words.
        let remarked = a.replace(
            "\nbackend a from p\n",
            "\n# backend a from p\nbackend a from p\n",
        );
        let renamed = "# backend a from p\nbackend spare-p-1 from p\n";
        assert!(cfg_seen(&remarked, &told).contains(renamed));
        let rows = &seen(&files, &told).maps["m.map"];
        assert_eq!(rows, "# a\nh.test spare-p-1\nb.test ab\n");

        let b = file("\nbackend b from p\n");
        let moved = change(&a, &b);
        let mut used: BTreeSet<String> = told.values().cloned().collect();
        let next = after(&told, &used, &moved, (&a, &b)).unwrap();
        assert_eq!(next, StandIns::from([("b".into(), "spare-p-2".into())]));
        // A request for the first one may be under way, however long ago that went.
        used.extend(next.values().cloned());
        let ab = file("\nbackend a from p\n\nbackend b from p\n");
        let (stay, shortage) = after(&next, &used, &change(&b, &ab), (&b, &ab)).unwrap_err();
        assert_eq!(stay, next);
        assert_eq!(
            shortage.unwrap().to_string(),
            "all of 2 spare backends were used since HAProxy last read its file; more are kept by a \
             greater --spare-backends"
        );
        let bq = file("\nbackend b from p\n\nbackend c from q\n");
        assert!(after(&next, &used, &change(&b, &bq), (&b, &bq)).is_ok());
        assert!(without(&next, &change(&b, &none)).is_empty());
    }

    #[test]
    fn nobody_stands_in_for_a_spare_backend() {
        let (few, more) = (file(""), file("\nbackend spare-p-3 from p\n"));
        assert_eq!(
            after(
                &StandIns::new(),
                &BTreeSet::new(),
                &change(&few, &more),
                (&few, &more)
            ),
            Err((StandIns::new(), None))
        );
    }

    #[test]
    fn what_is_short_is_said_of_the_kind_that_is_short() {
        let shortage = |backends: &str| {
            let (none, some) = (file(""), file(backends));
            let (nothing, change) = (BTreeSet::new(), change(&none, &some));
            let after = after(&StandIns::new(), &nothing, &change, (&none, &some));
            after.unwrap_err().1.unwrap().to_string()
        };
        let two = "\nbackend a from q\n\nbackend b from q\n\nbackend c from p\n";
        assert_eq!(
            shortage(two),
            "of 1 spare backend 1 is left since HAProxy last read its file, expected 2, for as many \
             that come; more are kept by a greater --spare-backends"
        );
        let three = "\nbackend a from p\n\nbackend b from p\n\nbackend c from p\n";
        assert!(shortage(three).starts_with("of 2 spare backends 2 are left "));
    }

    #[test]
    fn only_a_spare_backend_stands_in() {
        let no_spares = |text: String| text.replace(SPARES, "\nbackend spare_9 from p\n");
        let (none, a) = (no_spares(file("")), no_spares(file("\nbackend a from p\n")));
        assert_eq!(
            after(
                &StandIns::new(),
                &BTreeSet::new(),
                &change(&none, &a),
                (&none, &a)
            ),
            Err((StandIns::new(), None))
        );
    }
}
