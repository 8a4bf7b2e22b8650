//! Decisions: what the program shall do, once flags, environment, file and defaults are merged.
//!
//! Nothing after this module looks at a flag. Everything here is checked and complete.
//!
//! The flow: `option` defines what can be said; `file` and `environment` (and `cli`, outside) put
//! what was said into `layers`; `build` reads them into a [`Config`], the strongest last.

pub mod option;

mod access;
mod apps;
mod build;
mod credentials;
mod defaults;
mod environment;
mod file;
mod frontends;
mod install;
mod layers;
mod nearest;
mod policy;
mod secret;
mod value;
mod without_effect;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use apps::{Apps, AutoPorts, GroupRule, PortRule, SettingsFrom, Values};
pub use build::{Built, DEFAULT_FILE, MARATHONS, ModeOf, ReadFile, Request, System, build, said};
pub use credentials::{Credentials, DcosAccount, Secret, WrongCredentials};
pub use defaults::DEFAULT_STATE_DIR;
pub use frontends::Frontends;
pub use install::{Install, Schedule};
pub use layers::{Layer, Mistake, Mistakes, Origin, Written};
pub use nearest::nearest;
pub use policy::{CommandLine, Names, Policy, Repeats};
pub use secret::{redact, redact_value};
pub use value::integer;

/// All that one run needs to know.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Config {
    /// Which command line spoke, and what follows from that.
    pub policy: &'static Policy,
    /// Where the cluster is asked.
    pub marathon: Marathon,
    /// `--group`: groups served; `*` is everything. What an empty list stands for is said by
    /// [`Policy::groups`].
    pub groups: Vec<String>,
    /// What of an app counts.
    pub apps: Apps,
    /// How the frontends that all apps share are laid out.
    pub frontends: Frontends,
    /// HAProxy on this host.
    pub haproxy: Haproxy,
    /// What is rendered.
    pub templates: Templates,
    /// How far a file that HAProxy refuses may go.
    pub validation: Validation,
    /// `--out-dir`: where `generate` writes instead of standard output.
    pub out_dir: Option<PathBuf>,
    /// `--dry` of the marathon-lb command line: what would be installed is printed instead.
    pub dry: bool,
    /// How the running HAProxy is brought to a new file.
    pub reload: Reload,
    /// When `watch` takes a turn.
    pub watch: Watch,
    /// What is remembered between runs.
    pub state: State,
    /// `--allow-removal`: an answer that takes away most of what is served is applied at once.
    pub allow_removal: bool,
    /// `--json`: machines are spoken to.
    pub json: bool,
    /// `--html`: `status` shows rather than tells.
    pub html: bool,
    /// `--stay`: `demo` runs until it is interrupted.
    pub stay: bool,
    /// `--retry-now`: a reload that failed is tried again, however short ago that was.
    pub retry_now: bool,
    /// `--max-age`: of the last turn, for `status` to be well; zero: any.
    pub max_age: Duration,
    /// `--reason`: why an operator pauses, in his words.
    pub reason: Option<String>,
    /// How it is put on a host.
    pub install: Install,
    /// `--in-place`: installed files are written over, not replaced.
    pub in_place: bool,
    /// `--no-pause`: after a rollback the next turn may apply what it finds.
    pub no_pause: bool,
    /// What is said, and where.
    pub log: Log,
}

/// The Marathon nodes of one cluster and how they are asked. Its `Debug` form shows no passwords.
#[derive(Clone)]
pub struct Marathon {
    /// `--marathon`: as written; scheme optional, or `file:PATH`.
    pub urls: Vec<String>,
    /// `--marathon-ca-cert`: PEM bundle that is trusted instead of the system's.
    pub ca_cert: Option<PathBuf>,
    /// `--insecure`: certificates are not verified.
    pub insecure: bool,
    /// `--marathon-client-cert`: PEM file shown to servers that ask who calls.
    pub client_cert: Option<PathBuf>,
    /// `--marathon-client-key`: its key in PEM, where it does not stand in the same file.
    pub client_key: Option<PathBuf>,
    /// What proves who asks, sent to the hosts of `urls` only.
    pub credentials: Credentials,
    /// `--proxy-from-environment`: honour `http_proxy` and its like.
    pub proxy_from_environment: bool,
    /// `--connect-timeout`, default 3 s.
    pub connect_timeout: Duration,
    /// `--read-timeout`: the longest silence within an answer, default 10 s.
    pub read_timeout: Duration,
    /// `--fetch-timeout`: for the whole answer, default 45 s.
    pub fetch_timeout: Duration,
    /// `--max-body`: bytes of one answer after decompression, default 256 MiB.
    pub max_body: u64,
    /// `--max-backoff`: the longest pause between two connections to the stream of events, default
    /// 30 s, and 300 s in the marathon-lb command line.
    pub max_backoff: Duration,
}

impl fmt::Debug for Marathon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| redact_value(url)).collect();
        f.debug_struct("Marathon")
            .field("urls", &urls)
            .field("ca_cert", &self.ca_cert)
            .field("insecure", &self.insecure)
            .field("client_cert", &self.client_cert)
            .field("client_key", &self.client_key)
            .field("proxy_from_environment", &self.proxy_from_environment)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("fetch_timeout", &self.fetch_timeout)
            .field("max_body", &self.max_body)
            .field("credentials", &self.credentials)
            .field("max_backoff", &self.max_backoff)
            .finish()
    }
}

/// HAProxy on this host.
#[derive(Clone, Debug)]
pub struct Haproxy {
    /// `--haproxy`: name or path of the program, default `haproxy`.
    pub program: PathBuf,
    /// `--haproxy-version X.Y`: overrides what the program says of itself.
    pub version: Option<(u16, u16)>,
    /// `--haproxy-config`: the file kept in step, default `/etc/haproxy/haproxy.cfg`; maps lie
    /// beside it.
    pub config: PathBuf,
    /// `--stats-socket`: where the running process answers.
    pub stats_socket: Option<PathBuf>,
    /// `--master-socket`: where its master answers.
    pub master_socket: Option<PathBuf>,
    /// `--pid-file`, default `/run/haproxy.pid`.
    pub pid_file: PathBuf,
}

/// The sets of templates that are compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateSet {
    /// One TCP `listen` per app and service port, as the bash bridge wrote them.
    Bridge,
    /// Shared frontends, and a frontend and a backend per service port, as marathon-lb wrote them.
    MarathonLb,
    /// The same in the simpler form of servicerouter.py.
    Servicerouter,
    /// As marathon-lb's, with shared frontends of our own that route by precision.
    Native,
}

/// Whose labels may replace templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateLabels {
    /// Everybody's.
    All,
    /// Nobody's: an app owner has no say in the text of the file.
    None,
    /// Those of the service ports of these groups, and of the apps in these folders of Marathon, which
    /// begin with a slash.
    Of(Vec<String>),
}

/// What is rendered.
#[derive(Clone)]
pub struct Templates {
    /// `--template-set`.
    pub set: TemplateSet,
    /// `--template-dir`: files here replace those of the set, one by one.
    pub dir: Option<PathBuf>,
    /// `--extra-config`: sections from files here stand at the end of the file.
    pub extra: Option<PathBuf>,
    /// Files `HAPROXY_<NAME>` here replace templates too, in the language of the predecessor.
    pub files: Option<PathBuf>,
    /// All variables of the environment that begin with `HAPROXY_`, by their whole name and
    /// unread, where [`Policy::template_variables`] lets them count. Others than templates are
    /// among them, and may be secret.
    pub variables: BTreeMap<String, String>,
    /// `--template-labels`.
    pub labels: TemplateLabels,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.variables.keys().collect();
        f.debug_struct("Templates")
            .field("set", &self.set)
            .field("dir", &self.dir)
            .field("extra", &self.extra)
            .field("files", &self.files)
            .field("variables", &variables)
            .field("labels", &self.labels)
            .finish()
    }
}

/// How far a file that HAProxy refuses may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// `--skip-validation`: every file counts as good, and `haproxy -c` is not asked.
    pub skip: bool,
    /// `--skip-config-cleanup`: the last good files stay as they are, and no app is left out to
    /// make the new ones good.
    pub skip_cleanup: bool,
}

/// How the running HAProxy is brought to a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadMethod {
    /// Found out on this host.
    Auto,
    /// A new process takes over the listening sockets of the old one (`-sf`).
    Sf,
    /// The master process is told, by its socket or SIGUSR2.
    Master,
    /// `systemctl reload haproxy`.
    Systemd,
    /// `--reload-command`.
    Command,
    /// Files are installed and nothing is told.
    None,
}

/// What is run to reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadCommand {
    /// `--reload-command`: a line for `sh -c`.
    Shell(String),
    /// `--command` of the marathon-lb command line: a program and its arguments, at least one
    /// word, run without a shell.
    Words(Vec<String>),
}

/// How and for how long.
#[derive(Clone, Debug)]
pub struct Reload {
    /// `--reload`.
    pub method: ReloadMethod,
    /// `--reload-command`, or marathon-lb's `--command`.
    pub command: Option<ReloadCommand>,
    /// `--reload-timeout`: until a reload without proof of success counts as failed, default 30 s.
    pub timeout: Duration,
    /// `--max-reload-retries`: how often a reload that failed is tried again within one turn;
    /// `None` for as often as it takes.
    pub max_retries: Option<u32>,
    /// `--reload-interval`: how long each of those tries is given.
    pub interval: Duration,
    /// Whether a running HAProxy is told of servers without a reload where that will do.
    pub runtime_api: bool,
    /// `--reloads-apart`: the least time between two reloads of a watcher that tells HAProxy of servers
    /// meanwhile.
    pub apart: Duration,
}

/// When `watch` takes a turn, and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// `--debounce MIN:MAX`: changes that follow each other closer than the first are answered
    /// together, and none waits longer than the second.
    pub debounce: (Duration, Duration),
    /// `--resync`: between two turns while nothing is told, default 5 min.
    pub resync: Duration,
    /// `--poll`: between two turns, where events are not followed at all.
    pub poll: Option<Duration>,
    /// `--callback-url`: where Marathon sends its events, in place of a stream of them.
    pub callback_url: Option<String>,
    /// `--callback-listen`: where they are taken in; `None` for all addresses and the port of
    /// `callback_url`.
    pub callback_listen: Option<SocketAddr>,
    /// `--admin-socket`: where HAProxy and operators ask; `None` for nowhere.
    pub admin_socket: Option<PathBuf>,
}

/// Where the program remembers.
#[derive(Clone, Debug)]
pub struct State {
    /// `--state-dir`, default `$STATE_DIRECTORY`, else `/var/lib/haproxy-marathon-bridge`.
    pub dir: PathBuf,
    /// `--lock-file`, default `lock` in the folder of the config file inside `dir`.
    pub lock_file: Option<PathBuf>,
    /// `--archive-versions`: how many good sets of files are kept, at least 1.
    pub archive_versions: usize,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line, for machines.
    Json,
    /// A line by [`Log::pattern`], as the loggers of the predecessors wrote.
    Python,
}

/// Where it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard error.
    Stderr,
    /// Standard error and syslog, of which the latter may be missing.
    StderrAndSyslog,
    /// syslog, as lines.
    Syslog,
    /// journald, as entries with fields.
    Journald,
}

/// What is said, and where.
#[derive(Clone, Debug)]
pub struct Log {
    /// `--log`, default `stderr`.
    pub destination: LogDestination,
    /// `--syslog-socket`, default `/dev/log`: also of `logged`. In `StderrAndSyslog` the literal
    /// `/dev/null` stands for no syslog.
    pub syslog_socket: PathBuf,
    /// `--log-level`, default `info`.
    pub level: LogLevel,
    /// `--log-format`, default `text`.
    pub format: LogFormat,
    /// `--log-format` of the marathon-lb and servicerouter command lines, in the language of
    /// Python's `logging`.
    pub pattern: String,
    /// Its `%(name)s`.
    pub logger: &'static str,
}
