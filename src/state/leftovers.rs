//! What is yet to be taken away from a running HAProxy.

use std::collections::BTreeSet;

/// What a running HAProxy still has of what it was told to let go, since requests were under way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Sections with such servers, by the names that it knows.
    pub sections: BTreeSet<String>,
    /// Backends that have none any more.
    pub backends: BTreeSet<String>,
}

impl Leftovers {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.backends.is_empty()
    }

    /// Whether something is left that is not in `others`.
    #[must_use]
    pub fn has_more_than(&self, others: &Self) -> bool {
        !self.sections.is_subset(&others.sections) || !self.backends.is_subset(&others.backends)
    }
}
