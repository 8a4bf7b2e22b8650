//! What is written: the line for cron, the units of systemd, the file of options.

use std::fmt::Write as _;
use std::path::Path;

use super::plan::Wish;
use super::{ONCE, PROGRAM, SERVICE, TIMER};
use crate::config::DEFAULT_STATE_DIR;
use crate::config::option::{self, Definition, Fallback, Heading, Takes};
use crate::disk::Digest;

/// What the bash script's `cronjob` printed, with a PATH that finds HAProxy and its tools.
pub const BRIDGE_CRON_FILE: &str = include_str!("../../packaging/cron/bridge");
/// Ours.
pub(super) const NATIVE_CRON_FILE: &str = include_str!("../../packaging/cron/native");

const UNITS: [(&str, &str); 3] = [
    (
        SERVICE,
        include_str!("../../packaging/systemd/haproxy-marathon-bridge.service"),
    ),
    (
        ONCE,
        include_str!("../../packaging/systemd/haproxy-marathon-bridge-refresh.service"),
    ),
    (
        TIMER,
        include_str!("../../packaging/systemd/haproxy-marathon-bridge-refresh.timer"),
    ),
];

/// As Debian's package has it.
pub(super) const RUNTIME_FOLDER: &str = "\
# Written by `haproxy-marathon-bridge install`: the folder of HAProxy's sockets.
d /run/haproxy 2775 haproxy haproxy -
";

/// As Debian's own haproxy.cfg has it; ours takes its place.
pub(super) const SERVES_AS: &str = include_str!("../../packaging/etc/haproxy.d/user.cfg");

/// The file of options as packages bring it. Their tools ask about every change of it that is not the
/// operator's own, so that it stays as it is.
const PACKAGED: &str = include_str!("../../packaging/etc/config.toml");

/// Stands before the digest of all that is above it in the file of options.
const MARK: &str = "# As installed: ";

/// What somebody decides for one call, and not for good.
const OF_A_CALL: [&str; 10] = [
    "allow-removal",
    "config",
    "html",
    "json",
    "max-age",
    "no-pause",
    "out-dir",
    "reason",
    "retry-now",
    "stay",
];

/// The line for cron that runs `program`.
pub(super) fn cron_file(as_bridge: bool, program: &Path) -> String {
    let text = if as_bridge {
        BRIDGE_CRON_FILE
    } else {
        NATIVE_CRON_FILE
    };
    text.replace(PROGRAM, &program.display().to_string())
}

/// The unit `name`, with the paths of this host.
pub(super) fn unit(name: &str, program: &Path, wish: &Wish, has_group: bool) -> String {
    let unit = UNITS.iter().find(|(known, _)| *known == name);
    let text = unit.map_or("", |(_, text)| text);
    let folder = wish.config.parent().unwrap_or(Path::new("/"));
    let mut writable = format!("ReadWritePaths={}\n", folder.display());
    if wish.state_dir != Path::new(DEFAULT_STATE_DIR) {
        let _ = writeln!(writable, "ReadWritePaths=-{}", wish.state_dir.display());
    }
    for folder in &wish.also_written {
        let _ = writeln!(writable, "ReadWritePaths=-{}", folder.display());
    }
    let text = text
        .replace(PROGRAM, &program.display().to_string())
        .replace("ReadWritePaths=/etc/haproxy\n", &writable);
    if has_group {
        return text;
    }
    // systemd starts no unit with a group that there is not.
    let has_no_group = |line: &&str| !line.starts_with("SupplementaryGroups=");
    let lines = text.lines().filter(has_no_group);
    lines.map(|line| format!("{line}\n")).collect()
}

/// What the units begin with that `install` writes; those of a package begin with something else.
const WRITTEN: &str = "# Written by `haproxy-marathon-bridge install`";

/// Whether `install` wrote a unit.
pub(super) fn is_written_here(unit: &str) -> bool {
    unit.starts_with(WRITTEN)
}

/// Whether two units say the same, whatever is told to people.
pub(super) fn is_same_unit(one: &str, other: &str) -> bool {
    fn lines(unit: &str) -> impl Iterator<Item = &str> {
        unit.lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
    lines(one).eq(lines(other))
}

/// Whether `path` can stand in a unit and in a line for cron as it is.
pub(super) fn is_plain(path: &Path) -> bool {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"/-._+".contains(b);
    path.is_absolute() && path.as_os_str().as_encoded_bytes().iter().all(is_plain)
}

/// A file with every option as a comment, but for those that are `given` with their values.
#[must_use]
pub fn settings(given: &[(&str, &str)]) -> String {
    let mut text = "# Options of haproxy-marathon-bridge: what stands here counts for all its commands, unless a\n\
                    # variable HMB_<OPTION> or an option of the command says otherwise. The manual tells more:\n\
                    # haproxy-marathon-bridge man | man -l -\n"
        .to_owned();
    let mut heading = None;
    for option in option::all() {
        let is_left_out = option.heading == Heading::Install
            || option.is_secret()
            || OF_A_CALL.contains(&option.name);
        if is_left_out {
            continue;
        }
        if heading != Some(option.heading) {
            heading = Some(option.heading);
            let _ = write!(text, "\n## {}\n", option.heading.title());
        }
        let _ = match option.fallback {
            Fallback::Rule(rule) => write!(text, "\n# {} [default: {rule}]\n", option.summary),
            _ => write!(text, "\n# {}\n", option.summary),
        };
        let _ = match given.iter().find(|(name, _)| *name == option.name) {
            Some((name, value)) => writeln!(text, "{name} = \"{value}\""),
            None => writeln!(text, "#{} = {}", option.name, example(option)),
        };
    }
    text.push('\n');
    let digest = digest(&text);
    let _ = writeln!(text, "{MARK}{digest}");
    text
}

/// Its default, or what could stand in its place.
fn example(option: &Definition) -> String {
    let text = match (option.fallback, &option.takes) {
        (Fallback::Value(text), _) => text,
        (_, Takes::Nothing(_)) => "false",
        (_, Takes::One(value, _) | Takes::Many(value, _)) => value.name,
    };
    match option.takes {
        Takes::Nothing(_) => text.to_owned(),
        Takes::One(..) => format!("\"{text}\""),
        Takes::Many(..) => format!("[\"{text}\"]"),
    }
}

/// Whether a file of options or of sections is as it was installed.
pub(super) fn is_ours(text: &str) -> bool {
    text == SERVES_AS || is_as_installed(text)
}

/// Whether somebody wrote a file of options, or changed it.
pub(super) fn is_own(options: &str) -> bool {
    options != PACKAGED && !is_as_installed(options)
}

/// Whether a file of options is what some version of this program wrote, to the letter.
pub(super) fn is_as_installed(text: &str) -> bool {
    text.rsplit_once(MARK)
        .is_some_and(|(above, mark)| mark.trim_end() == digest(above))
}

fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).short(16)
}
