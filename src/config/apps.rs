//! What of an app counts, and what its names and numbers become.

use std::ops::RangeInclusive;

/// Where app owners write what they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsFrom {
    /// In the labels of the app.
    Labels,
    /// In its environment, under the same names, as servicerouter.py had it.
    Env,
    /// In both; where both name a setting, the label counts.
    EnvAndLabels,
}

/// How service ports and task ports find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRule {
    /// By Marathon's own rules of port discovery.
    Discovery,
    /// One by one up to the shorter list, as marathon-lb and servicerouter.py had it.
    Zipped,
}

/// How a value that an app owner wrote reaches the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Each has a type (a host, a path, an address) and is left out if it is none.
    Typed,
    /// As it was written, control characters excepted; HAProxy judges it.
    Verbatim,
}

/// Which apps are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRule {
    /// Those of the groups given; everything if none is.
    Given,
    /// Everything, whatever is given: the text form of the tasks has no labels.
    Everything,
    /// Those of the groups given, of which there is at least one. Names are taken as they are
    /// written, blanks and all.
    Exact,
    /// As `Exact`; if no group is given, the apps that name none.
    ExactOrUngrouped,
}

/// Service ports for apps that name none, whose tasks have addresses of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoPorts {
    /// `--min-serv-port-ip-per-task`; 0 where there are none.
    pub low: u16,
    /// `--max-serv-port-ip-per-task`; 0 where there are none.
    pub high: u16,
}

impl AutoPorts {
    /// The ports to choose from, unless there are to be none.
    #[must_use]
    pub fn range(self) -> Option<RangeInclusive<u16>> {
        (self.low != 0 && self.low <= self.high).then_some(self.low..=self.high)
    }
}

/// What of an app counts.
#[derive(Clone, Debug)]
pub struct Apps {
    /// `--health-check`: tasks count only while Marathon reports them alive, in apps that have
    /// health checks.
    pub health_check: bool,
    /// `--strict-mode`: a service port is served only if its app says `ENABLED`.
    pub strict_mode: bool,
    /// `--serve-scaled-to-zero`: a service port without servers is answered with a page.
    pub serve_scaled_to_zero: bool,
    /// `--settings-from`.
    pub settings_from: SettingsFrom,
    /// `--min-serv-port-ip-per-task` and `--max-serv-port-ip-per-task`.
    pub auto_ports: AutoPorts,
    /// `$FRAMEWORK_NAME` in the marathon-lb command line: the app of that name, which is the id
    /// without its first `/`, is marathon-lb itself and not served.
    pub own_app: Option<String>,
}
