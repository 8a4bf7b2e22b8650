//! HAProxy's messages about a file, with the app that each is about.

use std::fmt;

use serde::Serialize;
use tracing::{error, warn};

use crate::apply::CheckMessage;
use crate::cycle::Plan;
use crate::logging::TOLD;
use crate::proxy::Owner;

/// The section that an owner answers for.
fn section_of<'a>(plan: &'a Plan, owner: &Owner) -> Option<&'a str> {
    let listens = plan.proxies.listens.iter();
    let listens = listens.map(|listen| (&listen.owner, &listen.name));
    let services = plan.proxies.services().iter();
    let services = services.map(|service| (&service.owner, &service.name));
    let mut all = listens.chain(services);
    all.find(|(known, _)| *known == owner)
        .map(|(_, name)| name.as_str())
}

/// A message and who answers for what it is about.
#[derive(Debug)]
pub(super) struct Blamed<'a> {
    owner: Option<&'a Owner>,
    section: Option<&'a str>,
    message: &'a CheckMessage,
}

/// The parts of a message, as JSON has them; null is what is not known.
#[derive(Debug, Serialize)]
pub(super) struct Blame<'a> {
    app: Option<&'a str>,
    service_port: Option<u32>,
    section: Option<&'a str>,
    line: Option<usize>,
    text: &'a str,
}

impl<'a> Blamed<'a> {
    /// The owner is known by the line, else by the section that the message names.
    pub(super) fn of(plan: &'a Plan, message: &'a CheckMessage) -> Self {
        let owner = plan.blamed(message);
        let own = || owner.and_then(|owner| section_of(plan, owner));
        Self {
            owner,
            section: own().or(message.proxies.first().map(String::as_str)),
            message,
        }
    }

    /// Says that the file is refused for it.
    pub(super) fn refused(&self) {
        error!(
            target: TOLD,
            app = self.app(),
            service_port = self.service_port(),
            section = self.section,
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
            section = self.section,
            line = self.message.line,
            haproxy = self.message.text,
            "`haproxy -c` warns: {self}"
        );
    }

    /// The same for machines.
    pub(super) fn parts(&self) -> Blame<'_> {
        Blame {
            app: self.app(),
            service_port: self.service_port(),
            section: self.section,
            line: self.message.line,
            text: &self.message.text,
        }
    }

    /// The same sentence wherever in the file the fault stands: other sections come and go.
    pub(super) fn lasting(&self) -> String {
        let sentence = self.to_string();
        sentence.replace(&self.message.text, &self.message.lasting())
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
        if let Some(section) = self
            .section
            .filter(|name| !self.message.text.contains(*name))
        {
            write!(f, "section `{section}`: ")?;
        }
        self.message.fmt(f)
    }
}
