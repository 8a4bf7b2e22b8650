//! The part of a field behind its colon: `[[fill]align][sign][#][0][width][grouping][.precision]`
//! and a letter.

use super::number::Number;
use super::{Fault, Subject};

/// Python's own limit is the memory; no line of HAProxy is as long as this.
const LONGEST: usize = 65_535;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    text: Box<str>,
    fill: Option<char>,
    align: Option<Align>,
    pub(super) sign: Option<Sign>,
    pub(super) alternate: bool,
    /// `0` before the width, where no fill was chosen.
    zero: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) letter: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Centre,
    /// Padding goes between the sign and the digits.
    AfterSign,
}

impl Align {
    fn of(char: char) -> Option<Self> {
        match char {
            '<' => Some(Self::Left),
            '>' => Some(Self::Right),
            '^' => Some(Self::Centre),
            '=' => Some(Self::AfterSign),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
    Space,
}

impl Spec {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let fail = |why: &str| Fault::Spec {
            spec: text.into(),
            why: why.to_owned(),
        };
        let mut reader = Reader(text);
        let (fill, align) = reader.fill_and_align();
        let sign = reader.one_of(&[('+', Sign::Plus), ('-', Sign::Minus), (' ', Sign::Space)]);
        let alternate = reader.one_of(&[('#', ())]).is_some();
        let zero = fill.is_none() && reader.one_of(&[('0', ())]).is_some();
        let width = reader.number().map_err(fail)?;
        let grouping = reader.one_of(&[(',', ','), ('_', '_')]);
        if grouping.is_some() && reader.0.starts_with([',', '_']) {
            return Err(fail("digits are grouped by `,` or by `_`, once"));
        }
        let precision = match reader.one_of(&[('.', ())]) {
            Some(()) => Some(
                reader
                    .number()
                    .map_err(fail)?
                    .ok_or_else(|| fail("the precision is missing behind `.`"))?,
            ),
            None => None,
        };
        let mut letters = reader.0.chars();
        let letter = letters.next();
        if letters.next().is_some() {
            return Err(fail(
                "expected fill, alignment, sign, `#`, `0`, width, grouping, precision and one \
                 letter, in this order",
            ));
        }
        let groups = match (grouping, letter) {
            (None, _) | (_, None) => true,
            (Some(_), Some(letter)) if "defgEFG%".contains(letter) => true,
            (Some(grouping), Some(letter)) => grouping == '_' && "boxX".contains(letter),
        };
        if !groups {
            return Err(fail("this letter does not go with grouped digits"));
        }
        Ok(Self {
            text: text.into(),
            fill,
            align,
            sign,
            alternate,
            zero,
            width: width.unwrap_or(0),
            grouping,
            precision,
            letter,
        })
    }

    /// Fill and alignment for values that stand at `usual` by themselves.
    pub(super) fn layout(&self, usual: Align) -> (char, Align) {
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let align = self.align.unwrap_or(match usual {
            Align::Right if self.zero => Align::AfterSign,
            usual => usual,
        });
        (fill, align)
    }

    fn refuse(&self, why: impl Into<String>) -> Fault {
        Fault::Spec {
            spec: self.text.clone(),
            why: why.into(),
        }
    }
}

/// What of a specification is still to be read.
struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn fill_and_align(&mut self) -> (Option<char>, Option<Align>) {
        let mut chars = self.0.chars();
        let Some(first) = chars.next() else {
            return (None, None);
        };
        let behind_first = chars.as_str();
        if let Some(align) = chars.next().and_then(Align::of) {
            self.0 = chars.as_str();
            return (Some(first), Some(align));
        }
        let align = Align::of(first);
        if align.is_some() {
            self.0 = behind_first;
        }
        (None, align)
    }

    fn one_of<T: Copy>(&mut self, choices: &[(char, T)]) -> Option<T> {
        let first = self.0.chars().next()?;
        let (_, choice) = choices.iter().find(|(char, _)| *char == first)?;
        self.0 = &self.0[first.len_utf8()..];
        Some(*choice)
    }

    fn number(&mut self) -> Result<Option<usize>, &'static str> {
        let digits = self
            .0
            .trim_start_matches(|char: char| char.is_ascii_digit());
        let (number, rest) = self.0.split_at(self.0.len() - digits.len());
        self.0 = rest;
        if number.is_empty() {
            return Ok(None);
        }
        match number.parse() {
            Ok(number) if number <= LONGEST => Ok(Some(number)),
            _ => Err("width and precision end at 65535"),
        }
    }
}

impl Subject<'_> {
    /// Python's `format(value, spec)`.
    pub(super) fn write(self, spec: &Spec, out: &mut String) -> Result<(), Fault> {
        if spec.text.is_empty() {
            self.write_str(out);
            return Ok(());
        }
        match self {
            Self::Text(text) => write_text(text, spec, out),
            Self::Bool(value) => self.write_int(i64::from(value), spec, out),
            Self::Int(value) => self.write_int(value, spec, out),
            Self::Float(value) => match spec.letter {
                None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%') => {
                    Number::of_float(value, spec).write(spec, out);
                    Ok(())
                }
                Some(letter) => Err(self.no_letter(letter, spec)),
            },
            Self::None | Self::List(_) | Self::Object(_) => {
                let kind = self.kind();
                Err(spec.refuse(format!("{kind} takes none; `!s` makes a text of it first")))
            }
        }
    }

    fn write_int(self, value: i64, spec: &Spec, out: &mut String) -> Result<(), Fault> {
        let number = match spec.letter {
            Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => Number::of_float(value as f64, spec),
            None | Some('b' | 'c' | 'd' | 'n' | 'o' | 'x' | 'X') => {
                if spec.precision.is_some() {
                    return Err(spec.refuse("a whole number has no precision"));
                }
                if spec.letter == Some('c') {
                    character(value, spec)?
                } else {
                    Number::of_int(value, spec)
                }
            }
            Some(letter) => return Err(self.no_letter(letter, spec)),
        };
        number.write(spec, out);
        Ok(())
    }

    fn no_letter(self, letter: char, spec: &Spec) -> Fault {
        let letter = letter.escape_default();
        spec.refuse(format!("`{letter}` does not suit {}", self.kind()))
    }
}

fn character(value: i64, spec: &Spec) -> Result<Number, Fault> {
    if spec.sign.is_some() || spec.alternate {
        return Err(spec.refuse("a character has neither a sign nor `#`"));
    }
    u32::try_from(value)
        .ok()
        .and_then(char::from_u32)
        .map(Number::of_char)
        .ok_or_else(|| spec.refuse(format!("{value} is the number of no character")))
}

fn write_text(text: &str, spec: &Spec, out: &mut String) -> Result<(), Fault> {
    let no = |what: &str| Err(spec.refuse(format!("a text has no {what}")));
    let (fill, align) = spec.layout(Align::Left);
    match spec {
        Spec {
            letter: Some(letter),
            ..
        } if *letter != 's' => {
            return Err(Subject::Text(text).no_letter(*letter, spec));
        }
        Spec { sign: Some(_), .. } => return no("sign"),
        Spec {
            alternate: true, ..
        } => return no("alternate form (`#`)"),
        Spec {
            grouping: Some(_), ..
        } => return no("digits to group"),
        _ if align == Align::AfterSign => return no("sign to align after (`=`)"),
        _ => (),
    }
    let text = match spec
        .precision
        .and_then(|length| text.char_indices().nth(length))
    {
        Some((end, _)) => &text[..end],
        None => text,
    };
    let padding = spec.width.saturating_sub(text.chars().count());
    let before = before(padding, align);
    pad(fill, before, out);
    out.push_str(text);
    pad(fill, padding - before, out);
    Ok(())
}

/// How much of the padding stands before the value.
pub(super) fn before(padding: usize, align: Align) -> usize {
    match align {
        Align::Left | Align::AfterSign => 0,
        Align::Right => padding,
        Align::Centre => padding / 2,
    }
}

pub(super) fn pad(fill: char, count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(fill, count));
}
