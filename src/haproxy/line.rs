//! A line of a configuration as HAProxy reads it: words, quotes, escapes, comments.
//!
//! Source: "Quoting and escaping" in HAProxy's configuration manual, and its `parse_line()`. What the
//! environment holds is not known here, only that it is asked for.

/// A line, word by word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Without their quotes and escapes.
    pub words: Vec<String>,
    /// The first word that holds a value of the environment, by its place.
    pub asks_environment: Option<usize>,
    /// A comment ends it.
    pub is_cut: bool,
    /// A quote is not closed: HAProxy refuses it.
    pub is_open: bool,
}

impl Line {
    /// Reads one line, without its end.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut line = Self::default();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None | Some('"'), '\\') => {
                    let escaped = escaped(chars.as_str(), quote.is_some());
                    // Before anything else it stands for itself.
                    let (meant, taken) = escaped.unwrap_or(('\\', 0));
                    chars.by_ref().take(taken).for_each(drop);
                    word.get_or_insert_default().push(meant);
                }
                (None, '#') => {
                    line.is_cut = true;
                    break;
                }
                (None, c) if is_blank(c) => line.words.extend(word.take()),
                (Some('"'), '$') => {
                    line.asks_environment.get_or_insert(line.words.len());
                    word.get_or_insert_default().push('$');
                }
                _ => word.get_or_insert_default().push(c),
            }
        }
        line.words.extend(word);
        line.is_open = quote.is_some();
        line
    }
}

/// What a backslash before `rest` stands for, and how many characters belong to it.
fn escaped(rest: &str, is_quoted: bool) -> Option<(char, usize)> {
    match rest.chars().next()? {
        c @ (' ' | '\\' | '#' | '"' | '\'') => Some((c, 1)),
        '$' if is_quoted => Some(('$', 1)),
        't' => Some(('\t', 1)),
        'n' => Some(('\n', 1)),
        'r' => Some(('\r', 1)),
        'x' => {
            let code = u8::from_str_radix(rest.get(1..3)?, 16).ok()?;
            Some((code.into(), 3))
        }
        _ => None,
    }
}

/// As C's `isspace()`.
const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// Splits a line into words as HAProxy does: spaces part them, quotes and a backslash join them,
/// `#` ends the line.
pub(crate) fn words(line: &str) -> Vec<String> {
    Line::of(line).words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_haproxy_splits_them() {
        for (line, want) in [
            ("  a b\t c", vec!["a", "b", "c"]),
            (r#"a "b c" 'd "e'"#, vec!["a", "b c", "d \"e"]),
            (r"a\ b \# c#d", vec!["a b", "#", "c"]),
            (r#"a "" # b"#, vec!["a", ""]),
            (
                r#""li"sten li\sten 'a\ b'"#,
                vec!["listen", r"li\sten", r"a\ b"],
            ),
            (r"\x6cisten \xzz", vec!["listen", r"\xzz"]),
            ("", vec![]),
        ] {
            assert_eq!(words(line), want, "{line}");
        }
    }

    #[test]
    fn what_else_a_line_does_is_told() {
        let asks = |line| Line::of(line).asks_environment;
        assert_eq!(asks(r#"a "${B}" c"#), Some(1));
        assert_eq!(
            asks(r#"a "\${B}" '$B' $B"#),
            None,
            "only between double quotes"
        );
        assert!(Line::of("a # b").is_cut);
        assert!(!Line::of(r##"a \# "#""##).is_cut);
        for (line, open) in [("a 'b", true), (r#"a "b\""#, true), (r"a 'b\'", false)] {
            assert_eq!(Line::of(line).is_open, open, "{line}");
        }
    }
}
