//! Numbers as Python's `format` writes them.

use super::spec::{Align, Sign, Spec, before, pad};

/// A number in digits, not yet aligned.
pub(super) struct Number {
    negative: bool,
    /// `0x` and its like.
    prefix: &'static str,
    /// The whole part, which grouping and zeros go into; empty for what has no digits.
    digits: String,
    /// What follows it: fraction, exponent, percent sign; all of `nan`.
    rest: String,
}

/// How a float is put into digits.
#[derive(Clone, Copy)]
enum Style {
    /// As few digits as tell it from every other float.
    Shortest,
    Exponent,
    Fixed,
    /// So many significant digits, with an exponent where that is shorter.
    General,
}

/// Python's `str` of a float.
pub(super) fn write_float(value: f64, out: &mut String) {
    if value.is_sign_negative() && !value.is_nan() {
        out.push('-');
    }
    out.push_str(
        &Float {
            style: Style::Shortest,
            precision: 0,
            alternate: false,
            point: true,
        }
        .text(value),
    );
}

impl Number {
    pub(super) fn of_int(value: i64, spec: &Spec) -> Self {
        let magnitude = value.unsigned_abs();
        let (prefix, digits) = match spec.letter {
            Some('b') => ("0b", format!("{magnitude:b}")),
            Some('o') => ("0o", format!("{magnitude:o}")),
            Some('x') => ("0x", format!("{magnitude:x}")),
            Some('X') => ("0X", format!("{magnitude:X}")),
            _ => ("", magnitude.to_string()),
        };
        Self {
            negative: value < 0,
            prefix: if spec.alternate { prefix } else { "" },
            digits,
            rest: String::new(),
        }
    }

    pub(super) fn of_char(char: char) -> Self {
        Self {
            negative: false,
            prefix: "",
            digits: String::new(),
            rest: char.to_string(),
        }
    }

    pub(super) fn of_float(value: f64, spec: &Spec) -> Self {
        let style = match spec.letter {
            Some('e' | 'E') => Style::Exponent,
            Some('f' | 'F' | '%') => Style::Fixed,
            None if spec.precision.is_none() => Style::Shortest,
            _ => Style::General,
        };
        let percent = spec.letter == Some('%');
        let value = if percent { value * 100.0 } else { value };
        let mut text = Float {
            style,
            precision: spec.precision.unwrap_or(6),
            alternate: spec.alternate,
            point: spec.letter.is_none(),
        }
        .text(value);
        if spec
            .letter
            .is_some_and(|letter| letter.is_ascii_uppercase())
        {
            text.make_ascii_uppercase();
        }
        if percent {
            text.push('%');
        }
        let whole = text.find(|char: char| !char.is_ascii_digit());
        let rest = text.split_off(whole.unwrap_or(text.len()));
        Self {
            negative: value.is_sign_negative() && !value.is_nan(),
            prefix: "",
            digits: text,
            rest,
        }
    }

    pub(super) fn write(&self, spec: &Spec, out: &mut String) {
        let (fill, align) = spec.layout(Align::Right);
        let sign = match (self.negative, spec.sign) {
            (true, _) => "-",
            (false, Some(Sign::Plus)) => "+",
            (false, Some(Sign::Space)) => " ",
            (false, _) => "",
        };
        let fixed = sign.len() + self.prefix.len() + self.rest.chars().count();
        // Zeros after the sign are digits: they are grouped too.
        let least = if fill == '0' && align == Align::AfterSign {
            spec.width.saturating_sub(fixed)
        } else {
            0
        };
        let digits = match self.digits.as_str() {
            "" => String::new(),
            digits => grouped(digits, spec, least),
        };
        let padding = spec.width.saturating_sub(fixed + digits.len());
        let before = before(padding, align);
        pad(fill, before, out);
        out.push_str(sign);
        out.push_str(self.prefix);
        let after_sign = if align == Align::AfterSign {
            padding
        } else {
            0
        };
        pad(fill, after_sign, out);
        out.push_str(&digits);
        out.push_str(&self.rest);
        pad(fill, padding - before - after_sign, out);
    }
}

/// Sets the separator between groups of digits, with zeros before them up to the `least` width.
/// The text never begins with a separator, so that it can become one longer than asked for.
fn grouped(digits: &str, spec: &Spec, least: usize) -> String {
    let Some(separator) = spec.grouping else {
        let mut text = String::new();
        pad('0', least.saturating_sub(digits.len()), &mut text);
        text.push_str(digits);
        return text;
    };
    let size = match spec.letter {
        Some('b' | 'o' | 'x' | 'X') => 4,
        _ => 3,
    };
    let mut backwards = String::new();
    let mut digits = digits.chars().rev().peekable();
    let mut count = 0;
    while digits.peek().is_some() || backwards.len() < least {
        if count > 0 && count % size == 0 {
            backwards.push(separator);
        }
        backwards.push(digits.next().unwrap_or('0'));
        count += 1;
    }
    backwards.chars().rev().collect()
}

struct Float {
    style: Style,
    precision: usize,
    /// Keeps the point, and zeros at the end, even where they say nothing.
    alternate: bool,
    /// Whether a whole number shows `.0`.
    point: bool,
}

impl Float {
    /// The text without its sign.
    fn text(&self, value: f64) -> String {
        let value = value.abs();
        if value.is_nan() {
            return "nan".to_owned();
        }
        if value.is_infinite() {
            return "inf".to_owned();
        }
        let (precision, alternate) = (self.precision, self.alternate);
        let significant = precision.max(1);
        let scientific = match self.style {
            Style::Fixed => {
                let point = if alternate && precision == 0 { "." } else { "" };
                return format!("{value:.precision$}{point}");
            }
            Style::Shortest => format!("{value:e}"),
            Style::Exponent => format!("{value:.precision$e}"),
            Style::General => format!("{value:.0$e}", significant - 1),
        };
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: isize = exponent.parse().unwrap_or(0);
        let mut digits = mantissa.replace('.', "");
        if matches!(self.style, Style::General) && !alternate {
            let kept = digits.trim_end_matches('0').len().max(1);
            digits.truncate(kept);
        }
        let point = usize::from(self.point);
        let in_exponent = match self.style {
            Style::Exponent => true,
            Style::Shortest => !(-4..16).contains(&exponent),
            _ => !(-4..significant.saturating_sub(point).cast_signed()).contains(&exponent),
        };
        if in_exponent {
            let (first, rest) = digits.split_at(1);
            let point = if alternate || !rest.is_empty() {
                "."
            } else {
                ""
            };
            let sign = if exponent < 0 { '-' } else { '+' };
            return format!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs());
        }
        let mut text = String::new();
        if exponent < 0 {
            text.push_str("0.");
            pad('0', exponent.unsigned_abs() - 1, &mut text);
            text.push_str(&digits);
            return text;
        }
        let whole = exponent.unsigned_abs() + 1;
        if digits.len() < whole {
            pad('0', whole - digits.len(), &mut digits);
        }
        let (whole, fraction) = digits.split_at(whole);
        text.push_str(whole);
        match fraction {
            "" if self.point => text.push_str(".0"),
            "" if alternate => text.push('.'),
            "" => (),
            fraction => {
                text.push('.');
                text.push_str(fraction);
            }
        }
        text
    }
}
