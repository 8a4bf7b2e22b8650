//! How much one app may ask for in all of its service ports together: what it has cost HAProxy, which
//! all share, sockets, memory, and the time of each check and start.

use std::sync::Arc;

use super::wanted::Spoken;
use crate::cluster::{App, ServicePort, Warning};
use crate::config::Values;
use crate::haproxy::userlist::{self, MOST_PASSWORDS};
use crate::labels::{ServiceOptions, Template};
use crate::proxy::native::{MOST_SLOTS_OF_AN_APP, SlotRule, say_slots, slots_wanted};

/// Something of which one app may have so much. Measured with HAProxy 2.6.
struct Bound {
    most: usize,
    /// What the number is one of.
    of: &'static str,
    /// How much of it a service port asks for.
    weigh: fn(&ServiceOptions) -> usize,
    /// Whether it holds wherever labels are read and judged, and not only where each value has its form.
    is_general: bool,
}

static BOUNDS: [Bound; 5] = [
    // HAProxy opens a socket for each, and starts with none where it may not open all of them: half of
    // what a process may have open by the oldest custom, 1024, is left for everybody else.
    Bound {
        most: 500,
        of: "that are to be served",
        weigh: |_| 1,
        is_general: false,
    },
    // It computes each when it checks a file and when it starts: all of them take two seconds at most.
    Bound {
        most: MOST_PASSWORDS,
        of: "passwords (AUTH, USERLIST_HEAD)",
        weigh: passwords,
        is_general: true,
    },
    // 0.7 kB each, and a second for 20,000.
    Bound {
        most: 10_000,
        of: "networks in BACKEND_NETWORK_ALLOWED_ACL",
        weigh: |options| options.networks_allowed.len(),
        is_general: false,
    },
    // Each is read anew, and may be a folder of them.
    Bound {
        most: 50,
        of: "certificates (SSL_CERT, and `crt` in BIND_OPTIONS)",
        weigh: |options| usize::from(options.ssl_cert.is_some()) + times(options, "crt"),
        is_general: false,
    },
    // A list of 10,000 lines, the longest that is read, takes 3 s and 140 MB.
    Bound {
        most: 2,
        of: "`crt-list`s in BIND_OPTIONS",
        weigh: |options| times(options, "crt-list"),
        is_general: false,
    },
];

/// How often its `BIND_OPTIONS` has this word.
fn times(options: &ServiceOptions, word: &str) -> usize {
    let text = options.bind_options.as_deref().unwrap_or_default();
    text.split(' ').filter(|own| *own == word).count()
}

/// Those of its list of users, which only who asks for one has.
fn passwords(options: &ServiceOptions) -> usize {
    if options.auth.is_none() {
        return 0;
    }
    let own = options.overrides.get(&Template::UserlistHead);
    own.map_or(1, |text| userlist::passwords(text).count())
}

impl Bound {
    /// Takes out those behind which there would be too much.
    fn keep(
        &self,
        app: &App,
        ports: &[ServicePort],
        asked: &mut Vec<(usize, Spoken)>,
    ) -> Option<Warning> {
        let mut sum = 0;
        let mut beyond = Vec::new();
        asked.retain(|(position, spoken)| {
            let weight = (self.weigh)(&spoken.options);
            sum += weight;
            let fits = weight == 0 || sum <= self.most;
            if !fits {
                beyond.push(&ports[*position]);
            }
            fits
        });
        let (first, more) = beyond.split_first()?;
        let more = behind_it(more.len());
        Some(Warning {
            app: Some(app.id.clone()),
            subject: "service ports".to_owned(),
            found: format!("{sum} {}", self.of),
            expected: format!("at most {} of one app", self.most),
            effect: format!(
                "service port {}, at position {}{more} left out",
                first.service_port, first.index
            ),
        })
    }
}

fn behind_it(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" and {more} behind it"),
    }
}

/// Takes out of the service ports that are `asked` for those that one app may not have beside the
/// others, by their positions in `ports`. `judges` is false with `--skip-validation`.
pub(super) fn keep_within_bounds(
    app: &App,
    ports: &[ServicePort],
    asked: &mut Vec<(usize, Spoken)>,
    (values, judges): (Values, bool),
) -> Vec<Warning> {
    let mut bounds: Vec<&Bound> = BOUNDS.iter().collect();
    bounds.retain(|bound| bound.is_general && judges || values == Values::Typed);
    let warnings = bounds.into_iter();
    warnings
        .filter_map(|bound| bound.keep(app, ports, asked))
        .collect()
}

/// Gives the last of the service ports fewer slots that are free, or none, where an app would have too
/// many. Without them a task that comes is a reload, and nothing else is lost.
pub(super) fn keep_slots_within_bounds(
    app: &App,
    ports: &[ServicePort],
    asked: &mut [(usize, Spoken)],
    rule: SlotRule,
) -> Option<Warning> {
    let mut sum = 0;
    let mut beyond = Vec::new();
    for (position, spoken) in asked {
        let wanted = slots_wanted(&spoken.app, ports[*position].index, &spoken.options, rule);
        let left = MOST_SLOTS_OF_AN_APP.saturating_sub(sum);
        sum += wanted;
        if wanted > left {
            let said = say_slots(Arc::make_mut(&mut spoken.options), left);
            beyond.push((&ports[*position], said));
        }
    }
    let ((first, said), more) = beyond.split_first()?;
    let more = match more.len() {
        0 => String::new(),
        more => format!(", and {more} behind it have none"),
    };
    Some(Warning {
        app: Some(app.id.clone()),
        subject: "service ports".to_owned(),
        found: format!("{sum} free slots that are asked for (SERVER_SLOTS, --server-slots)"),
        expected: format!("at most {MOST_SLOTS_OF_AN_APP} of one app"),
        effect: format!(
            "service port {}, at position {}, has {said} free ones{more}",
            first.service_port, first.index
        ),
    })
}
