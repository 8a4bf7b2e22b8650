//! HAProxy's messages about a file, with the app that each is about.

use std::fmt;

use tracing::{error, warn};

use crate::apply::CheckMessage;
use crate::cycle::Plan;
use crate::logging::TOLD;
use crate::proxy::Owner;

/// A message and who answers for what it is about.
#[derive(Debug)]
pub(super) struct Blamed<'a> {
    owner: Option<&'a Owner>,
    message: &'a CheckMessage,
}

impl<'a> Blamed<'a> {
    /// The owner is known by the line, else by the section that the message names.
    pub(super) fn of(plan: &'a Plan, message: &'a CheckMessage) -> Self {
        Self {
            owner: plan.blamed(message),
            message,
        }
    }

    /// Says that the file is refused for it.
    pub(super) fn refused(&self) {
        error!(
            target: TOLD,
            app = self.app(),
            service_port = self.service_port(),
            line = self.message.line,
            haproxy = self.message.text,
            "`haproxy -c` refuses the new file: {self}"
        );
    }

    /// Says that the file is accepted all the same.
    pub(super) fn warned(&self) {
        warn!(
            target: TOLD,
            app = self.app(),
            service_port = self.service_port(),
            line = self.message.line,
            haproxy = self.message.text,
            "`haproxy -c` warns: {self}"
        );
    }

    fn app(&self) -> Option<&str> {
        self.owner.map(|owner| owner.app.as_str())
    }

    fn service_port(&self) -> Option<u32> {
        self.owner.map(|owner| owner.service_port)
    }
}

impl fmt::Display for Blamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Owner { app, service_port }) = self.owner {
            write!(f, "app `{app}`: service port {service_port}: ")?;
        }
        self.message.fmt(f)
    }
}
