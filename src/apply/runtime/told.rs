//! What a process was told.

use std::collections::BTreeSet;
use std::fmt;

use super::step::Target;

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Who came.
    pub added: Vec<Target>,
    /// Who went.
    pub removed: Vec<Target>,
    /// Whose weight, address or state is another; also who is about to go and still has connections.
    pub changed: BTreeSet<Target>,
    /// Who gets no requests any more and still has connections: they are taken away later, or go
    /// with the next reload.
    pub tombstones: Vec<Target>,
    /// Of those left earlier, who went.
    pub ended: Vec<Target>,
    /// Which backends came or went.
    pub backends: Vec<String>,
    /// Which have no servers any more and are still in use: they are taken away later.
    pub left_backends: Vec<String>,
    /// Which maps have other rows.
    pub maps: Vec<String>,
    /// Which certificates are other ones.
    pub certificates: Vec<String>,
}

impl Told {
    /// Whether the process was as it should be.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.servers() == 0
            && self.backends.is_empty()
            && self.maps.is_empty()
            && self.certificates.is_empty()
    }

    /// How many servers are concerned.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.added.len() + self.removed.len() + self.changed.len()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.backends.len(), "backend"),
            (self.servers(), "server"),
            (self.maps.len(), "map"),
            (self.certificates.len(), "certificate"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let all: Vec<String> = counts
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        match all.as_slice() {
            [] => f.write_str("0 servers changed at runtime"),
            [first @ .., last] if !first.is_empty() => {
                write!(f, "{} and {last} changed at runtime", first.join(", "))
            }
            all => write!(f, "{} changed at runtime", all.join("")),
        }
    }
}
