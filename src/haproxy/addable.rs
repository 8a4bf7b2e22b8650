//! Backends that HAProxy can be told to add: sections that say nothing of their own but servers.
//!
//! `add backend NAME from PROFILE`, since 3.4, takes everything from named `defaults`, and so does a
//! section `backend NAME from PROFILE` in which nothing but servers stands. The file and a process that
//! was told are thus the same.

use std::collections::BTreeMap;

use super::global::opens_section;

/// The name of such a backend, and of the `defaults` that hold all that it says, where `title` is the
/// first line of a section that could be one. Both are plain words.
#[must_use]
pub fn profile_of(title: &str) -> Option<(&str, &str)> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let is_name = |word: &str| !word.is_empty() && word.bytes().all(is_of_name);
    let words: Vec<&str> = title.split_ascii_whitespace().collect();
    match words[..] {
        ["backend", name, "from", profile] if is_name(name) && is_name(profile) => {
            Some((name, profile))
        }
        _ => None,
    }
}

/// How spare backends are called that stand in for others: no service is called so, since those end in
/// `_` and a port.
pub const SPARE: &str = "spare-";

/// Whether that is the name of one.
#[must_use]
pub fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE) && !name.contains('_')
}

/// The backends of `config` that can be added: name → profile.
#[must_use]
pub fn addable(config: &str) -> BTreeMap<&str, &str> {
    sections(config).filter_map(addable_in).collect()
}

/// The same for one of [`sections`].
pub(super) fn addable_in(section: &str) -> Option<(&str, &str)> {
    let mut lines = section.lines().map(str::trim);
    let mut lines = lines.by_ref().filter(|line| !is_spacing(line));
    let found = profile_of(lines.next()?)?;
    let is_server = |line: &str| line.split_ascii_whitespace().next() == Some("server");
    lines.all(is_server).then_some(found)
}

/// `config` in pieces that begin with the first line of a section, or with the blank lines and remarks
/// before that: a section comes and goes with these. What stands before the first section and behind
/// the last line is a piece too.
pub fn sections(config: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    let mut spacing = None;
    let mut at = 0;
    for line in config.split_inclusive('\n') {
        let text = line.trim();
        if is_spacing(text) {
            spacing.get_or_insert(at);
        } else {
            let word = text.split_ascii_whitespace().next().unwrap_or_default();
            if opens_section(word) {
                starts.push(spacing.unwrap_or(at));
            }
            spacing = None;
        }
        at += line.len();
    }
    starts.extend(spacing);
    let ends = starts.clone().into_iter().skip(1).chain([config.len()]);
    let pieces = starts.into_iter().zip(ends);
    pieces.map(|(start, end)| &config[start..end])
}

fn is_spacing(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_all_from_a_profile_can_be_added() {
        for (section, expected) in [
            ("backend a from p\n", Some(("a", "p"))),
            (
                "\n# remark\nbackend a from p\n  server x h:1\n\n  server y h:2\n",
                Some(("a", "p")),
            ),
            ("backend a from p\n  balance first\n  server x h:1\n", None),
            ("backend a from p\n  default-server check\n", None),
            ("backend a from p\n  .if streq(a,b)\n", None),
            ("backend a\n  server x h:1\n", None),
            ("backend a from p # remark\n", None),
            ("backend a;b from p\n", None),
            ("backend a from \"p q\"\n", None),
            ("listen a from p\n  server x h:1\n", None),
            ("", None),
        ] {
            assert_eq!(addable_in(section), expected, "{section}");
        }
    }

    #[test]
    fn a_file_is_all_of_its_sections_and_no_more() {
        let config = "# head\nglobal\n  a\n\nbackend a from p\n  server x h:1\n\n# of b\n\
                      backend b from q\nlisten c\n  bind :1\n\n# end\n";
        let pieces: Vec<&str> = sections(config).collect();
        assert_eq!(pieces.concat(), config);
        assert_eq!(
            pieces,
            [
                "",
                "# head\nglobal\n  a\n",
                "\nbackend a from p\n  server x h:1\n",
                "\n# of b\nbackend b from q\n",
                "listen c\n  bind :1\n",
                "\n# end\n"
            ]
        );
        assert_eq!(addable(config), BTreeMap::from([("a", "p"), ("b", "q")]));
    }
}
