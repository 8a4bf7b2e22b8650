//! Tasks that come and go, and reloads, while clients send requests: none may be lost.
//!
//! Instances go the way of real ones: they are not ready when they come, and end only once nothing is
//! sent to them any more. HAProxy tries nothing again, but for idle clients. A short form runs with all tests, a longer one
//! with `make test-all`, and for as long as `HMB_SOAK_SECONDS` says with `make soak`.

mod course;
mod guests;
mod many;
mod row;

use std::time::{Duration, Instant};

use haproxy_marathon_bridge::haproxy::Version;

use self::course::Course;
use self::row::Row;
use crate::support::haproxy_version;

/// A reload follows so many changes of servers.
const RELOAD_EVERY: usize = 20;

/// One way to churn.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    clients: Clients,
    /// HAProxy checks the servers, and each comes before it is ready.
    is_checked: bool,
    method: Method,
    /// HAProxy is told of changes of servers; else it is reloaded for each.
    is_told: bool,
    /// Of who is in which slot, in place of servers that come and go.
    has_slots: bool,
}

/// Who sends requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// On a connection for each request.
    Close,
    /// On connections that are kept.
    Kept,
    /// On connections that are kept, and idle most of the time: those that are just about to be used
    /// again are most easily cut. HAProxy may try again here.
    Idle,
    /// Bound to a server by a cookie.
    Sticky,
    /// By TLS.
    Tls,
    /// With web sockets beside them, which never end by themselves.
    Tunnels,
}

/// How HAProxy is reloaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    /// A new process takes over.
    Sf,
    /// Told on the socket of a master.
    Master,
    /// A signal to a master without a socket.
    Signal,
    /// `systemctl reload`, by a stand-in that does what the unit of Debian says.
    Systemd,
}

const CLOSE: Variant = Variant {
    name: "close, sf",
    clients: Clients::Close,
    is_checked: false,
    method: Method::Sf,
    is_told: true,
    has_slots: false,
};

const KEPT: Variant = Variant {
    name: "keep-alive, sf",
    clients: Clients::Kept,
    ..CLOSE
};

const VARIANTS: [Variant; 15] = [
    CLOSE,
    KEPT,
    Variant {
        name: "keep-alive, master",
        method: Method::Master,
        ..KEPT
    },
    Variant {
        name: "keep-alive, signal",
        method: Method::Signal,
        ..KEPT
    },
    Variant {
        name: "keep-alive, systemd",
        method: Method::Systemd,
        ..KEPT
    },
    Variant {
        name: "keep-alive, sf, checks",
        is_checked: true,
        ..KEPT
    },
    Variant {
        name: "slots, sf",
        has_slots: true,
        ..CLOSE
    },
    Variant {
        name: "slots, sf, checks",
        is_checked: true,
        has_slots: true,
        ..CLOSE
    },
    Variant {
        name: "sticky, sf",
        clients: Clients::Sticky,
        ..CLOSE
    },
    Variant {
        name: "TLS, sf",
        clients: Clients::Tls,
        ..CLOSE
    },
    Variant {
        name: "WebSockets, sf",
        clients: Clients::Tunnels,
        ..CLOSE
    },
    Variant {
        name: "idle, reloads, sf",
        clients: Clients::Idle,
        is_told: false,
        ..CLOSE
    },
    Variant {
        name: "idle, reloads, master",
        clients: Clients::Idle,
        method: Method::Master,
        is_told: false,
        ..CLOSE
    },
    Variant {
        name: "reloads, sf",
        is_told: false,
        ..CLOSE
    },
    Variant {
        name: "reloads, master",
        method: Method::Master,
        is_told: false,
        ..CLOSE
    },
];

/// How long it goes on.
#[derive(Clone, Copy)]
struct Length {
    changes: usize,
    reload_every: usize,
    seconds: Duration,
    /// Requests under way at once.
    workers: usize,
    pause: Duration,
}

impl Length {
    /// For one variant.
    fn of(variant: Variant) -> Self {
        let seconds = std::env::var("HMB_SOAK_SECONDS").ok();
        let seconds = seconds.map(|seconds| seconds.parse::<u32>().unwrap());
        let is_thorough = std::env::var_os("HMB_TEST_ALL").is_some();
        let few = match variant {
            Variant {
                is_checked: true, ..
            } => 4,
            Variant {
                clients: Clients::Sticky,
                ..
            } => 5,
            Variant { is_told: false, .. } => 6,
            _ => 12,
        };
        let long = Self {
            changes: RELOAD_EVERY,
            reload_every: RELOAD_EVERY,
            seconds: Duration::ZERO,
            workers: 8,
            pause: Duration::ZERO,
        };
        match seconds {
            Some(seconds) => Self {
                seconds: Duration::from_secs(u64::from(seconds)).div_f64(VARIANTS.len() as f64),
                ..long
            },
            None if is_thorough => Self {
                changes: few * 5,
                ..long
            },
            None => Self {
                changes: few,
                reload_every: 5,
                workers: 4,
                pause: Duration::from_millis(2),
                ..long
            },
        }
    }

    fn is_over(&self, changes: usize, began: Instant) -> bool {
        self.changes <= changes && self.seconds <= began.elapsed()
    }
}

/// So that the tests of a group run side by side, as all do.
fn lose_nothing(variants: impl IntoIterator<Item = Variant>) {
    let version = haproxy_version();
    println!("HAProxy {version}\n{}", Row::HEAD);
    for variant in variants {
        // It has no `add server`, and no `option idle-close-on-response`.
        let adds = variant.is_told && !variant.has_slots;
        let needs_more = adds || variant.clients == Clients::Idle;
        if needs_more && version < Version::new(2, 6) {
            continue;
        }
        let length = Length::of(variant);
        let row = Course::of(variant, length).run(length);
        println!("{row}");
        row.has_lost_nothing(length);
    }
}

/// All of one half or the other, by who sends requests.
fn group(is_plain: bool) -> impl Iterator<Item = Variant> {
    let plain = [Clients::Close, Clients::Kept];
    let is_of = move |variant: &Variant| plain.contains(&variant.clients) == is_plain;
    VARIANTS.into_iter().filter(is_of)
}

#[test]
fn churn_and_reloads_lose_no_request() {
    lose_nothing(group(true));
}

#[test]
fn churn_and_reloads_lose_no_request_of_bound_idle_veiled_and_endless_clients() {
    lose_nothing(group(false));
}
