//! How Python writes a value for programmers: `!r`, `!a`, and whatever stands within a list.

use std::fmt::Write as _;

use super::Subject;
use super::number;

/// Which characters beyond ASCII stand for themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Those that can be seen: `!r`.
    Printable,
    /// None: `!a`.
    Nothing,
}

impl Subject<'_> {
    pub(super) fn write_repr(self, beyond: Beyond, out: &mut String) {
        match self {
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(value) => _ = write!(out, "{value}"),
            Self::Float(value) => number::write_float(value, out),
            Self::Text(text) => write_text(text, beyond, out),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    Subject::of(item).write_repr(beyond, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, field)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    write_text(name, beyond, out);
                    out.push_str(": ");
                    Subject::of(field).write_repr(beyond, out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, beyond: Beyond, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ if char == quote => {
                out.push('\\');
                out.push(char);
            }
            ' '..='~' => out.push(char),
            _ if beyond == Beyond::Printable && is_printable(char) => out.push(char),
            _ => write_escape(u32::from(char), out),
        }
    }
    out.push(quote);
}

fn write_escape(code: u32, out: &mut String) {
    // Writing to a string cannot fail.
    _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// The standard library and Python draw the line by the same categories of Unicode, but the
/// former tells only by escaping, and at the start of a text it escapes combining marks too.
fn is_printable(char: char) -> bool {
    let mut buffer = [b' '; 5];
    let length = 1 + char.encode_utf8(&mut buffer[1..]).len();
    str::from_utf8(&buffer[..length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(char))
}
