use std::ops::Range;
use std::sync::Arc;

use crate::proxy::Owner;

/// A piece of the file and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// `None` for what belongs to nobody in particular: the header.
    pub owner: Option<Owner>,
    /// Whole lines.
    pub text: Arc<str>,
}

impl Chunk {
    pub(super) fn of(owner: &Owner, text: Arc<str>) -> Self {
        Self {
            owner: Some(owner.clone()),
            text,
        }
    }

    pub(super) fn frame(text: &str) -> Self {
        Self {
            owner: None,
            text: text.into(),
        }
    }
}

/// What an owner wrote last must not run into what another's text begins with: a comment would take
/// a rule away. Where the next text opens a line of its own, all stays as it is.
fn end_lines(chunks: &mut [Chunk]) {
    let mut begins_line = true;
    for chunk in chunks
        .iter_mut()
        .rev()
        .filter(|chunk| !chunk.text.is_empty())
    {
        if chunk.owner.is_some() && !begins_line && !chunk.text.ends_with('\n') {
            chunk.text = format!("{}\n", chunk.text).into();
        }
        begins_line = chunk.text.starts_with('\n');
    }
}

/// A file as a list of chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    chunks: Vec<Chunk>,
}

impl Rendered {
    /// `frame` is the file with marks where chunks belong.
    pub(super) fn new<'c>(
        frame: &str,
        parts: impl IntoIterator<Item = (&'c str, Vec<Chunk>)>,
    ) -> Self {
        let mut parts: Vec<(&str, Vec<Chunk>)> = parts.into_iter().collect();
        let mut chunks = Vec::new();
        let mut rest = frame;
        loop {
            let next = parts
                .iter()
                .enumerate()
                .filter_map(|(index, (mark, _))| Some((rest.find(mark)?, index)))
                .min();
            let Some((at, index)) = next else { break };
            let (mark, own) = &mut parts[index];
            if at > 0 {
                chunks.push(Chunk::frame(&rest[..at]));
            }
            rest = &rest[at + mark.len()..];
            // A template that names a part twice gets it twice.
            chunks.extend(own.iter().cloned());
        }
        if !rest.is_empty() {
            chunks.push(Chunk::frame(rest));
        }
        end_lines(&mut chunks);
        Self { chunks }
    }

    /// Puts `text` in the place of `mark`, in what belongs to nobody.
    pub(super) fn fill(&mut self, mark: &str, text: &str) {
        for chunk in &mut self.chunks {
            if chunk.owner.is_none() && chunk.text.contains(mark) {
                chunk.text = chunk.text.replace(mark, text).into();
            }
        }
    }

    /// In the order of the file.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Puts a text in the place of one that is in the file; where that stood there, in bytes. `None`
    /// where it does not, or where the texts around it would change with it.
    pub fn replace(&mut self, before: &Arc<str>, after: &Arc<str>) -> Option<Range<usize>> {
        let mut start = 0;
        for chunk in &mut self.chunks {
            if Arc::ptr_eq(&chunk.text, before) || chunk.text == *before {
                let is_whole = |text: &str| text.ends_with('\n');
                let starts = |text: &str| text.starts_with('\n');
                if !is_whole(before) || !is_whole(after) || starts(before) != starts(after) {
                    return None;
                }
                chunk.text = Arc::clone(after);
                return Some(start..start + before.len());
            }
            start += chunk.text.len();
        }
        None
    }

    /// Gives each chunk the text that `other` gives in its place.
    pub fn retell(&mut self, mut other: impl FnMut(&Chunk) -> String) {
        for chunk in &mut self.chunks {
            let text = other(chunk);
            if *chunk.text != *text {
                chunk.text = text.into();
            }
        }
    }

    /// Adds what belongs to nobody.
    pub(super) fn push(&mut self, text: &str) {
        self.chunks.push(Chunk::frame(text));
    }

    pub(super) fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.chunks.iter().map(|c| c.text.len()).sum());
        for chunk in &self.chunks {
            text.push_str(&chunk.text);
        }
        text
    }

    /// Who answers for `line`, counted from 1 as HAProxy does.
    #[must_use]
    pub fn owner_of_line(&self, line: usize) -> Option<&Owner> {
        let mut first = 1;
        for chunk in &self.chunks {
            let last = first + chunk.text.bytes().filter(|&byte| byte == b'\n').count();
            // A text need not end its last line, where the next one opens another.
            let own = (first..=last).contains(&line).then(|| line - first);
            let piece = own.and_then(|own| chunk.text.split('\n').nth(own));
            if let (Some(owner), Some(1..)) = (&chunk.owner, piece.map(str::len)) {
                return Some(owner);
            }
            if line < first {
                break;
            }
            first = last;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::AppId;

    fn owner(app: &str) -> Owner {
        Owner {
            app: AppId::new(app),
            service_port: 1,
        }
    }

    fn rendered(chunks: &[(&str, &str)]) -> Rendered {
        let chunk = |(app, text): &(&str, &str)| match *app {
            "" => Chunk::frame(text),
            app => Chunk::of(&owner(app), (*text).into()),
        };
        Rendered::new("M", [("M", chunks.iter().map(chunk).collect())])
    }

    #[test]
    fn an_owner_answers_for_a_line_that_the_next_text_ends() {
        let rendered = rendered(&[
            ("", "frame\n"),
            ("/a", "  }"),
            ("", "\nframe\n"),
            ("/b", "  b\n"),
        ]);
        assert_eq!(rendered.text(), "frame\n  }\nframe\n  b\n");
        let owners: Vec<_> = (0..6).map(|line| rendered.owner_of_line(line)).collect();
        let (a, b) = (owner("/a"), owner("/b"));
        assert_eq!(owners, [None, None, Some(&a), None, Some(&b), None]);
    }

    #[test]
    fn no_text_runs_into_that_of_another() {
        let text = |chunks: &[_]| rendered(chunks).text();
        assert_eq!(text(&[("/a", "a #"), ("/b", "b\n")]), "a #\nb\n");
        assert_eq!(text(&[("/a", "a #"), ("", ""), ("", "f\n")]), "a #\nf\n");
        assert_eq!(
            text(&[("/a", "a"), ("/b", "\nb")]),
            "a\nb",
            "as marathon-lb wrote it"
        );
        assert_eq!(
            text(&[("", "f"), ("/b", "b\n")]),
            "fb\n",
            "what the operator wrote"
        );
    }
}
