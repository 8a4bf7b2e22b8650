//! What a turn that cron has taken comes to: where its program is found, and what its options say, as the
//! program itself would decide.

use std::io;
use std::path::{Path, PathBuf};

use super::host::Look;
use super::job::{Form, Turn};
use super::service::program;
use super::variables::Variables;
use crate::config::{
    DEFAULT_FILE, Layer, MARATHONS, Origin, Policy, Request, System, option, said,
};

/// The file of a turn of which no option names one.
const FILE: &str = "/etc/haproxy/haproxy.cfg";
const HAPROXY_CONFIG: &str = "haproxy-config";
const TEMPLATE_SET: &str = "template-set";
/// The options of a line that count here.
pub(super) const OPTIONS: [&str; 3] = [option::CONFIG, TEMPLATE_SET, HAPROXY_CONFIG];

/// What is written by a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    /// The set of templates by which the file comes out.
    pub(super) set: String,
    /// The file; where it is relative, that counts from the home of whoever runs the line.
    pub(super) file: PathBuf,
}

impl Decided {
    /// Whether it may write `cfg`.
    pub(super) fn may_write(&self, cfg: &Path) -> bool {
        self.file.is_relative() || self.file == cfg
    }

    /// Whether each has the file written as the other does not.
    pub(super) fn undoes(&self, other: &Self) -> bool {
        self.file == other.file && self.set != other.set
    }

    /// By flags, variables and the file of options, the strongest first.
    pub(super) fn of(look: &dyn Look, turn: &Turn<'_>) -> Self {
        let mut flags = Layer::default();
        for (name, value) in &turn.options {
            let known = option::all().find(|option| option.name == *name);
            if let Some(option) = known.filter(|_| !value.is_empty()) {
                flags.add(option, (*value).to_owned(), Origin::Flag);
            }
        }
        let request = Request {
            policy: Policy::of(turn.form.command_line()),
            needs_marathon: false,
            flags,
        };
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let mut system = System {
            environment: turn.variables.all(look),
            read: Box::new(move |_| Err(missing())),
            mode: Box::new(|_| None),
            default_file: DEFAULT_FILE.into(),
            marathons: MARATHONS.into(),
        };
        let named = request.file_named(&system);
        let named = named.map_or_else(|| system.default_file.clone(), PathBuf::from);
        // A relative one counts from a folder that is not known here.
        let found = named.is_absolute().then(|| look.file(&named).ok()?);
        let text = found.flatten();
        let text = text.map(|found| String::from_utf8_lossy(&found.content).into_owned());
        system.read = Box::new(move |_| text.clone().ok_or_else(missing));
        let decided = |option| said(option, &request, &system);
        let file = turn.target.map(str::to_owned);
        let file = file.or_else(|| decided(HAPROXY_CONFIG));
        Self {
            set: decided(TEMPLATE_SET).unwrap_or_else(|| turn.form.set().to_owned()),
            file: file.unwrap_or_else(|| FILE.to_owned()).into(),
        }
    }
}

/// As which set a turn writes that nobody gives more than the file of options, as those of our units.
#[must_use]
pub fn usual_set(look: &dyn Look) -> String {
    let turn = Turn {
        program: super::PROGRAM,
        form: Form::Native,
        options: Vec::new(),
        target: None,
        user: None,
        variables: Variables::of_cron(),
    };
    Decided::of(look, &turn).set
}

/// What keeps cron from having turns taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As a sentence without its end.
    pub why: String,
    /// What mends it; `None` where the line had better go.
    pub mend: Option<String>,
}

impl Fault {
    pub(super) fn alone(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            mend: None,
        }
    }
}

/// Why a program that is called is not found.
pub(super) fn not_found(look: &dyn Look, called: &str, variables: &Variables) -> Option<Fault> {
    let is_not_there = || Fault::alone(format!("it calls `{called}`, which is not there"));
    let path = Path::new(called);
    if path.is_absolute() {
        return (!look.is_there(path)).then(is_not_there);
    }
    if called.contains('/') {
        return None;
    }
    let known = program(look, called);
    let Some(folders) = variables.path(look) else {
        return known.is_none().then(is_not_there);
    };
    let mut places = folders
        .split(':')
        .map(|folder| Path::new(folder).join(called));
    if places.any(|place| place.is_absolute() && look.is_there(&place)) {
        return None;
    }
    let Some(known) = known else {
        return Some(is_not_there());
    };
    let folder = known.parent().unwrap_or(&known).display();
    let known = known.display();
    Some(Fault {
        why: format!("cron looks for `{called}` in `{folders}`, and it is `{known}`"),
        mend: Some(format!(
            "write `{known}` in its place, or `PATH={folder}:{folders}` in a line above"
        )),
    })
}
