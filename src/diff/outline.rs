use std::collections::BTreeSet;

use crate::haproxy::{opens_section, profile_of};

/// A configuration as a list of sections, borrowed from its text.
#[derive(Debug)]
pub struct Outline<'a> {
    sections: Vec<Section<'a>>,
}

/// One section. Comments, empty lines and spacing do not count.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its first line: `listen web-10001`.
    pub title: &'a str,
    /// What it says, servers excepted.
    pub lines: Vec<&'a str>,
    /// Its `server` lines.
    pub servers: Vec<&'a str>,
}

impl<'a> Section<'a> {
    /// The name of a `backend`, whether or not it takes from a profile.
    pub fn backend(&self) -> Option<&'a str> {
        match profile_of(self.title) {
            Some((name, _)) => Some(name),
            None => self.title.strip_prefix("backend ").map(str::trim),
        }
    }

    /// Its name, where it says nothing of its own but servers, so that HAProxy can be told to add it.
    pub(super) fn addable(&self) -> Option<&'a str> {
        let (name, _) = profile_of(self.title)?;
        self.lines.is_empty().then_some(name)
    }
}

impl<'a> Outline<'a> {
    /// Reads any text; what stands before the first section is left aside, as HAProxy would
    /// reject it.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let mut sections: Vec<Section<'a>> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let word = line.split_ascii_whitespace().next().unwrap_or_default();
            if opens_section(word) {
                sections.push(Section {
                    title: line,
                    lines: Vec::new(),
                    servers: Vec::new(),
                });
            } else if let Some(section) = sections.last_mut() {
                if word == "server" {
                    section.servers.push(line);
                } else {
                    section.lines.push(line);
                }
            }
        }
        Self { sections }
    }

    /// First lines of the sections whose order counts, in the order of the file.
    pub(super) fn titles_in_order(&self) -> impl Iterator<Item = &'a str> {
        let sections = self.sections.iter();
        let sections = sections.filter(|section| section.addable().is_none());
        sections.map(|section| section.title)
    }

    /// The names of all that `use_backend` can lead to.
    pub(super) fn names(&self) -> BTreeSet<&'a str> {
        let name = |section: &Section<'a>| {
            let mut words = section.title.split_ascii_whitespace();
            let is_reached = matches!(words.next(), Some("backend" | "listen"));
            words.next().filter(|_| is_reached)
        };
        self.sections.iter().filter_map(name).collect()
    }

    /// In the order of the file.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }
}
