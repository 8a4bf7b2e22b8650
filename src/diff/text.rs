use std::fmt::Write as _;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Whether the reader sees colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// A terminal.
    Colours,
    /// A file or a pipe.
    Plain,
}

/// A text that has nothing in common with the other would take seconds to be compared well; a
/// coarse answer in time is of more use.
const PATIENCE: Duration = Duration::from_millis(500);

/// The unified diff from `old` to `new` with three lines of context, empty where they are equal.
#[must_use]
pub fn unified(old: &str, new: &str, names: (&str, &str), paint: Paint) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut out = String::new();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        if out.is_empty() {
            line(&mut out, paint, BOLD, &format!("--- {}", names.0));
            line(&mut out, paint, BOLD, &format!("+++ {}", names.1));
        }
        line(&mut out, paint, CYAN, hunk.header().to_string().trim_end());
        for change in hunk.iter_changes() {
            let (sign, colour) = match change.tag() {
                ChangeTag::Equal => (' ', ""),
                ChangeTag::Delete => ('-', RED),
                ChangeTag::Insert => ('+', GREEN),
            };
            let text = change.value();
            line(
                &mut out,
                paint,
                colour,
                &format!("{sign}{}", text.trim_end_matches('\n')),
            );
            if change.missing_newline() {
                out.push_str("\\ No newline at end of file\n");
            }
        }
    }
    out
}

const BOLD: &str = "\u{1b}[1m";
const CYAN: &str = "\u{1b}[36m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const RESET: &str = "\u{1b}[0m";

fn line(out: &mut String, paint: Paint, colour: &str, text: &str) {
    let done = if paint == Paint::Plain || colour.is_empty() {
        writeln!(out, "{text}")
    } else {
        writeln!(out, "{colour}{text}{RESET}")
    };
    done.expect("a String takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_unified_and_painted_on_terminals_only() {
        let names = ("installed", "new");
        let plain = unified("a\nb\n", "a\nc\n", names, Paint::Plain);
        assert_eq!(
            plain,
            "--- installed\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
        let painted = unified("a\nb\n", "a\nc\n", names, Paint::Colours);
        assert!(painted.contains("\u{1b}[31m-b\u{1b}[0m\n\u{1b}[32m+c\u{1b}[0m\n"));
        assert_eq!(unified("a\n", "a\n", names, Paint::Plain), "");
    }

    #[test]
    fn a_missing_last_line_break_is_shown() {
        let text = unified("a\n", "a", ("x", "y"), Paint::Plain);
        assert!(
            text.ends_with("-a\n+a\n\\ No newline at end of file\n"),
            "{text}"
        );
    }
}
