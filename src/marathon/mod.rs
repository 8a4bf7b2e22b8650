//! Marathon as a source: its nodes are asked, and what they answer becomes `cluster`'s own types.
//!
//! In come the addresses and limits of `config::Marathon`, and bytes from whoever answers there;
//! out goes an [`Answer`]. `wire` has the JSON of Marathon 0.7 to 1.11 as it is written, `convert`
//! turns it into `cluster::App`, `body` reads a whole answer so that one bad app costs only
//! itself, `text` reads the text form of `/v2/tasks`, `address` what users write to name a node,
//! `client` asks one node after the other, `events` hears from one which apps have changed, `essence`
//! tells answers apart unread, `write` writes apps as Marathon would, `fetch` asks one node, `page` somebody else, `auth`
//! proves to it who asks, `away` tells whom another one stood in for, `transport` carries what is said, `fetched` counts it, and `fault` says why one did not answer.
//! Nothing here knows HAProxy.

mod address;
mod auth;
mod away;
mod body;
mod client;
mod convert;
mod essence;
pub mod events;
mod fault;
mod fetch;
mod fetched;
mod page;
mod sound;
mod text;
mod transport;
mod wire;
mod write;

pub use address::{Address, Node, WrongAddress};
pub use auth::{Clock, Moment};
pub use body::{WrongBody, app, apps};
pub use client::{Answer, AppAnswer, Client, Cluster};
pub use fault::{Failure, Fault, FetchError, Sent};
pub use fetched::Fetched;
pub use page::page;
pub use text::tasks;
pub use write::answer;

/// Whether `text` can name an app: what Marathon allows in a path, and the capitals and
/// underscores that it allowed before 0.7. Names of HAProxy's sections may hold all of these but
/// the slash.
fn is_app_path(text: &str) -> bool {
    /// Far more than Mesos takes as a part of the id of a task.
    const LONGEST: usize = 1000;
    text.len() <= LONGEST
        && !text.trim_matches('/').is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-._".contains(&b))
}

/// Whether `text`, which can name an app, can be part of an address as well: Marathon makes no app
/// of dots or of nothing, and an address with such parts would lead elsewhere.
fn is_askable(text: &str) -> bool {
    let path = text.strip_prefix('/').unwrap_or(text);
    let is_good = |part: &str| !matches!(part, "" | "." | "..");
    is_app_path(path) && path.split('/').all(is_good)
}

/// Whether `text` can stand for an agent: a numeric address or a name.
fn is_host(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<std::net::IpAddr>().is_ok()
        || (!text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)))
}
