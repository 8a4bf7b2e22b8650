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
        let mut last = 0;
        for chunk in &self.chunks {
            last += chunk.text.bytes().filter(|&byte| byte == b'\n').count();
            if line <= last {
                return chunk.owner.as_ref();
            }
        }
        None
    }
}
