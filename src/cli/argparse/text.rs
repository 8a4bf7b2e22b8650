//! Usage and help as argparse lays them out on 80 columns.

use std::fmt::Write as _;

use super::{Arity, Named, Parser, spellings};
use crate::config::option::Takes;

/// argparse leaves two of the columns free.
const WIDTH: usize = 78;
/// Where the explanations of options begin.
const HELP_COLUMN: usize = 24;

impl Parser<'_> {
    /// `usage: ...`, with a line feed at its end.
    pub(super) fn usage(&self) -> String {
        let parts: Vec<String> = self
            .named()
            .map(|named| {
                let spelling = spellings(named).next().unwrap_or_default();
                format!("[{spelling}{}]", self.values(named))
            })
            .collect();
        let head = format!("usage: {}", self.program);
        let whole = format!("{head} {}", parts.join(" "));
        if whole.chars().count() <= WIDTH {
            return whole + "\n";
        }
        let is_short = head.chars().count() * 4 <= WIDTH * 3;
        let indent = " ".repeat(if is_short {
            head.chars().count() + 1
        } else {
            "usage: ".len()
        });
        let mut lines = vec![head];
        if !is_short {
            lines.push(String::new());
        }
        for part in parts {
            let line = lines.last_mut().expect("it has the head");
            let width = line.chars().count().max(indent.len() - 1);
            if WIDTH < width + 1 + part.chars().count() {
                lines.push(format!("{indent}{part}"));
            } else if line.is_empty() {
                line.push_str(&indent);
                line.push_str(&part);
            } else {
                line.push(' ');
                line.push_str(&part);
            }
        }
        lines.join("\n") + "\n"
    }

    /// All of `--help`.
    pub(in crate::cli) fn help(&self) -> String {
        let mut text = format!("{}\n{}\n\noptions:\n", self.usage(), self.about);
        for named in self.named() {
            let names: Vec<String> = spellings(named)
                .map(|spelling| format!("{spelling}{}", self.values(named)))
                .collect();
            let mut line = format!("  {}", names.join(", "));
            let explanation = match named {
                Named::Help => "show this help message and exit".to_owned(),
                Named::Option(option) => match option.default_text() {
                    Some(default) if !matches!(option.takes, Takes::Nothing(_)) => {
                        format!("{} (default: {default})", option.summary)
                    }
                    _ => option.summary.to_owned(),
                },
            };
            if HELP_COLUMN - 2 < line.chars().count() {
                text.push_str(&line);
                text.push('\n');
                line.clear();
            }
            for words in wrap(&explanation, WIDTH - HELP_COLUMN) {
                // To a text everything can be written.
                let _ = writeln!(text, "{line:HELP_COLUMN$}{words}");
                line.clear();
            }
        }
        text
    }

    fn named(&self) -> impl Iterator<Item = Named> {
        std::iter::once(Named::Help).chain(self.options.iter().map(Named::Option))
    }

    /// What stands behind an option: ` MARATHON [MARATHON ...]`.
    fn values(&self, named: Named) -> String {
        let Named::Option(option) = named else {
            return String::new();
        };
        let (Takes::One(value, _) | Takes::Many(value, _)) = &option.takes else {
            return String::new();
        };
        let name = value.name;
        match self.arity(named) {
            Arity::OneOrMore => format!(" {name} [{name} ...]"),
            _ => format!(" {name}"),
        }
    }
}

/// `text` in lines of at most `width`, unless a word is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it began with one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// `text` in quotes, as Python's `repr` shows it.
pub(super) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c == quote => shown.extend(['\\', c]),
            c if c.is_control() => shown.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}
