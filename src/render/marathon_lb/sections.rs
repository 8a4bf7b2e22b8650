//! The sections of one service port: its userlist, frontend and backend, text by text.

use std::cell::OnceCell;
use std::sync::Arc;

use super::super::context::ServiceContext;
use super::super::fragments::Fault;
use super::super::shape::{self, Shape};
use super::super::within::Own;
use super::MarathonLb;
use super::writer::Writer;
use crate::proxy::marathon_lb::{Service, frontend_name};

/// The sections of a service.
pub(super) struct Sections {
    pub(super) userlist: Option<Arc<str>>,
    /// None where ports 80 and 443 lead to it in the place of its own.
    pub(super) frontend: Option<Arc<str>>,
    pub(super) backend: Arc<str>,
    /// What its backend says, where that stands in HEAD, for several.
    pub(super) profile: Option<(String, Arc<str>)>,
}

impl Sections {
    fn text(&self) -> String {
        let userlist = self.userlist.as_deref().unwrap_or_default();
        let frontend = self.frontend.as_deref().unwrap_or_default();
        [userlist, frontend, &self.backend].concat()
    }
}

impl MarathonLb {
    pub(super) fn sections(&self, service: &Arc<Service>) -> Result<Arc<Sections>, Fault> {
        if let Some((known, sections)) = self.services.get(&service.name)
            && (Arc::ptr_eq(known, service) || known == service)
        {
            return Ok(Arc::clone(sections));
        }
        let loose = self.loose(service);
        let sections = self.written(service, &loose)?;
        self.confines(service, &sections.text(), |plain| {
            Ok(self.written(plain, &[])?.text())
        })?;
        let keeps_within = |keyword, name: &str, text: &str| {
            self.keeps_within(service, Some(Own { keyword, name }), text)
        };
        if let Some(userlist) = &sections.userlist {
            keeps_within("userlist", &format!("user_{}", service.name), userlist)?;
            self.knows_its_users(service, userlist)?;
        }
        let frontend = if self.parts_names {
            &frontend_name(&service.name)
        } else {
            &service.name
        };
        if let Some(text) = &sections.frontend {
            keeps_within("frontend", frontend, text)?;
        }
        keeps_within("backend", &service.name, &sections.backend)?;
        Ok(Arc::new(self.with_profile(service, sections)))
    }

    fn written(&self, service: &Service, loose: &[&'static str]) -> Result<Sections, Fault> {
        let writer = Writer {
            set: self,
            service,
            loose,
        };
        Ok(Sections {
            userlist: writer.userlist()?,
            frontend: if self.is_led_by_name(service) {
                None
            } else {
                let texts = writer.frontend()?;
                Some(self.shaped("frontend.cfg", &self.frontend, service, &texts)?)
            },
            backend: self.shaped("backend.cfg", &self.backend, service, &writer.backend()?)?,
            profile: None,
        })
    }

    /// Puts ready texts into the shape of their section: as `template` says, or as `shape`
    /// remembers what it says, where it is our own and thus the same for all services.
    fn shaped(
        &self,
        template: &'static str,
        shape: &OnceCell<Shape>,
        service: &Service,
        texts: &[(&'static str, String)],
    ) -> Result<Arc<str>, Fault> {
        let faulty = |error| Fault::Shape { template, error };
        if self.engine.is_replaced(template) {
            let service = ServiceContext::new(service);
            let given = texts.iter().map(|(name, text)| (*name, text.as_str()));
            let text = shape::render(&self.engine, template, given, Some(&service));
            return Ok(text.map_err(faulty)?.into());
        }
        let shape = match shape.get() {
            Some(shape) => shape,
            None => {
                let names = texts.iter().map(|(name, _)| *name);
                let made = Shape::of(&self.engine, template, names).map_err(faulty)?;
                shape.get_or_init(|| made)
            }
        };
        Ok(shape.filled(texts).into())
    }
}
