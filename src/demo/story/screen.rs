//! What the spectator sees: numbered steps, ticks, diffs; plain where nobody sees colours.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use crate::diff::{self, Paint};

const BOLD: &str = "\u{1b}[1m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const RESET: &str = "\u{1b}[0m";

/// What stands before everything within a step.
const INDENT: &str = "   ";

/// Where the story is written.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    paint: Paint,
    steps: usize,
    title: String,
    began: Instant,
}

/// How standard output is painted: only on terminals, and never against <https://no-color.org>.
#[must_use]
pub fn paint_of_standard_output() -> Paint {
    let says_no = |name: &str, no: fn(&str) -> bool| {
        std::env::var_os(name).is_some_and(|text| text.to_str().is_none_or(no))
    };
    let unwanted = says_no("NO_COLOR", |text| !text.is_empty());
    let dumb = says_no("TERM", |text| text == "dumb");
    if io::stdout().is_terminal() && !unwanted && !dumb {
        Paint::Colours
    } else {
        Paint::Plain
    }
}

impl<'a> Screen<'a> {
    /// A screen on `out`; its clock begins to run.
    pub fn new(out: &'a mut dyn Write, paint: Paint) -> Self {
        Self {
            out,
            paint,
            steps: 0,
            title: String::new(),
            began: Instant::now(),
        }
    }

    /// Since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Where the story is: "step 3, `A task leaves`".
    #[must_use]
    pub fn position(&self) -> String {
        match self.steps {
            0 => "before its first step".to_owned(),
            step => format!("in step {step}, `{}`", self.title),
        }
    }

    /// A line of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.painted(BOLD, text);
        self.write(&text)
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        title.clone_into(&mut self.title);
        let text = self.painted(BOLD, &format!("{}. {title}", self.steps));
        self.write(&format!("\n{text}"))
    }

    /// A sentence within a step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, text: impl Display) -> io::Result<()> {
        self.write(&format!("{INDENT}{text}"))
    }

    /// Something that came true.
    pub(super) fn tick(&mut self, text: impl Display) -> io::Result<()> {
        let tick = self.painted(GREEN, "✓");
        self.write(&format!("{INDENT}{tick} {text}"))
    }

    /// Something that did not.
    pub(super) fn cross(&mut self, text: impl Display) -> io::Result<()> {
        let cross = self.painted(RED, "✗");
        self.write(&format!("{INDENT}{cross} {text}"))
    }

    /// What a turn changed in the file; false where that is nothing.
    pub(super) fn diff(&mut self, old: &str, new: &str) -> io::Result<bool> {
        let names = ("haproxy.cfg before", "haproxy.cfg after");
        let text = diff::unified(old, new, names, self.paint);
        for line in text.lines() {
            self.write(&format!("{INDENT}{line}"))?;
        }
        Ok(!text.is_empty())
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        match self.paint {
            Paint::Colours => format!("{colour}{text}{RESET}"),
            Paint::Plain => text.to_owned(),
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{}", line.trim_end())?;
        // Whoever looks on, or waits for a line, has it now.
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(paint: Paint) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, paint);
        screen.step("One").unwrap();
        screen.tick("so it is").unwrap();
        assert!(screen.diff("a\n", "b\n").unwrap());
        assert!(!screen.diff("a\n", "a\n").unwrap());
        assert_eq!(screen.position(), "in step 1, `One`");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn steps_are_numbered_and_what_belongs_to_them_is_indented() {
        assert_eq!(
            shown(Paint::Plain),
            "\n1. One\n   ✓ so it is\n   --- haproxy.cfg before\n   +++ haproxy.cfg after\n   \
             @@ -1 +1 @@\n   -a\n   +b\n"
        );
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        assert!(!shown(Paint::Plain).contains('\u{1b}'));
        assert!(shown(Paint::Colours).contains("\u{1b}[32m✓\u{1b}[0m so it is"));
    }
}
