//! How a line of cron's calls a program: by which words of the shell, behind which programs that run
//! another one, as whom, and with which variables.

use std::path::Path;

use super::variables::Variables;

/// Programs to which a path of another one is a file like all others.
const READERS: [&str; 23] = [
    "[",
    "chmod",
    "chown",
    "cp",
    "curl",
    "echo",
    "find",
    "grep",
    "install",
    "ln",
    "logger",
    "ls",
    "md5sum",
    "mv",
    "pgrep",
    "pkill",
    "printf",
    "rm",
    "rsync",
    "sha256sum",
    "tar",
    "test",
    "wget",
];

/// A program, or a word of the shell, that runs the command behind it.
struct Runner {
    name: &'static str,
    /// Letters of its options that a value follows.
    letters: &'static str,
    /// Its long ones that a value follows.
    long: &'static [&'static str],
    /// How many words stand between its options and the command.
    operands: usize,
}

const fn runner(
    name: &'static str,
    letters: &'static str,
    long: &'static [&'static str],
    operands: usize,
) -> Runner {
    Runner {
        name,
        letters,
        long,
        operands,
    }
}

static RUNNERS: [Runner; 32] = [
    runner(SUDO, "CDghpRrTtUu", SUDO_LONG, 0),
    runner("doas", "Cu", &[], 0),
    runner(ENV, "Cu", &["chdir", "unset"], 0),
    runner("nice", "n", &["adjustment"], 0),
    runner("ionice", "cn", &["class", "classdata"], 0),
    runner("chrt", "DPT", &[], 1),
    runner("taskset", "", &[], 1),
    runner("flock", "Ew", &["conflict-exit-code", "timeout", "wait"], 1),
    runner("timeout", "ks", &["kill-after", "signal"], 1),
    runner("chronic", "", &[], 0),
    runner("cronic", "", &[], 0),
    runner("systemd-cat", "pt", SYSTEMD_CAT_LONG, 0),
    runner("setsid", "", &[], 0),
    runner("nohup", "", &[], 0),
    runner("stdbuf", "eio", &["error", "input", "output"], 0),
    runner("time", "fo", &["format", "output"], 0),
    runner("exec", "a", &[], 0),
    runner("command", "", &[], 0),
    runner("sh", "", &[], 0),
    runner("bash", "", &[], 0),
    runner("dash", "", &[], 0),
    runner("ash", "", &[], 0),
    runner("if", "", &[], 0),
    runner("then", "", &[], 0),
    runner("else", "", &[], 0),
    runner("elif", "", &[], 0),
    runner("while", "", &[], 0),
    runner("until", "", &[], 0),
    runner("do", "", &[], 0),
    runner("!", "", &[], 0),
    runner("{", "", &[], 0),
    runner("busybox", "", &[], 0),
];

const SUDO: &str = "sudo";
const SUDO_LONG: &[&str] = &[
    "chdir",
    "chroot",
    "close-from",
    "command-timeout",
    "group",
    "host",
    "other-user",
    "prompt",
    "role",
    "type",
    "user",
];
const ENV: &str = "env";
const SYSTEMD_CAT_LONG: &[&str] = &["identifier", "level-prefix", "priority", "stderr-priority"];

/// A word as the shell reads it, or nearly: what is quoted may be a command of its own, as behind `sh -c`.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// It is a file into which something is written.
    pub(super) is_target: bool,
}

/// The commands of a line; the first begins with what stands before it for cron.
pub(super) fn commands(line: &str) -> Vec<Vec<Word<'_>>> {
    let ends_word = |c: char| c.is_ascii_whitespace() || "\"'`;&|()<>".contains(c);
    let mut all = vec![Vec::new()];
    let mut is_target = false;
    let mut rest = line;
    while !rest.is_empty() {
        // A quotation that is a variable's value belongs to it.
        let from = quoted_value(rest).unwrap_or(0);
        let length = rest[from..].find(ends_word).map(|length| from + length);
        let (text, after) = rest.split_at(length.unwrap_or(rest.len()));
        if let (false, Some(last)) = (text.is_empty(), all.last_mut()) {
            last.push(Word { text, is_target });
            is_target = false;
        }
        let mut after = after.chars();
        match after.next() {
            Some('>') => is_target = true,
            // As in `2>&1`.
            Some('&') if is_target => (),
            Some(';' | '&' | '|') => {
                all.push(Vec::new());
                is_target = false;
            }
            _ => (),
        }
        rest = after.as_str();
    }
    all
}

/// Where `NAME="…"` ends, if the text begins with that.
fn quoted_value(text: &str) -> Option<usize> {
    let (name, value) = text.split_once('=')?;
    let quote = value.chars().next().filter(|c| "\"'".contains(*c))?;
    let end = value[1..].find(quote)?;
    is_name(name).then_some(name.len() + end + 3)
}

/// Whether a variable may have this name.
pub(super) fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_of_name) && !text.as_bytes()[0].is_ascii_digit()
}

/// `NAME=value`, without the quotes.
fn assigned(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    is_name(name).then(|| (name, without_quotes(value)))
}

/// Those around all of it.
pub(super) fn without_quotes(text: &str) -> &str {
    let mut pairs = ['"', '\''].into_iter();
    let inner = pairs.find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(text)
}

/// A program where a command runs it.
pub(super) struct Called<'a, 'b> {
    pub(super) program: &'a str,
    /// What stands behind it.
    pub(super) after: &'b [Word<'a>],
    /// As whom it runs, where that is somebody else than the line says.
    pub(super) user: Option<&'a str>,
    /// What it is given.
    pub(super) variables: Variables,
}

/// What stands in front of a program, and comes to this.
struct Front<'a> {
    length: usize,
    user: Option<&'a str>,
    variables: Variables,
}

/// The program `name` where the command runs it, with the variables that count before it. That many words
/// stand before the command, and perhaps a user.
pub(super) fn called<'a, 'b>(
    command: &'b [Word<'a>],
    name: &str,
    before: usize,
    variables: &Variables,
) -> Option<Called<'a, 'b>> {
    let names_it =
        |word: &Word<'_>| Path::new(word.text).ends_with(name) && !word.text.contains('=');
    let is_it = |word: &Word<'_>| names_it(word) && !word.is_target;
    let reads = |word: &Word<'_>| {
        let mut readers = READERS.into_iter();
        readers.any(|reader| Path::new(word.text).ends_with(reader))
    };
    let fronts = [before, before + 1].map(|from| Front::of(command, from, variables));
    let is_behind = |front: &&Front<'_>| command.get(front.length).is_some_and(is_it);
    let [plain, with_user] = &fronts;
    let is_user = command.get(before).is_some_and(|word| !reads(word));
    let by_place = [Some(plain), Some(with_user).filter(|_| is_user)];
    let (at, front) = match by_place.into_iter().flatten().find(is_behind) {
        Some(front) => (front.length, front),
        None => {
            // It stands behind a word that is not known here; those before that count.
            let is_passed = plain.length > before || !is_user;
            let front = if is_passed { plain } else { with_user };
            let is_of_front = |at: usize| (before..front.length).contains(&at);
            let mut words = command.iter().enumerate();
            let (at, word) = words.find(|(at, word)| names_it(word) && !is_of_front(*at))?;
            if word.is_target || command[..at].iter().any(reads) {
                return None;
            }
            (at, front)
        }
    };
    Some(Called {
        program: command[at].text,
        after: &command[at + 1..],
        user: front.user,
        variables: front.variables.clone(),
    })
}

/// What `export` in this command adds for those behind it in the line.
pub(super) fn exported(command: &[Word<'_>], before: usize, variables: &mut Variables) {
    let mut words = command.iter().skip(before).map(|word| word.text);
    if words.any(|word| word == "export") {
        for (name, value) in words.filter_map(assigned) {
            variables.assign(name, value);
        }
    }
}

impl<'a> Front<'a> {
    fn of(command: &[Word<'a>], from: usize, variables: &Variables) -> Self {
        let mut front = Self {
            length: from,
            user: None,
            variables: variables.clone(),
        };
        while let Some(word) = command.get(front.length) {
            let is_runner = |runner: &&Runner| Path::new(word.text).ends_with(runner.name);
            if word.is_target {
                front.length += 1;
            } else if let Some((name, value)) = assigned(word.text) {
                front.variables.assign(name, value);
                front.length += 1;
            } else if let Some(runner) = RUNNERS.iter().find(is_runner) {
                front.length += 1;
                front.pass(runner, command);
            } else {
                break;
            }
        }
        front
    }

    /// Goes past the options and operands of a runner.
    fn pass(&mut self, runner: &Runner, command: &[Word<'a>]) {
        let mut options: Vec<(&str, Option<&'a str>)> = Vec::new();
        let text = |at: usize| command.get(at).map(|word| word.text);
        while let Some(word) = text(self.length).filter(|word| word.starts_with('-')) {
            self.length += 1;
            if word == "--" {
                break;
            }
            let next = text(self.length);
            let (option, own) = match word.strip_prefix("--") {
                Some(long) => match long.split_once('=') {
                    Some((name, value)) => (name, Some(Some(value))),
                    None => (long, runner.long.contains(&long).then_some(None)),
                },
                None => {
                    let letters = &word[1..];
                    let at = letters.find(|letter| runner.letters.contains(letter));
                    let end = at.unwrap_or(letters.len());
                    options.extend(
                        letters[..end]
                            .char_indices()
                            .map(|(at, letter)| (&letters[at..at + letter.len_utf8()], None)),
                    );
                    let Some(at) = at else { continue };
                    let value = Some(&letters[at + 1..]).filter(|value| !value.is_empty());
                    (&letters[at..=at], Some(value))
                }
            };
            let value = match own {
                Some(Some(value)) => Some(value),
                Some(None) => {
                    self.length += 1;
                    next
                }
                None => None,
            };
            options.push((option, value));
        }
        self.length += runner.operands;
        if runner.operands > 0 && text(self.length) == Some("-c") {
            self.length += 1;
        }
        let has = |names: &[&str]| options.iter().any(|(name, _)| names.contains(name));
        match runner.name {
            SUDO => {
                let mut named = options.iter().rev();
                let named = named.find(|(name, _)| matches!(*name, "u" | "user"));
                self.user = named.map_or(Some("root"), |(_, user)| *user);
                if has(&["E", "preserve-env"]) {
                    self.variables.set_path_of_sudo();
                } else {
                    self.variables = Variables::of_sudo();
                }
            }
            ENV if has(&["i", "ignore-environment"]) => self.variables = Variables::none(),
            _ => (),
        }
    }
}
