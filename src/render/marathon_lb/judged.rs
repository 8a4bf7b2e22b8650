//! Whether what owners said stays in its place, in what was written of it.

use std::sync::Arc;

use super::super::format::Value;
use super::super::fragments::Fault;
use super::super::reach;
use super::super::values::Plain;
use super::super::within::{self, Own};
use super::MarathonLb;
use crate::haproxy::Line;
use crate::haproxy::userlist::{self, MOST_PASSWORDS};
use crate::labels::{ServiceOptions, Template};
use crate::proxy::marathon_lb::Service;

impl MarathonLb {
    /// Whether the hosts of a service keep to their place in rules that stand in chunks of nobody,
    /// since apps may share a host.
    pub(super) fn keeps_hosts_within(&self, service: &Service) -> Result<(), Fault> {
        if !self.loose(service).contains(&"hostname") {
            return Ok(());
        }
        let template = Template::HttpsGroupedVhostFrontendAcl;
        for host in service.options.vhosts() {
            let values = [
                ("backend", Value::Text("name")),
                ("host", Value::Text(host)),
            ];
            let mut written = String::new();
            let fragments = &self.fragments;
            fragments.write(template, template, None, &Plain(&values), &mut written)?;
            let names = (template, template);
            fragments.keeps_within(names, None, &Plain(&values), &["host"], &written)?;
        }
        Ok(())
    }

    /// The values that have to be looked at, where anything is.
    pub(super) fn loose(&self, service: &Service) -> Vec<&'static str> {
        if self.judges {
            within::loose(service)
        } else {
            Vec::new()
        }
    }

    /// Whether texts of an owner stay in the section that they are for; `own` is `None` where that is
    /// one of all services.
    pub(super) fn keeps_within(
        &self,
        service: &Service,
        own: Option<Own<'_>>,
        text: &str,
    ) -> Result<(), Fault> {
        let overrides = &service.options.overrides;
        if !self.judges || overrides.is_empty() {
            return Ok(());
        }
        let Some(line) = within::stray(text, own) else {
            return Ok(());
        };
        let word = |line: &str| Line::of(line).words.into_iter().next();
        let has_line = |text: &str| text.lines().any(|own| word(own) == word(line));
        let holds_it = overrides.iter().find(|(_, text)| has_line(text));
        // Else the head of the section does not open it.
        let head = own.map(|own| match own.keyword {
            "userlist" => Template::UserlistHead,
            "frontend" => Template::FrontendHead,
            _ => Template::BackendHead,
        });
        let head = || head.filter(|head| overrides.contains_key(head));
        let label = holds_it.map(|(template, _)| *template).or_else(head);
        Err(Fault::Stray {
            label: label.or_else(|| overrides.keys().next().copied()),
            line: line.trim().to_owned(),
            section: match own {
                None => "no line that opens a section or a block".to_owned(),
                Some(own) => format!("one section, `{} {}`, and its lines", own.keyword, own.name),
            },
        })
    }

    /// Whether a list of users that an owner wrote has all whom it names, and costs HAProxy little time.
    /// It would refuse the file for one such list after the other, and has everybody wait for passwords.
    pub(super) fn knows_its_users(&self, service: &Service, text: &str) -> Result<(), Fault> {
        let is_own = service
            .options
            .overrides
            .contains_key(&Template::UserlistHead);
        if !self.judges || !is_own {
            return Ok(());
        }
        if userlist::slow_password(text).is_some() {
            return Err(Fault::Passwords(None));
        }
        let number = userlist::passwords(text).count();
        if number > MOST_PASSWORDS {
            return Err(Fault::Passwords(Some(number)));
        }
        userlist::missing(text).map_or(Ok(()), |missing| Err(Fault::Users(missing)))
    }

    /// Whether texts of an owner reach for nothing beyond the service; `write` writes the same for a
    /// service that has fewer of them.
    pub(super) fn confines(
        &self,
        service: &Service,
        text: &str,
        write: impl Fn(&Service) -> Result<String, Fault>,
    ) -> Result<(), Fault> {
        let overrides = &service.options.overrides;
        if !self.confines_texts || overrides.is_empty() {
            return Ok(());
        }
        let without = |is_out: &dyn Fn(Template) -> bool| {
            let mut options = ServiceOptions::clone(&service.options);
            options.overrides.retain(|template, _| !is_out(*template));
            write(&Service {
                options: Arc::new(options),
                ..service.clone()
            })
        };
        let plain = without(&|_| true)?;
        let Some((line, what)) = reach::first_beyond(text, &plain) else {
            return Ok(());
        };
        let is_from = |template: &Template| {
            let rest = without(&|own| own == *template);
            rest.is_ok_and(|rest| !rest.lines().any(|own| own == line))
        };
        Err(Fault::Reach {
            label: overrides.keys().copied().find(is_from),
            line: line.trim().to_owned(),
            what,
        })
    }
}
