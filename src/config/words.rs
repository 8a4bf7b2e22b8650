//! A command line in words, as Python's `shlex.split` parts it.
//!
//! It is no shell: nothing is expanded, a line feed parts words like a blank, `#` is a letter, and
//! within double quotes a backslash escapes only itself and the quote.

/// The words of `text`; `None` if a quote is not closed or a backslash has nothing to escape.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // `None` between words, so that '' is a word too.
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => {
                            let escaped = rest.next()?;
                            if !matches!(escaped, '"' | '\\') {
                                word.push('\\');
                            }
                            word.push(escaped);
                        }
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `shlex.split` of Python 3.11 says.
    #[test]
    fn words_are_parted_as_python_parts_them() {
        for (text, parted) in [
            ("", Some(&[][..])),
            ("  \t\r\n ", Some(&[])),
            ("/reload.sh", Some(&["/reload.sh"])),
            (" a  b\nc\t", Some(&["a", "b", "c"])),
            ("a 'b c' \"d e\"", Some(&["a", "b c", "d e"])),
            ("a'b'\"c\"d", Some(&["abcd"])),
            ("'' \"\"", Some(&["", ""])),
            ("a\\ b \\'", Some(&["a b", "'"])),
            ("\"a\\\"b\\\\c\\$d\\`e\"", Some(&["a\"b\\c\\$d\\`e"])),
            ("'a\\b'", Some(&["a\\b"])),
            ("a\\\nb", Some(&["a\nb"])),
            ("\"a\\\nb\"", Some(&["a\\\nb"])),
            ("a # b #c", Some(&["a", "#", "b", "#c"])),
            ("a;b|c >d $X `e`", Some(&["a;b|c", ">d", "$X", "`e`"])),
            ("\u{fc}'\u{fc} x'", Some(&["\u{fc}\u{fc} x"])),
            ("a\u{a0}b\u{b}c", Some(&["a\u{a0}b\u{b}c"])),
            ("'a", None),
            ("a \"b", None),
            ("a\\", None),
            ("\"a\\", None),
        ] {
            let words = words(text);
            let words: Option<Vec<&str>> = words
                .as_ref()
                .map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(words.as_deref(), parted, "{text:?}");
        }
    }
}
