//! Service ports on which another program of this host listens, on which HAProxy may not, or at addresses
//! that this host has not.
//!
//! `haproxy -c` does not try to listen, and a reload that fails for it costs the old listeners a
//! moment in which they refuse connections. So what is new is tried before, and stays out for as
//! long as it is held.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::{error, fmt};

use anyhow::{Result, bail};

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use crate::apply::{Balancer, Host};
use crate::cluster::{AppId, Warning};
use crate::haproxy::listen::{self, Listener};
use crate::proxy::{Owner, Proxies};
use crate::resolve::Lookup;

/// Why HAProxy could not listen where sections of nobody say, or could not have open what is served: the
/// fault of an edit that is on trial.
#[derive(Debug)]
pub struct NoPlace(pub(super) String);

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for NoPlace {}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without the service ports that somebody else holds.
    pub(super) fn without_held_ports<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        plan = self.without_held_frame(host, plan, installed)?;
        // Each round leaves out somebody, so that there is an end.
        while installed != Some(&*plan.files.cfg) {
            let wanted: BTreeSet<Listener> = plan.owned_binds().map(|(_, at)| at).collect();
            let named = wanted.iter().filter(|own| !own.at.ip().is_unspecified());
            // Of one address all ports are the same.
            let named = named.map(at_any_port).collect();
            let foreign = host.balancer.foreign(&named, host.at);
            let mut claims = plan.strays(&foreign);
            if claims.is_empty() {
                claims = plan.claims(&host.balancer.forbidden(&wanted, host.at), forbidden);
            }
            if claims.is_empty() {
                let taken = host.held_ports(wanted, installed);
                claims = plan.claims(&taken, |owner, number| held(owner, number, host));
            }
            if claims.is_empty() {
                break;
            }
            plan = self.draw_without(plan, claims, installed)?;
        }
        Ok(plan)
    }

    /// The native set's own frontends are everybody's. What labels open, port 443, stays closed while
    /// somebody else holds it; without the others there is nothing to reload to.
    fn without_held_frame<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        while plan.proxies.native.is_some() && installed != Some(&*plan.files.cfg) {
            let binds = plan.frame_binds();
            // Else a start is tried, and those who are served have their servers followed meanwhile.
            if self.is_on_trial
                && let Some((section, ip)) = stray(&binds, host, installed)
            {
                bail!(NoPlace(format!(
                    "`{ip}`, where `{section}` listens, is no address of this host, expected one at \
                     which HAProxy can listen"
                )));
            }
            let wanted = binds.iter().map(|(_, listener)| listener.clone());
            let held = host.held_ports(wanted.collect(), installed);
            let is_held = |(_, own): &&(String, Listener)| held.contains(&own.at.port());
            let Some((section, own)) = binds.iter().find(is_held) else {
                break;
            };
            let number = own.at.port();
            let holder = holder(number, host);
            let opener = opener_of_https(&plan.proxies);
            let is_of_labels = self.recipe.opens_https_by_labels()
                && !plan.draft.wanted.closes_https
                && HTTPS.contains(&section.as_str());
            let Some((app, label)) = opener.filter(|_| is_of_labels) else {
                bail!(NoPlace(format!(
                    "port {number} of `{section}` is held by {holder}, expected a port on which \
                     nobody listens; nothing is changed until it is free"
                )));
            };
            let warning = closed(app, label, number.into(), &holder, section);
            plan = self.draw_without_https(plan, warning, installed)?;
        }
        Ok(plan)
    }
}

/// The first section that wants to listen at an address which this host does not have. One that is
/// installed is HAProxy's already, which hands it over though the host may have lost it since.
fn stray<'b, B: Balancer>(
    binds: &'b [(String, Listener)],
    host: &Host<'_, B>,
    installed: Option<&str>,
) -> Option<(&'b str, IpAddr)> {
    let own = listen::listeners(installed.unwrap_or_default());
    let own: BTreeSet<IpAddr> = own.map(|own| own.at.ip()).collect();
    let is_new = |ip: IpAddr| !ip.is_unspecified() && !own.contains(&ip);
    let new = binds.iter().filter(|(_, bind)| is_new(bind.at.ip()));
    let new: BTreeSet<Listener> = new.map(|(_, bind)| at_any_port(bind)).collect();
    if new.is_empty() {
        return None;
    }
    let foreign = host.balancer.foreign(&new, host.at);
    let (section, bind) = binds
        .iter()
        .find(|(_, bind)| foreign.contains(&at_any_port(bind)))?;
    Some((section, bind.at.ip()))
}

/// The frontends of port 443.
pub(super) const HTTPS: [&str; 2] = ["frontend marathon_https_in", "frontend marathon_tls_in"];

/// The first whose label opens port 443, and which it is.
pub(super) fn opener_of_https(proxies: &Proxies) -> Option<(AppId, String)> {
    let shown = &proxies.native.as_ref()?.certificates;
    proxies.services().iter().find_map(|service| {
        let options = &service.options;
        // One of a host that another app has is not shown.
        let certificate = options.ssl_cert.as_ref().filter(|_| service.is_http());
        let label = if certificate.is_some_and(|path| shown.contains(path)) {
            "SSL_CERT"
        } else if options.own.contains_key("SNI_PASSTHROUGH") {
            "SNI_PASSTHROUGH"
        } else {
            return None;
        };
        let label = format!("label `HAPROXY_{}_{label}`", service.index);
        (!options.vhosts().is_empty()).then(|| (service.owner.app.clone(), label))
    })
}

/// For whoever opens port 443 while somebody holds it.
pub(super) fn closed(
    app: AppId,
    label: String,
    number: u32,
    holder: &str,
    section: &str,
) -> Warning {
    Warning {
        app: Some(app),
        subject: label,
        found: format!("port {number}, which it opens, is held by {holder}"),
        expected: "a port on which nobody listens".to_owned(),
        effect: format!("`{section}` left out until it is free"),
    }
}

impl Plan {
    /// Where sections of nobody listen, by their first lines.
    fn frame_binds(&self) -> Vec<(String, Listener)> {
        let mut section = String::new();
        let mut binds = Vec::new();
        let chunks = self.rendered.chunks().iter();
        let frame = chunks.filter(|chunk| chunk.owner.is_none());
        for line in frame.flat_map(|chunk| chunk.text.lines()) {
            if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                line.trim_end().clone_into(&mut section);
            }
            binds.extend(listen::listeners(line).map(|own| (section.clone(), own)));
        }
        binds
    }

    /// Where sections of apps listen. The frame of the file is not theirs to answer for.
    pub(super) fn owned_binds(&self) -> impl Iterator<Item = (&Owner, Listener)> {
        let chunks = self.rendered.chunks().iter();
        let owned = chunks.filter_map(|chunk| Some((chunk.owner.as_ref()?, &chunk.text)));
        owned.flat_map(|(owner, text)| listen::listeners(text).map(move |own| (owner, own)))
    }

    /// Who listens on which port, at whatever address.
    pub(super) fn listening(&self) -> BTreeSet<(&Owner, u16)> {
        let chunks = self.rendered.chunks().iter();
        let owned = chunks.filter_map(|chunk| Some((chunk.owner.as_ref()?, &chunk.text)));
        let ports = |(owner, text): (_, &Arc<str>)| {
            let ports = listen::ports(text).into_iter();
            ports.map(move |port| (owner, port))
        };
        owned.flat_map(ports).collect()
    }

    /// Everybody who wants to listen at an address that this host does not have.
    fn strays(&self, foreign: &BTreeSet<Listener>) -> Vec<(Owner, Warning)> {
        if foreign.is_empty() {
            return Vec::new();
        }
        let mut known = BTreeSet::new();
        let binds = self.owned_binds();
        let strays = binds.filter(|(owner, own)| {
            foreign.contains(&at_any_port(own))
                && !self.refused.contains(owner)
                && known.insert(*owner)
        });
        let warned = |(owner, own): (&Owner, Listener)| {
            let ip = own.at.ip();
            let warning = Warning {
                app: Some(owner.app.clone()),
                subject: format!("service port {}", owner.service_port),
                found: if own.is_v6_only && ip.to_canonical() != ip {
                    format!("`{ip}`, which is one of IPv4, with `v6only`")
                } else {
                    format!("`{ip}` is no address of this host")
                },
                expected: "one at which HAProxy can listen".to_owned(),
                effect: "service port left out until it is".to_owned(),
            };
            (owner.clone(), warning)
        };
        strays.map(warned).collect()
    }

    /// Everybody who wants a port of `held`, also those who would only get it when another is out, with
    /// what `warning` says of it. Who is in the file and does not listen there asks for no more.
    fn claims(
        &self,
        held: &BTreeSet<u16>,
        warning: impl Fn(&Owner, u16) -> Warning,
    ) -> Vec<(Owner, Warning)> {
        if held.is_empty() {
            return Vec::new();
        }
        let binds = self
            .owned_binds()
            .filter(|(_, own)| held.contains(&own.at.port()));
        let mut claims: Vec<(Owner, u16)> = binds
            .map(|(owner, own)| (owner.clone(), own.at.port()))
            .collect();
        let drawn: BTreeSet<&Owner> = self.proxies.owners().collect();
        let listening = self.listening();
        for port in &self.draft.wanted.ports {
            let number = u16::try_from(port.service_port).ok();
            if let Some(number) = number.filter(|number| held.contains(number)) {
                let owner = Owner {
                    app: port.app.clone(),
                    service_port: port.service_port,
                };
                if listening.contains(&(&owner, number)) || !drawn.contains(&owner) {
                    claims.push((owner, number));
                }
            }
        }
        let mut known = BTreeSet::new();
        claims.retain(|(owner, _)| !self.refused.contains(owner) && known.insert(owner.clone()));
        let warned = |(owner, number): (Owner, u16)| {
            let warning = warning(&owner, number);
            (owner, warning)
        };
        claims.into_iter().map(warned).collect()
    }
}

fn at_any_port(own: &Listener) -> Listener {
    let mut own = own.clone();
    own.at.set_port(0);
    own
}

fn forbidden(owner: &Owner, number: u16) -> Warning {
    let first = listen::first_unprivileged();
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("port {number}, for which HAProxy has no rights when we start it"),
        expected: format!("one from {first} on, or the right to lower ones (CAP_NET_BIND_SERVICE)"),
        effect: "service port left out".to_owned(),
    }
}

fn holder<B: Balancer>(number: u16, host: &Host<'_, B>) -> String {
    let holder = host.balancer.holder(number);
    holder.unwrap_or_else(|| "another process".to_owned())
}

/// Where a service listens on several ports, the first that is held.
fn held<B: Balancer>(owner: &Owner, number: u16, host: &Host<'_, B>) -> Warning {
    let holder = holder(number, host);
    let aside = if u32::from(number) == owner.service_port {
        ""
    } else {
        ", on which it listens as well,"
    };
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("port {number}{aside} is held by {holder}"),
        expected: "a port on which nobody listens".to_owned(),
        effect: "service port left out until it is free".to_owned(),
    }
}
