use std::fmt;

/// Where something stands in a text, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The place behind `text`, if `text` begins here.
    pub(super) fn after(self, text: &str) -> Self {
        match text.rsplit_once('\n') {
            Some((before, last)) => Self {
                line: self.line + 1 + before.matches('\n').count(),
                column: 1 + last.chars().count(),
            },
            None => Self {
                line: self.line,
                column: self.column + text.chars().count(),
            },
        }
    }
}

/// Why a format cannot be read or expanded, and the field or brace at which that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Where the field or the brace stands.
    pub place: Place,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a format. The first six are found when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A brace that neither begins nor ends a field and is not doubled.
    LoneBrace(char),
    /// A field that is never closed.
    Unclosed,
    /// `{}` or `{0}`: a field that asks for a value by its position.
    Positional(Box<str>),
    /// A name, index or nested field that breaks the grammar of fields.
    Grammar(&'static str),
    /// A letter behind `!` that is none of `r`, `s` and `a`.
    Conversion(char),
    /// A format specification that no value can have.
    Spec {
        /// As it was written.
        spec: Box<str>,
        /// What is wrong with it.
        why: String,
    },
    /// A name that has no value.
    UnknownName(Box<str>),
    /// An item or attribute that a value does not have.
    NoPart {
        /// The part as it was asked for, `[command]` or `.x`.
        part: Box<str>,
        /// What was asked, and why it has no such part.
        why: String,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "line {line}, column {column}: {}", self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoneBrace(brace) => write!(
                f,
                "`{brace}` stands alone; write `{brace}{brace}` for one in the output"
            ),
            Self::Unclosed => f.write_str(
                "a field begins with `{` and never ends; write `{{` for a brace in the output",
            ),
            Self::Positional(field) => write!(
                f,
                "`{{{field}}}` asks for a value by its position, but values have names; \
                 write `{{{{` and `}}}}` for braces in the output"
            ),
            Self::Grammar(what) => f.write_str(what),
            Self::Conversion(letter) => {
                let letter = letter.escape_default();
                write!(
                    f,
                    "conversion `!{letter}` does not exist; there are `!r`, `!s` and `!a`"
                )
            }
            Self::Spec { spec, why } => {
                write!(f, "format specification `{}`: {why}", spec.escape_default())
            }
            Self::UnknownName(name) => write!(f, "no value is named `{}`", name.escape_default()),
            Self::NoPart { part, why } => write!(f, "`{}`: {why}", part.escape_default()),
        }
    }
}

impl std::error::Error for FormatError {}
