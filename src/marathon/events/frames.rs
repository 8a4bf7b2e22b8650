//! Bytes of a stream of events become frames, however they were cut on their way.
//!
//! The form is that of HTML's server-sent events. Nothing larger than the limit is ever held: such
//! an event is passed over, and only its type is told. A line that belongs to no event at all is
//! told too, since it may be what is left of one.

use std::mem;

use memchr::memchr2;

/// What a buffer that was large once may keep.
const KEPT: usize = 64 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event as it was framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its type; empty where none was said.
    pub(super) kind: &'a [u8],
    pub(super) data: Data<'a>,
}

/// What it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data<'a> {
    Whole(&'a [u8]),
    /// More than the limit; not kept.
    TooLarge,
    /// There was a line in it that no event has.
    Garbled,
}

/// Puts frames together.
pub(super) struct Frames {
    /// Bytes of one event.
    most: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The line has grown too long, and its rest is passed over.
    passes_over: bool,
    /// A line ended with CR, to which an LF may still belong.
    after_cr: bool,
    is_first_line: bool,
    event: Event,
}

#[derive(Default)]
struct Event {
    kind: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    damage: Option<Damage>,
    /// Something other than comments has come of it.
    has_begun: bool,
}

/// Why the data cannot be used; the worse is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    TooLarge,
    Garbled,
}

impl Frames {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            line: Vec::new(),
            passes_over: false,
            after_cr: false,
            is_first_line: true,
            event: Event::default(),
        }
    }

    /// Whether the end of something is awaited.
    pub(super) fn is_within_event(&self) -> bool {
        self.event.has_begun || self.passes_over || !self.line.is_empty()
    }

    /// Takes the next bytes and hands on each frame that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        while let Some(&first) = bytes.first() {
            if mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr2(b'\r', b'\n', bytes) else {
                self.grow(bytes);
                return;
            };
            self.after_cr = bytes[end] == b'\r';
            self.end_line(&bytes[..end], &mut each);
            bytes = &bytes[end + 1..];
        }
    }

    fn grow(&mut self, piece: &[u8]) {
        if self.passes_over {
            return;
        }
        if self.line.len() + piece.len() <= self.most {
            self.line.extend_from_slice(piece);
            return;
        }
        let is_comment = self.line.first().or(piece.first()) == Some(&b':');
        if !is_comment {
            self.event.has_begun = true;
            self.event.spoil(Damage::TooLarge);
        }
        self.line = Vec::new();
        self.passes_over = true;
    }

    fn end_line(&mut self, piece: &[u8], each: &mut impl FnMut(Frame<'_>)) {
        // Most lines come in one piece and need no copy.
        if self.line.is_empty() && !self.passes_over && piece.len() <= self.most {
            self.read(piece, each);
            return;
        }
        self.grow(piece);
        if mem::take(&mut self.passes_over) {
            self.is_first_line = false;
            return;
        }
        let mut line = mem::take(&mut self.line);
        self.read(&line, each);
        line.clear();
        line.shrink_to(KEPT);
        self.line = line;
    }

    fn read(&mut self, mut line: &[u8], each: &mut impl FnMut(Frame<'_>)) {
        if mem::take(&mut self.is_first_line) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            self.event.end(each);
            return;
        }
        let colon = memchr::memchr(b':', line);
        if colon == Some(0) {
            return;
        }
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        self.event.take(field, value, self.most);
    }
}

impl Event {
    fn take(&mut self, field: &[u8], value: &[u8], most: usize) {
        self.has_begun = true;
        match field {
            b"event" => {
                self.kind.clear();
                self.kind.extend_from_slice(value);
            }
            b"data" => {
                if mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                if self.data.len() + value.len() > most {
                    self.spoil(Damage::TooLarge);
                }
                match self.damage {
                    None => self.data.extend_from_slice(value),
                    Some(_) => self.data = Vec::new(),
                }
            }
            // Marathon sends neither, and neither says anything of the cluster.
            b"id" | b"retry" => (),
            _ => self.spoil(Damage::Garbled),
        }
    }

    fn spoil(&mut self, damage: Damage) {
        self.damage = self.damage.max(Some(damage));
    }

    /// A blank line alone is no event but a heartbeat.
    fn end(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        let data = match self.damage {
            Some(Damage::Garbled) => Some(Data::Garbled),
            Some(Damage::TooLarge) => Some(Data::TooLarge),
            None if self.has_data || !self.kind.is_empty() => Some(Data::Whole(&self.data)),
            None => None,
        };
        if let Some(data) = data {
            let kind = &self.kind;
            each(Frame { kind, data });
        }
        self.kind.clear();
        self.kind.shrink_to(KEPT);
        self.data.clear();
        self.data.shrink_to(KEPT);
        self.has_data = false;
        self.damage = None;
        self.has_begun = false;
    }
}

#[cfg(test)]
mod tests;
