//! What is asked for, as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::edited::Unwritable;
use super::super::held_ports::{HTTPS, opener_of_https};
use super::super::reserved::Reserved;
use super::super::wanted::{Built, Wanted};
use super::Labelled;
use crate::apply::FileSet;
use crate::cluster::{ServicePort, Warning};
use crate::proxy::marathon_lb::{self, Flavour, Service, Shape};
use crate::proxy::native::{self, CrtList};
use crate::proxy::{Incumbents, Owner, Proxies};
use crate::render::Renderer;

impl Labelled {
    /// Sections and rules of the set.
    fn arrange(
        &self,
        services: Vec<Arc<Service>>,
        wanted: &Wanted,
        incumbents: &Incumbents,
    ) -> (Proxies, Vec<Warning>) {
        let mut proxies = Proxies::default();
        let warnings;
        if self.shape.flavour == Flavour::Native {
            let shape = Shape {
                closes_https: wanted.closes_https,
                hidden_certificates: wanted.hidden_certificates.clone(),
                ..self.shape.clone()
            };
            let (native, faults) = native::arrange(services, &shape, incumbents);
            (proxies.native, warnings) = (Some(native), faults);
        } else {
            let ports = &incumbents.service_ports;
            (proxies.layout, warnings) = marathon_lb::arrange(services, &self.shape, ports);
        }
        (proxies, warnings)
    }

    /// The files that `cfg` names: its maps, and the lists of certificates for which a template of the
    /// operator's has a place.
    fn beside(&self, proxies: &Proxies, cfg: &str) -> BTreeMap<String, String> {
        let names: &[&'static str] = match (self.shape.maps, self.shape.flavour) {
            (false, _) => &[],
            (true, Flavour::Native) => &[
                native::DOMAIN_MAP,
                native::PATH_MAP,
                native::SUFFIX_MAP,
                native::APP_MAP,
            ],
            (true, _) => &[marathon_lb::DOMAIN_MAP, marathon_lb::APP_MAP],
        };
        let mut texts = texts(names, proxies);
        let lists = proxies.native.iter().flat_map(native::Layout::crt_lists);
        for CrtList { name, text } in lists.filter(|list| cfg.contains(&list.name)) {
            texts.insert(name.clone(), text.clone());
        }
        texts
    }

    pub(in super::super) fn build<'p>(
        &self,
        ports: impl Iterator<Item = &'p ServicePort>,
        wanted: &Wanted,
        incumbents: &Incumbents,
        renderer: &mut Renderer,
    ) -> Result<Built> {
        let present = ports.map(|port| (port, false));
        let absent = wanted.absent.iter().map(|port| (port, true));
        let services = present.chain(absent).filter_map(|(port, is_absent)| {
            let service = self.service(port, wanted.said.as_ref()?)?;
            Some(Arc::new(Service {
                is_absent,
                ..service
            }))
        });
        let services: Vec<Arc<Service>> = services.collect();
        let absent: Vec<Arc<Service>> = services.iter().filter(|s| s.is_absent).cloned().collect();
        let (mut proxies, mut warnings) = self.arrange(services, wanted, incumbents);
        let mut failed: Vec<(Owner, Warning)> = Vec::new();
        if let Some(native) = &mut proxies.native {
            failed.append(&mut native.refused);
        }
        let output = renderer.render(&proxies).context(Unwritable)?;
        warnings.extend(output.warnings);
        for fault in output.failed {
            // One that fails in several texts is told of once.
            if !failed.iter().any(|(owner, _)| *owner == fault.owner) {
                failed.push((fault.owner.clone(), fault.warning()));
            }
        }
        for service in &proxies.layout.services {
            let Some(tcp) = marathon_lb::tcp_host(service, &self.shape) else {
                continue;
            };
            if tcp.is_in_map {
                warnings.push(tcp.warning);
            } else if self.shape.settles_clashes
                && !failed.iter().any(|(owner, _)| *owner == service.owner)
            {
                failed.push((service.owner.clone(), tcp.warning));
            }
        }
        let mut displaced: Vec<(Owner, Warning)> = Vec::new();
        let mut https_holder = None;
        if failed.is_empty() && self.shape.settles_clashes {
            let reserved = Reserved::of(output.rendered.chunks());
            let services = proxies.services();
            let opener = opener_of_https(&proxies).filter(|_| self.opens_https_by_labels());
            // Of some the number is a name, and no more.
            let listens =
                |service: &&Arc<Service>| !(self.shape.leads_by_name && service.has_name());
            displaced.extend(services.iter().filter(listens).filter_map(|service| {
                let clash = reserved.clash(service, opener.as_ref())?;
                Some((service.owner.clone(), clash))
            }));
            let listening: Vec<Arc<Service>> = services.iter().filter(listens).cloned().collect();
            for (owner, theft) in reserved.thefts(output.rendered.chunks(), services, &listening) {
                // What both are wrong about is one fault.
                if !displaced.iter().any(|(known, _)| *known == owner) {
                    displaced.push((owner, theft));
                }
            }
            // Whoever had the port before a label opened it keeps it, also for the moment without tasks.
            let before = &incumbents.service_ports;
            let is_holder = |service: &&Arc<Service>| {
                let Owner { app, service_port } = &service.owner;
                let section = reserved.section(service);
                section.is_some_and(|s| HTTPS.contains(&s)) && before.get(service_port) == Some(app)
            };
            let holder = services
                .iter()
                .chain(&absent)
                .filter(listens)
                .find(is_holder);
            let holder = holder.filter(|_| self.opens_https_by_labels());
            https_holder = holder.map(|service| service.owner.clone());
        }
        let cfg = output.rendered.text();
        Ok(Built {
            failed,
            left_out: Vec::new(),
            displaced,
            https_holder,
            files: FileSet {
                maps: self.beside(&proxies, &cfg),
                cfg,
            },
            rendered: output.rendered,
            proxies,
            warnings,
        })
    }
}

/// Map files; those without rows are there too, since the file names them.
fn texts(names: &[&'static str], proxies: &Proxies) -> BTreeMap<String, String> {
    let text = |name: &&'static str| {
        let rows = proxies.maps().get(name).map_or(&[][..], Vec::as_slice);
        let mut text = String::new();
        for (key, backend) in rows {
            text.push_str(key);
            text.push(' ');
            text.push_str(backend);
            text.push('\n');
        }
        ((*name).to_owned(), text)
    };
    names.iter().map(text).collect()
}
