//! Python's `str.format` with named values, in which the template overrides of marathon-lb 1.15
//! are written: `{name}`, `{{` and `}}`, `!r`, `!s`, `!a`, `[item]`, and format specifications.
//!
//! In comes the text of a template, once; out comes a text for every set of values. Python 3.10 is
//! followed where versions differ (`0` before the width of a text pads on the right).

mod fault;
mod number;
mod repr;
mod spec;

use std::fmt::Write as _;

pub use fault::{Fault, FormatError, Place};

use self::spec::Spec;
use crate::cluster::Field;

/// Where the values of a format come from.
pub trait Values {
    /// The value of this name, `None` where no value has it.
    fn get(&self, name: &str) -> Option<Value<'_>>;
}

/// A value that a format can print.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Absent: prints `None`.
    None,
    /// Prints `True` or `False`, and as a number where a specification is given.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Something of the app that Marathon wrote; its items can be asked for.
    Field(&'a Field),
}

/// A template, parsed once and then expanded any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pieces: Vec<Piece>,
    names: Vec<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// `{name}` and nothing more: nearly all fields.
    Name(Box<str>, Place),
    Field(Box<Replacement>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Replacement {
    place: Place,
    name: Box<str>,
    parts: Vec<Part>,
    conversion: Option<Conversion>,
    spec: Specification,
}

/// A step from a value to something within it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Attribute(Box<str>),
    Index(usize),
    Key(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conversion {
    Repr,
    Str,
    Ascii,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Specification {
    Ready(Spec),
    /// Holds fields itself, so that each set of values makes another.
    Nested(Vec<Piece>),
}

/// A value once it is taken apart: what Python knows as an object of a type.
#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    List(&'a [Field]),
    Object(&'a [(Box<str>, Field)]),
}

impl Format {
    /// Reads a template.
    ///
    /// # Errors
    /// Braces that do not pair, a field without a name or with a number for one, a conversion or a
    /// format specification that Python does not have, and fields nested more than once.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut names = Vec::new();
        let pieces = pieces(text, Place::START, Depth::Text, &mut names)?;
        Ok(Self { pieces, names })
    }

    /// Appends the template to `out` with `values` in its fields.
    ///
    /// # Errors
    /// A name without a value, an item that a value does not have, any attribute, and a format
    /// specification that does not suit its value. `out` is then as it was.
    pub fn expand(&self, values: &impl Values, out: &mut String) -> Result<(), FormatError> {
        let before = out.len();
        expand(&self.pieces, values, out).inspect_err(|_| out.truncate(before))
    }

    /// The names that it asks for, each once, in the order of their first use.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Whether it says nothing at all: marathon-lb then acts as if there were no template.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Fields may stand in the specification of a field, and no deeper.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Text,
    Specification,
}

fn pieces(
    text: &str,
    start: Place,
    depth: Depth,
    names: &mut Vec<Box<str>>,
) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut place = start;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        place = place.after(&rest[..at]);
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        let brace = if rest.starts_with('{') { '{' } else { '}' };
        let inner = &rest[1..];
        let taken = if inner.starts_with(brace) {
            literal.push(brace);
            2
        } else if brace == '}' || inner.is_empty() {
            return Err(FormatError {
                place,
                fault: Fault::LoneBrace(brace),
            });
        } else {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            let raw = RawField::read(inner).map_err(|fault| FormatError { place, fault })?;
            pieces.push(raw.piece(place, depth, names)?);
            1 + raw.length
        };
        place = place.after(&rest[..taken]);
        rest = &rest[taken..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into()));
    }
    Ok(pieces)
}

/// A field cut into its parts.
struct RawField<'t> {
    name: &'t str,
    conversion: Option<char>,
    spec: &'t str,
    /// What stands before the specification, for its place.
    before_spec: &'t str,
    /// With the closing brace.
    length: usize,
}

impl<'t> RawField<'t> {
    /// Reads what follows the opening brace. A colon or a brace within `[]` belongs to the key.
    fn read(text: &'t str) -> Result<Self, Fault> {
        let mut in_key = false;
        let end = text.find(|char| match char {
            '[' if !in_key => {
                in_key = true;
                false
            }
            ']' if in_key => {
                in_key = false;
                false
            }
            '{' | '}' | ':' | '!' => !in_key,
            _ => false,
        });
        let (name, behind) = text.split_at(end.ok_or(Fault::Unclosed)?);
        let mut conversion = None;
        let mut spec = match behind.as_bytes()[0] {
            b'{' => return Err(Fault::Grammar("`{` stands inside the name of a field")),
            b'!' => {
                let mut chars = behind[1..].chars();
                let letter = chars.next().ok_or(Fault::Unclosed)?;
                conversion = Some(letter);
                let spec = chars.as_str();
                match chars.next() {
                    Some('}' | ':') => spec,
                    Some(_) => {
                        let what = "more than one letter follows the `!` of a field";
                        return Err(Fault::Grammar(what));
                    }
                    None => return Err(Fault::Unclosed),
                }
            }
            _ => behind,
        };
        if spec.starts_with(':') {
            spec = &spec[1..];
        }
        let before_spec = &text[..text.len() - spec.len()];
        let mut open = 1_usize;
        let end = spec.find(|char| {
            match char {
                '{' => open += 1,
                '}' => open -= 1,
                _ => (),
            }
            open == 0
        });
        let spec = &spec[..end.ok_or(Fault::Unclosed)?];
        Ok(Self {
            name,
            conversion,
            spec,
            before_spec,
            length: before_spec.len() + spec.len() + 1,
        })
    }

    fn piece(
        &self,
        place: Place,
        depth: Depth,
        names: &mut Vec<Box<str>>,
    ) -> Result<Piece, FormatError> {
        let fail = |fault| FormatError { place, fault };
        let (name, parts) = self
            .name
            .split_at(self.name.find(['.', '[']).unwrap_or(self.name.len()));
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fail(Fault::Positional(self.name.into())));
        }
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
        let parts = self::parts(parts).map_err(fail)?;
        let conversion = match self.conversion {
            None => None,
            Some('r') => Some(Conversion::Repr),
            Some('s') => Some(Conversion::Str),
            Some('a') => Some(Conversion::Ascii),
            Some(letter) => return Err(fail(Fault::Conversion(letter))),
        };
        let spec = if !self.spec.contains('{') {
            Specification::Ready(Spec::parse(self.spec).map_err(fail)?)
        } else if depth == Depth::Text {
            let start = place.after("{").after(self.before_spec);
            Specification::Nested(pieces(self.spec, start, Depth::Specification, names)?)
        } else {
            let what = "a field stands in the format specification of a field in a specification";
            return Err(fail(Fault::Grammar(what)));
        };
        let plain = self.spec.is_empty() && parts.is_empty() && conversion.is_none();
        if plain {
            return Ok(Piece::Name(name.into(), place));
        }
        Ok(Piece::Field(Box::new(Replacement {
            place,
            name: name.into(),
            parts,
            conversion,
            spec,
        })))
    }
}

/// Reads `.attribute` and `[item]`, any number of them.
fn parts(mut text: &str) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    while let Some(first) = text.chars().next() {
        let inner = &text[first.len_utf8()..];
        let (part, rest) = match first {
            '.' => inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len())),
            '[' => inner.split_once(']').ok_or(Fault::Unclosed)?,
            _ => {
                let what = "only `.` or `[` may follow the `]` of a field";
                return Err(Fault::Grammar(what));
            }
        };
        if part.is_empty() {
            return Err(Fault::Grammar("`.` or `[]` of a field names nothing"));
        }
        parts.push(if first == '.' {
            Part::Attribute(part.into())
        } else if part.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number past all bounds is past the end of every list too.
            Part::Index(part.parse().unwrap_or(usize::MAX))
        } else {
            Part::Key(part.into())
        });
        text = rest;
    }
    Ok(parts)
}

fn expand(pieces: &[Piece], values: &impl Values, out: &mut String) -> Result<(), FormatError> {
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Name(name, place) => look_up(values, name, *place)?.write_str(out),
            Piece::Field(field) => field.expand(values, out)?,
        }
    }
    Ok(())
}

fn look_up<'v>(
    values: &'v impl Values,
    name: &str,
    place: Place,
) -> Result<Subject<'v>, FormatError> {
    match values.get(name) {
        Some(value) => Ok(Subject::of_value(&value)),
        None => Err(FormatError {
            place,
            fault: Fault::UnknownName(name.into()),
        }),
    }
}

impl Replacement {
    fn expand(&self, values: &impl Values, out: &mut String) -> Result<(), FormatError> {
        let fail = |fault| FormatError {
            place: self.place,
            fault,
        };
        let mut subject = look_up(values, &self.name, self.place)?;
        for part in &self.parts {
            subject = subject.part(part).map_err(fail)?;
        }
        let nested;
        let spec = match &self.spec {
            Specification::Ready(spec) => spec,
            Specification::Nested(pieces) => {
                let mut text = String::new();
                expand(pieces, values, &mut text)?;
                nested = Spec::parse(&text).map_err(fail)?;
                &nested
            }
        };
        let Some(conversion) = self.conversion else {
            return subject.write(spec, out).map_err(fail);
        };
        let mut text = String::new();
        match conversion {
            Conversion::Str => subject.write_str(&mut text),
            Conversion::Repr => subject.write_repr(repr::Beyond::Printable, &mut text),
            Conversion::Ascii => subject.write_repr(repr::Beyond::Nothing, &mut text),
        }
        Subject::Text(&text).write(spec, out).map_err(fail)
    }
}

impl<'a> Subject<'a> {
    fn of_value(value: &Value<'a>) -> Self {
        match *value {
            Value::None => Self::None,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Text(text) => Self::Text(text),
            Value::Field(field) => Self::of(field),
        }
    }

    fn of(field: &'a Field) -> Self {
        match field {
            Field::Null => Self::None,
            Field::Bool(value) => Self::Bool(*value),
            Field::Int(value) => Self::Int(*value),
            Field::Float(value) => Self::Float(*value),
            Field::Text(text) => Self::Text(text),
            Field::List(items) => Self::List(items),
            Field::Object(members) => Self::Object(members),
        }
    }

    /// With its article, for people.
    fn kind(self) -> &'static str {
        match self {
            Self::None => "an absent value (`None`)",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    fn part(self, part: &Part) -> Result<Self, Fault> {
        let no = |part: String, why: String| Fault::NoPart {
            part: part.into(),
            why,
        };
        match (self, part) {
            (_, Part::Attribute(name)) => Err(no(
                format!(".{name}"),
                format!(
                    "{} has no attributes; items are asked for as `[{name}]`",
                    self.kind()
                ),
            )),
            (Self::Object(members), Part::Key(key)) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, field)| Self::of(field))
                .ok_or_else(|| no(format!("[{key}]"), "the object has no such member".into())),
            (Self::List(items), Part::Index(at)) => items.get(*at).map(Self::of).ok_or_else(|| {
                let length = items.len();
                no(
                    format!("[{at}]"),
                    format!("the list ends after {length} items"),
                )
            }),
            (Self::Text(text), Part::Index(at)) => text
                .char_indices()
                .nth(*at)
                .map(|(at, char)| Self::Text(&text[at..at + char.len_utf8()]))
                .ok_or_else(|| {
                    let length = text.chars().count();
                    no(
                        format!("[{at}]"),
                        format!("the text ends after {length} characters"),
                    )
                }),
            (_, Part::Index(at)) => Err(no(
                format!("[{at}]"),
                format!("{} has no numbered items", self.kind()),
            )),
            (_, Part::Key(key)) => Err(no(
                format!("[{key}]"),
                format!("{} has no named items", self.kind()),
            )),
        }
    }

    fn write_str(self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Int(value) => _ = write!(out, "{value}"),
            other => other.write_repr(repr::Beyond::Printable, out),
        }
    }
}

#[cfg(test)]
mod tests;
