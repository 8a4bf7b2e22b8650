use crate::haproxy::opens_section;

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

    /// First lines of the sections, in the order of the file.
    pub(super) fn titles(&self) -> impl Iterator<Item = &'a str> {
        self.sections.iter().map(|section| section.title)
    }

    /// In the order of the file.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }
}
