//! The habits of Python's argparse (3.11) that scripts of the predecessors rely on.
//!
//! In come a table of options and words; out go the options in the order in which they were given,
//! each with its values, or the help, or what argparse says of wrong usage. clap has neither the
//! messages nor some of the habits: a value with a blank in it may begin with a dash, and an
//! ambiguous beginning names what it could be.
//!
//! Each word is told to be a value or an option first, by itself; then options take as many of the
//! values behind them as they are made for.

mod text;

use crate::config::integer;
use crate::config::option::{Definition, Form, Takes};

/// Put in place of what could be a secret.
const HIDDEN: &str = "***";

/// A command line of a predecessor.
#[derive(Clone, Copy)]
pub(super) struct Parser<'a> {
    /// The name it was started under.
    pub(super) program: &'a str,
    /// What it is, in one sentence of the help.
    pub(super) about: &'static str,
    /// Its options, in the order of the help.
    pub(super) options: &'static [Definition],
    /// Which of them takes one or more values at once.
    pub(super) takes_several: &'static str,
    /// Those that are ours: they answer to their whole names only, so that each beginning of a name
    /// means what it always meant.
    pub(super) ours: &'static [&'static str],
}

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// Nothing but `-h`, and what may be wrong behind it is not looked at.
    Help,
    /// Each occurrence of an option: no value for a switch, one or more for the others.
    Given(Vec<(&'static Definition, Vec<String>)>),
}

/// An option that a word names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Help,
    Option(&'static Definition),
}

/// How many values an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arity {
    None,
    One,
    OneOrMore,
}

/// What a word is by itself.
enum Word<'w> {
    Value,
    /// The first `--`; all behind it are values.
    Dashes,
    Option {
        named: Named,
        /// As it was given, or spelled out if it was the beginning of one.
        spelled: String,
        /// Behind `=`, or behind the letter of a short option.
        attached: Option<&'w str>,
    },
    /// Looks like an option and is none.
    Unknown,
}

impl Parser<'_> {
    /// Reads the words behind the name of the program.
    ///
    /// # Errors
    ///
    /// Wrong usage, as the text for standard error.
    pub(super) fn parse(&self, words: &[String]) -> Result<Parsed, String> {
        let kinds = self.kinds(words)?;
        let mut given = Vec::new();
        let mut strays = Vec::new();
        let mut at = 0;
        while at < words.len() {
            match &kinds[at] {
                Word::Value | Word::Dashes | Word::Unknown => {
                    strays.push(at);
                    at += 1;
                }
                Word::Option {
                    named,
                    spelled,
                    attached,
                } => {
                    let values = kinds[at + 1..]
                        .iter()
                        .take_while(|kind| matches!(kind, Word::Value))
                        .count();
                    let behind = &words[at + 1..=at + values];
                    at += 1;
                    match self.take(*named, spelled, *attached, behind, &mut given)? {
                        Took::Values(taken) => at += taken,
                        Took::Help => return Ok(Parsed::Help),
                    }
                }
            }
        }
        if strays.is_empty() {
            return Ok(Parsed::Given(given));
        }
        let strays = hide_secrets(&strays, words);
        Err(self.error(&format!("unrecognized arguments: {}", strays.join(" "))))
    }

    /// `problem` under the usage.
    pub(super) fn error(&self, problem: &str) -> String {
        let usage = self.usage();
        format!("{usage}{}: error: {problem}", self.program)
    }

    fn error_of(&self, named: Named, problem: &str) -> String {
        let spelled = spellings(named).collect::<Vec<_>>().join("/");
        self.error(&format!("argument {spelled}: {problem}"))
    }

    fn kinds<'w>(&self, words: &'w [String]) -> Result<Vec<Word<'w>>, String> {
        let mut kinds = Vec::with_capacity(words.len());
        let mut are_values = false;
        for word in words {
            kinds.push(if are_values {
                Word::Value
            } else if word == "--" {
                are_values = true;
                Word::Dashes
            } else {
                self.kind(word)?
            });
        }
        Ok(kinds)
    }

    fn kind<'w>(&self, word: &'w str) -> Result<Word<'w>, String> {
        if !word.starts_with('-') {
            return Ok(Word::Value);
        }
        if let Some(named) = self.exactly(word) {
            return Ok(Word::Option {
                named,
                spelled: word.to_owned(),
                attached: None,
            });
        }
        if word == "-" {
            return Ok(Word::Value);
        }
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if attached.is_some()
            && let Some(named) = self.exactly(name)
        {
            return Ok(Word::Option {
                named,
                spelled: name.to_owned(),
                attached,
            });
        }
        let mut candidates = self.beginning_with(word, name, attached);
        if candidates.len() > 1 {
            let names: Vec<_> = candidates
                .iter()
                .map(|(_, spelled, _)| spelled.as_str())
                .collect();
            let is_secret = candidates
                .iter()
                .any(|(named, ..)| matches!(named, Named::Option(option) if option.is_secret()));
            let word = match attached {
                Some(_) if is_secret || could_be_secret(name) => format!("{name}={HIDDEN}"),
                _ => word.to_owned(),
            };
            let names = names.join(", ");
            return Err(self.error(&format!("ambiguous option: {word} could match {names}")));
        }
        if let Some((named, spelled, attached)) = candidates.pop() {
            return Ok(Word::Option {
                named,
                spelled,
                attached,
            });
        }
        // A value rather than an option: no option looks like a number or has a blank.
        if is_negative_number(word) || word.contains(' ') {
            return Ok(Word::Value);
        }
        Ok(Word::Unknown)
    }

    /// Long options that begin with `name`; for a word with a single dash, the option of its first
    /// letter.
    fn beginning_with<'w>(
        &self,
        word: &'w str,
        name: &str,
        attached: Option<&'w str>,
    ) -> Vec<(Named, String, Option<&'w str>)> {
        let is_long = word.starts_with("--");
        let rest = word.char_indices().nth(2).map_or("", |(at, _)| &word[at..]);
        let letter = &word[..word.len() - rest.len()];
        self.all()
            .filter_map(|(named, spelling)| {
                if is_long {
                    let is_ours = matches!(named, Named::Option(o) if self.ours.contains(&o.name));
                    (spelling.starts_with(name) && !is_ours).then_some((named, spelling, attached))
                } else {
                    (spelling == letter).then_some((named, spelling, Some(rest)))
                }
            })
            .collect()
    }

    /// All names with what they name, in argparse's order.
    fn all(&self) -> impl Iterator<Item = (Named, String)> {
        let options = self.options.iter().map(Named::Option);
        std::iter::once(Named::Help)
            .chain(options)
            .flat_map(|named| spellings(named).map(move |spelling| (named, spelling)))
    }

    fn exactly(&self, word: &str) -> Option<Named> {
        self.all()
            .find(|(_, spelling)| spelling == word)
            .map(|(named, _)| named)
    }

    fn arity(&self, named: Named) -> Arity {
        match named {
            Named::Option(option) if option.name == self.takes_several => Arity::OneOrMore,
            Named::Option(option) if !matches!(option.takes, Takes::Nothing(_)) => Arity::One,
            _ => Arity::None,
        }
    }

    /// Gives an option what it takes of what is attached to it or else of the values `behind` it.
    fn take(
        &self,
        mut named: Named,
        spelled: &str,
        mut attached: Option<&str>,
        behind: &[String],
        given: &mut Vec<(&'static Definition, Vec<String>)>,
    ) -> Result<Took, String> {
        // Switches that are joined behind one dash, in the order in which they are done.
        let mut joined = Vec::new();
        let is_short = !spelled.starts_with("--");
        let values = loop {
            let Some(text) = attached else {
                break match self.arity(named) {
                    Arity::None => Vec::new(),
                    Arity::One => behind.iter().take(1).cloned().collect(),
                    Arity::OneOrMore => behind.to_vec(),
                };
            };
            if self.arity(named) != Arity::None {
                break vec![text.to_owned()];
            }
            let ignored = || {
                let shown = text::repr(text);
                self.error_of(named, &format!("ignored explicit argument {shown}"))
            };
            let mut rest = text.chars();
            let next = rest.next().filter(|_| is_short);
            let next = next.and_then(|letter| self.exactly(&format!("-{letter}")));
            joined.push(named);
            named = next.ok_or_else(ignored)?;
            attached = Some(rest.as_str()).filter(|rest| !rest.is_empty());
        };
        let missing = match self.arity(named) {
            Arity::One if values.is_empty() => Some("expected one argument"),
            Arity::OneOrMore if values.is_empty() => Some("expected at least one argument"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(self.error_of(named, missing));
        }
        let taken = if attached.is_some() { 0 } else { values.len() };
        for switch in joined {
            match switch {
                Named::Help => return Ok(Took::Help),
                Named::Option(option) => given.push((option, Vec::new())),
            }
        }
        let Named::Option(option) = named else {
            return Ok(Took::Help);
        };
        if is_integer(option)
            && let Some(wrong) = values.iter().find(|text| integer(text).is_none())
        {
            let wrong = text::repr(wrong);
            return Err(self.error_of(named, &format!("invalid int value: {wrong}")));
        }
        given.push((option, values));
        Ok(Took::Values(taken))
    }
}

/// What came of an option.
enum Took {
    /// So many of the values behind it.
    Values(usize),
    Help,
}

/// Its names: `--marathon`, `-m`.
fn spellings(named: Named) -> impl Iterator<Item = String> {
    let (first, second) = match named {
        Named::Help => ("-h".to_owned(), Some("--help".to_owned())),
        Named::Option(option) => (
            format!("--{}", option.name),
            option.short.map(|letter| format!("-{letter}")),
        ),
    };
    std::iter::once(first).chain(second)
}

fn is_integer(option: &Definition) -> bool {
    matches!(&option.takes, Takes::One(value, _) if matches!(value.form, Form::Integer))
}

/// `-5`, `-5.5`, `-.5`.
fn is_negative_number(word: &str) -> bool {
    let Some(number) = word.strip_prefix('-') else {
        return false;
    };
    let are_digits = |text: &str| text.chars().all(char::is_numeric);
    match number.split_once('.') {
        Some((whole, part)) => are_digits(whole) && !part.is_empty() && are_digits(part),
        None => !number.is_empty() && are_digits(number),
    }
}

/// Whether an option of nearly that name holds credentials.
fn could_be_secret(name: &str) -> bool {
    ["auth", "cred", "dcos"]
        .iter()
        .any(|part| name.contains(part))
}

/// The words that nobody took, without what stands for credentials in them.
fn hide_secrets(strays: &[usize], words: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(strays.len());
    for &at in strays {
        let word = words[at].as_str();
        let is_behind_secret = 0 < at && {
            let before = &words[at - 1];
            before.starts_with('-') && !before.contains('=') && could_be_secret(before)
        };
        shown.push(match word.split_once('=') {
            _ if is_behind_secret && !word.starts_with('-') => HIDDEN.to_owned(),
            Some((name, _)) if word.starts_with('-') && could_be_secret(name) => {
                format!("{name}={HIDDEN}")
            }
            _ => word.to_owned(),
        });
    }
    shown
}

#[cfg(test)]
mod tests;
