use std::time::{Duration, SystemTime};

use super::*;

fn at(minute: u64) -> Time {
    Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute))
}

fn set(structure: &str, servers: u64) -> GoodSet {
    let cfg = format!("listen {structure}\n  server s h:{servers}\n");
    let files = FileSet {
        cfg,
        maps: BTreeMap::new(),
    };
    let marks = Marks::of(&files);
    GoodSet::of(&Installation::new(Path::new("/c"), None), &marks, at(0))
}

/// Sets kept one after the other, as structure and servers.
fn history(kept: &[(&str, u64)], most: usize) -> Vec<(String, u64)> {
    let sets = kept.iter().fold(Vec::new(), |sets, &(structure, servers)| {
        chosen(set(structure, servers), sets, most)
    });
    let name = |kept: &GoodSet| {
        let found = ["a", "b", "c", "d", "e", "f", "g"]
            .into_iter()
            .flat_map(|structure| (0..9).map(move |servers| (structure, servers)))
            .find(|&(structure, servers)| kept.has_files_of(&set(structure, servers)));
        let (structure, servers) = found.unwrap();
        (structure.to_owned(), servers)
    };
    sets.iter().map(name).collect()
}

#[test]
fn the_last_two_sets_are_kept_and_one_of_each_structure_before() {
    let short = |sets: Vec<(String, u64)>| -> String {
        let names: Vec<_> = sets.iter().map(|(s, n)| format!("{s}{n}")).collect();
        names.join(" ")
    };
    for (kept, want) in [
        (&[("a", 1)][..], "a1"),
        (&[("a", 1), ("a", 2), ("a", 3)], "a3 a2"),
        (
            &[("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3)],
            "b3 b2 a2",
        ),
        (&[("a", 1), ("b", 1), ("a", 1)], "a1 b1"),
        (
            &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)],
            "f1 e1 d1 c1 b1",
        ),
    ] {
        assert_eq!(short(history(kept, 5)), want, "{kept:?}");
    }
    let kept = [("a", 1), ("b", 1), ("c", 1)];
    assert_eq!(short(history(&kept, 2)), "c1 b1");
    assert_eq!(short(history(&kept, 0)), "c1");
}
