//! Whether what is taken out for its owners' faults is more than a fault of theirs.

use std::collections::BTreeSet;

use super::plan::Plan;
use super::served::leads_to;
use crate::cluster::ServicePort;
use crate::guard;
use crate::proxy::is_incumbent;

impl Plan {
    /// Whether nothing of what is `served` is left, or most of it went and several apps are refused:
    /// that is DNS, a certificate for all, or HAProxy itself. What one app says can be wrong however
    /// much of it there is, and nobody else has to wait for its owner.
    pub(super) fn is_loss(&self, served: &[ServicePort]) -> bool {
        let still = self.serves(served);
        if still.is_empty() {
            return !served.is_empty();
        }
        // To whom names lead has the number for itself.
        let led = self.led();
        let went = self.refused.iter().filter(|owner| {
            let mut own = served
                .iter()
                .filter(|port| port.service_port == owner.service_port);
            own.any(|port| is_incumbent(&owner.app, Some(&port.app)) || !leads_to(&led, port))
        });
        let apps: BTreeSet<_> = went.map(|owner| &owner.app).collect();
        apps.len() > 1 && guard::loses_most(served, &still)
    }
}
