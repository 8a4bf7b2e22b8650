//! `docs/native.md` has the labels as the program knows them: `UPDATE=1` writes them there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use haproxy_marathon_bridge::labels::{LABELS, Label, NATIVE, Reach};

const BEGIN: &str = "<!-- labels: written by a test -->\n";
const END: &str = "<!-- end of labels -->\n";

#[test]
fn the_table_of_labels_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/native.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(kept, table, "UPDATE=1 rewrites it");
}

fn table() -> String {
    let is_told_otherwise = |label: &&Label| {
        let same = |native: &Label| native.name == label.name && native.reach == label.reach;
        !NATIVE.iter().any(same)
    };
    let all = LABELS.iter().filter(is_told_otherwise).chain(NATIVE);
    let mut all: Vec<&Label> = all.collect();
    all.sort_by_key(|label| (label.reach == Reach::Service, label.name));
    let mut table =
        "| label | default | form | example | meaning |\n|---|---|---|---|---|\n".to_owned();
    for label in all {
        let name = match label.reach {
            Reach::App => format!("HAPROXY_{}", label.name),
            Reach::Service => format!("HAPROXY_{{n}}_{}", label.name),
        };
        let Label {
            default,
            form,
            example,
            meaning,
            ..
        } = label;
        writeln!(
            table,
            "| `{name}` | {default} | {form} | `{example}` | {meaning} |"
        )
        .unwrap();
    }
    table
}
