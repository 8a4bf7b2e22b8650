//! A line of cron's that has something run, and whether that is a turn of this program, or a predecessor.

use std::path::Path;

use super::called::{Called, Word, called, commands, exported};
use super::decided::OPTIONS;
use super::variables::Variables;
use crate::config::CommandLine;

/// The name of this program in a line that leaves it to PATH where that lies.
pub(super) const NAME: &str = "haproxy-marathon-bridge";
/// The call of the bash script.
pub(super) const BRIDGE_CALL: &str = "refresh_system_haproxy";
/// Ours.
const CALL: &str = "refresh";

/// Programs of others that wrote `haproxy.cfg` before, as far as cron ran them.
const PREDECESSORS: [&str; 2] = ["servicerouter.py", "marathon_lb.py"];

/// A line that has something run.
pub(super) struct Job<'a> {
    pub(super) line: &'a str,
    /// Five, or one like `@hourly`.
    pub(super) times: Vec<&'a str>,
    /// Who runs the command, and the command, as far as the line goes. In a crontab of a user the line names
    /// none, and this is the command's first word.
    pub(super) user: Option<&'a str>,
    pub(super) command: Vec<&'a str>,
    /// What the lines above it set.
    variables: Variables,
}

/// As which of the programs that it stands for this one is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Native,
    Bridge,
    MarathonLb,
    Servicerouter,
}

/// What a job is, where it is a turn of this program.
#[derive(Clone)]
pub(super) struct Turn<'a> {
    pub(super) program: &'a str,
    pub(super) form: Form,
    /// Those of [`OPTIONS`] that the line gives, with their values.
    pub(super) options: Vec<(&'static str, &'a str)>,
    /// The file into which the shell writes what is printed.
    pub(super) target: Option<&'a str>,
    /// As whom it runs, where that is somebody else than the line says.
    pub(super) user: Option<&'a str>,
    pub(super) variables: Variables,
}

impl Form {
    fn of(call: &str) -> Option<Self> {
        Some(match call {
            CALL => Self::Native,
            BRIDGE_CALL => Self::Bridge,
            "marathon-lb" => Self::MarathonLb,
            "servicerouter" => Self::Servicerouter,
            _ => return None,
        })
    }

    pub(super) const fn command_line(self) -> CommandLine {
        match self {
            Self::Native => CommandLine::Native,
            Self::Bridge => CommandLine::Bridge,
            Self::MarathonLb => CommandLine::MarathonLb,
            Self::Servicerouter => CommandLine::Servicerouter,
        }
    }

    /// The set of templates of which nobody says another one.
    pub(super) const fn set(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Bridge => "bridge",
            Self::MarathonLb => "marathon-lb",
            Self::Servicerouter => "servicerouter",
        }
    }
}

impl<'a> Turn<'a> {
    /// The bash script has what it prints written by the shell.
    fn of(called: Called<'a, '_>) -> Option<Self> {
        let words: Vec<&str> = called
            .after
            .iter()
            .filter(|word| !word.is_target)
            .map(|word| word.text)
            .collect();
        let turn = |form, target| Self {
            program: called.program,
            form,
            options: OPTIONS
                .into_iter()
                .filter_map(|name| Some((name, value(&words, name)?)))
                .collect(),
            target,
            user: called.user,
            variables: called.variables,
        };
        if let Some(form) = words.iter().find_map(|word| Form::of(word)) {
            return Some(turn(form, None));
        }
        let is_host = |word: &&str| *word == "config" || *word == "$" || word.contains(':');
        let is_file = |text: &str| Path::new(text).extension().is_some_and(|end| end == "cfg");
        let mut targets = called.after.iter().filter(|word| word.is_target);
        let file = targets.find(|word| is_file(word.text))?.text;
        words
            .first()
            .is_some_and(is_host)
            .then(|| turn(Form::Bridge, Some(file)))
    }
}

/// What these words give as the value of an option; of several the last counts.
fn value<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let of_word = |(at, word): (usize, &&'a str)| {
        let rest = word.strip_prefix("--")?.strip_prefix(name)?;
        let value = match rest {
            "" => "",
            _ => rest.strip_prefix('=')?,
        };
        // It may be quoted.
        let next = || words.get(at + 1).copied();
        Some(value).filter(|value| !value.is_empty()).or_else(next)
    };
    words.iter().enumerate().rev().find_map(of_word)
}

impl<'a> Job<'a> {
    fn of(line: &'a str, variables: Variables) -> Self {
        let count = if line.starts_with('@') {
            1
        } else {
            TIMES.len()
        };
        let mut words = line.split_ascii_whitespace();
        Self {
            line,
            times: words.by_ref().take(count).collect(),
            user: words.next(),
            command: words.collect(),
            variables,
        }
    }

    /// Also where the line lacks something before it.
    pub(super) fn turn(&self) -> Option<Turn<'a>> {
        self.calls(NAME, Turn::of)
    }

    /// The one that it runs.
    pub(super) fn predecessor(&self) -> Option<&'static str> {
        let is_run = |name: &&str| self.calls(name, |_| Some(())).is_some();
        PREDECESSORS.into_iter().find(is_run)
    }

    /// What `found` makes of the first call of the program `name` of which it makes anything.
    fn calls<T>(&self, name: &str, found: impl Fn(Called<'a, '_>) -> Option<T>) -> Option<T> {
        let mut variables = self.variables.clone();
        let mut before = self.times.len();
        commands(self.line)
            .iter()
            .find_map(|command: &Vec<Word<'a>>| {
                let it = called(command, name, before, &variables).and_then(&found);
                exported(command, before, &mut variables);
                before = 0;
                it
            })
    }
}

/// The lines that are no comments and set no variables, each with those that are set above it.
pub(super) fn jobs(text: &str) -> impl Iterator<Item = Job<'_>> {
    let mut variables = Variables::of_cron();
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(move |line| {
        let is_job = !line.is_empty() && !line.starts_with('#') && !variables.read(line);
        is_job.then(|| Job::of(line, variables.clone()))
    })
}

pub(super) fn turns(text: &str) -> impl Iterator<Item = Turn<'_>> {
    jobs(text).filter_map(|job| job.turn())
}

/// Whether these times come less often than anybody means who has turns taken.
pub(super) fn are_rare(times: &[&str]) -> bool {
    match times {
        [name] => *name != "@hourly",
        [_, hour, day, month, _] => {
            let is_one = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
            is_one(hour) || [day, month].iter().any(|word| !word.starts_with('*'))
        }
        _ => false,
    }
}

/// The five fields of a time, with what may stand in them.
const TIMES: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "day of the week",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

const NAMED_TIMES: [&str; 8] = [
    "@reboot",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// What cron does not read as a time.
pub(super) fn wrong_time(words: &[&str]) -> Option<String> {
    if let [name] = words {
        return (!NAMED_TIMES.contains(name)).then(|| {
            format!(
                "found the time `{name}`, expected one of {}",
                NAMED_TIMES.join(", ")
            )
        });
    }
    let mut fields = words.iter().zip(TIMES);
    fields.find_map(|(word, (name, least, most, names))| {
        let is_right = |part: &str| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let one = |text: &str| {
                let number = text.parse().ok();
                let named = || names.iter().any(|name| text.eq_ignore_ascii_case(name));
                number.map_or_else(named, |number: u32| (least..=most).contains(&number))
            };
            // `~` is a minute of cronie's own choice.
            let range_is_right = range == "*"
                || range == "~"
                || match range.split_once(['-', '~']) {
                    Some((from, to)) => {
                        (from.is_empty() || one(from)) && (to.is_empty() || one(to))
                    }
                    None => one(range),
                };
            range_is_right && step.parse().is_ok_and(|step: u32| step > 0)
        };
        (!word.split(',').all(is_right))
            .then(|| format!("found `{word}` as {name}, expected {least} to {most}, or *"))
    })
}
