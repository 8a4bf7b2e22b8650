//! A line of cron's that has something run, and whether that is a turn of this program, or a predecessor.

use std::path::Path;

/// The name of this program in a line that leaves it to PATH where that lies.
pub(super) const NAME: &str = "haproxy-marathon-bridge";
/// The call of the bash script.
pub(super) const BRIDGE_CALL: &str = "refresh_system_haproxy";
/// Ours.
const CALL: &str = "refresh";

/// Programs of others that wrote `haproxy.cfg` before, as far as cron ran them.
const PREDECESSORS: [&str; 2] = ["servicerouter.py", "marathon_lb.py"];

/// Programs to which a path of another one is a file like all others.
const READERS: [&str; 18] = [
    "[",
    "chmod",
    "chown",
    "cp",
    "echo",
    "grep",
    "install",
    "ln",
    "ls",
    "md5sum",
    "mv",
    "pkill",
    "printf",
    "rm",
    "rsync",
    "sha256sum",
    "tar",
    "test",
];

/// A line that has something run.
pub(super) struct Job<'a> {
    pub(super) line: &'a str,
    /// Five, or one like `@hourly`.
    pub(super) times: Vec<&'a str>,
    /// Who runs the command, and the command, as far as the line goes. In a crontab of a user the line names
    /// none, and this is the command's first word.
    pub(super) user: Option<&'a str>,
    pub(super) command: Vec<&'a str>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn<'a> {
    pub(super) program: &'a str,
    pub(super) form: Form,
    /// The set that the line names.
    set: Option<&'a str>,
    /// The file that it names.
    pub(super) file: Option<&'a str>,
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
}

/// The file of a line that names none, unless the options say another.
const FILE: &str = "/etc/haproxy/haproxy.cfg";

/// Whether a line that names this file, or none, may write `cfg`.
pub(super) fn may_write(file: Option<&Path>, cfg: &Path) -> bool {
    file.is_none_or(|file| file.is_relative() || file == cfg)
}

impl<'a> Turn<'a> {
    /// Whether each has the file written as the other does not.
    pub(super) fn undoes(&self, other: &Self) -> bool {
        let is_same_file = self.file.unwrap_or(FILE) == other.file.unwrap_or(FILE);
        is_same_file && self.writes() != other.writes()
    }

    /// The set of templates by which the file comes out, as far as the line says.
    pub(super) fn writes(&self) -> &'a str {
        self.set.unwrap_or(match self.form {
            Form::Native => "native",
            Form::Bridge => "bridge",
            Form::MarathonLb => "marathon-lb",
            Form::Servicerouter => "servicerouter",
        })
    }

    /// The bash script has what it prints written by the shell.
    fn of(command: &[Word<'a>]) -> Option<Self> {
        let (program, after) = called(command, NAME)?;
        let words: Vec<&str> = after
            .iter()
            .filter(|word| !word.is_target)
            .map(|word| word.text)
            .collect();
        let value = |option: &str| {
            let mut left = words.iter();
            left.find_map(|word| match word.strip_prefix(option) {
                Some("") => Some(""),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            })
            .map(|value| match value {
                "" => left.next().copied().unwrap_or_default(),
                given => given,
            })
        };
        let turn = |form, file| Self {
            program,
            form,
            set: value("--template-set"),
            file,
        };
        if let Some(form) = words.iter().find_map(|word| Form::of(word)) {
            return Some(turn(form, value("--haproxy-config")));
        }
        let is_host = |word: &&str| *word == "config" || *word == "$" || word.contains(':');
        let is_file = |text: &str| Path::new(text).extension().is_some_and(|end| end == "cfg");
        let mut targets = after.iter().filter(|word| word.is_target);
        let file = targets.find(|word| is_file(word.text))?.text;
        words
            .first()
            .is_some_and(is_host)
            .then(|| turn(Form::Bridge, Some(file)))
    }
}

impl<'a> Job<'a> {
    fn of(line: &'a str) -> Self {
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
        }
    }

    /// Also where the line lacks something before it.
    pub(super) fn turn(&self) -> Option<Turn<'a>> {
        commands(self.line)
            .iter()
            .find_map(|command| Turn::of(command))
    }

    /// The one that it runs.
    pub(super) fn predecessor(&self) -> Option<&'static str> {
        let commands = commands(self.line);
        let is_run = |name: &&str| commands.iter().any(|words| called(words, name).is_some());
        PREDECESSORS.into_iter().find(is_run)
    }
}

/// A word as the shell reads it, or nearly: what is quoted may be a command of its own, as behind `sh -c`.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    /// It is a file into which something is written.
    is_target: bool,
}

fn commands(line: &str) -> Vec<Vec<Word<'_>>> {
    let ends_word = |c: char| c.is_ascii_whitespace() || "\"'`;&|()<>".contains(c);
    let mut all = vec![Vec::new()];
    let mut is_target = false;
    for part in line.split_inclusive(ends_word) {
        let text = part.trim_end_matches(ends_word);
        if let (false, Some(last)) = (text.is_empty(), all.last_mut()) {
            last.push(Word { text, is_target });
            is_target = false;
        }
        match part.chars().next_back() {
            Some('>') => is_target = true,
            // As in `2>&1`.
            Some('&') if is_target => (),
            Some(';' | '&' | '|') => {
                all.push(Vec::new());
                is_target = false;
            }
            _ => (),
        }
    }
    all
}

/// The program `name` where the command runs it, and what stands behind it.
fn called<'a, 'b>(command: &'b [Word<'a>], name: &str) -> Option<(&'a str, &'b [Word<'a>])> {
    let is_it = |word: &Word<'_>| Path::new(word.text).ends_with(name) && !word.text.contains('=');
    let at = command.iter().position(is_it)?;
    let reads = |word: &Word<'_>| {
        let mut readers = READERS.into_iter();
        readers.any(|reader| Path::new(word.text).ends_with(reader))
    };
    let is_run = !command[at].is_target && !command[..at].iter().any(reads);
    is_run.then(|| (command[at].text, &command[at + 1..]))
}

/// The lines that are no comments and set no variables.
pub(super) fn jobs(text: &str) -> impl Iterator<Item = Job<'_>> {
    let lines = text.lines().map(str::trim_start);
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#') && !is_variable(line);
    lines.filter(says).map(Job::of)
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

fn is_variable(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default().trim_end();
    line.contains('=')
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'"')
        && !name.starts_with(|first: char| first.is_ascii_digit())
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
