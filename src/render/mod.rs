//! From sections to text: Tera, the template sets that are compiled in, files that replace single
//! templates of them, and the texts that app owners put in the place of marathon-lb's.
//!
//! In come `proxy` types, out comes a list of chunks, each with the service port that answers for
//! it, so that a line that HAProxy rejects leads back to its app. A section is rendered once and
//! kept for as long as it is the same.

mod bridge;
mod chunk;
mod context;
mod engine;
mod fragments;
pub mod format;
mod marathon_lb;
mod native;
mod profiles;
mod reach;
mod sets;
mod shape;
mod values;
mod within;

use std::sync::Arc;

use anyhow::Result;

pub use chunk::{Chunk, Rendered};
pub use context::CONTEXT_VERSION;
pub use fragments::{Origin, Replacement};
pub use profiles::{profile_at, takes_profile};
pub use sets::{Override, template_names};

use crate::cluster::Warning;
use crate::config::TemplateSet;
use crate::disk::Digest;
use crate::haproxy::{Dialect, Version};
use crate::labels::Template;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::Layout;
use crate::proxy::{Owner, Proxies};

/// All that reaches the text beside the cluster.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Site {
    /// What is rendered.
    pub set: TemplateSet,
    /// Files of `--template-dir`.
    pub overrides: Vec<Override>,
    /// Texts that replace marathon-lb's for the whole file; of two for one template the last
    /// counts.
    pub replacements: Vec<Replacement>,
    /// Sections that stand at the end of the native set's file.
    pub extra: Vec<Extra>,
    /// What the host's HAProxy understands.
    pub dialect: Dialect,
    /// `option` lines of the default HEAD, sorted, each once.
    pub default_options: Vec<String>,
    /// Where a watcher answers for the pages of the default HEAD: beside HAProxy's own socket. Empty where
    /// the native one is to lead there not at all.
    pub sidecar_socket: String,
    /// Whether the HEAD of a predecessor's set lets HAProxy be told of servers; the native one always
    /// does.
    pub runtime_api: bool,
    /// Whether the native set has slots for servers to come.
    pub has_slots: bool,
    /// Whether services to which ports 80 and 443 lead have no frontend of their own, in the native set.
    pub leads_by_name: bool,
    /// How many backends each profile has to spare, where HAProxy cannot add any, in the native set.
    pub spare_backends: usize,
    /// The folder of the maps, as the file names it.
    pub haproxy_dir: String,
    /// Whether a service is left out whose owner's words leave their place.
    pub judges: bool,
    /// Whether the same goes for texts of owners that reach beyond their service: for files and sockets
    /// of the host, and for what all services share.
    pub confines_texts: bool,
}

/// A file whose sections stand in ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its path, told in a comment.
    pub file: String,
    /// As it is.
    pub text: String,
}

impl Site {
    /// A set as it is, where nobody says anything.
    #[must_use]
    pub fn new(set: TemplateSet, dialect: Dialect) -> Self {
        Self {
            set,
            overrides: Vec::new(),
            replacements: Vec::new(),
            extra: Vec::new(),
            dialect,
            default_options: ["dontlognull", "http-server-close", "redispatch"]
                .map(str::to_owned)
                .into(),
            sidecar_socket: "/var/run/haproxy/marathon-bridge.sock".to_owned(),
            runtime_api: false,
            has_slots: false,
            leads_by_name: false,
            spare_backends: 0,
            haproxy_dir: "/etc/haproxy".to_owned(),
            judges: true,
            confines_texts: false,
        }
    }
}

/// What each of marathon-lb's templates says when nobody replaced it, in the language of
/// replacements.
///
/// # Errors
/// A template that cannot be rendered.
pub fn default_texts(site: &Site) -> Result<Vec<(Template, String)>> {
    let engine = engine::Engine::new(site.set, &site.overrides)?;
    let dialect = context::DialectContext::new(site);
    let text = |&template: &Template| {
        Ok((
            template,
            fragments::default_text(&engine, &dialect, template)?,
        ))
    };
    Template::ALL.iter().map(text).collect()
}

/// The templates of one set, compiled, and what they last made.
pub struct Renderer {
    set: Set,
    fingerprint: Digest,
    version: Version,
}

enum Set {
    Bridge(Box<bridge::Bridge>),
    MarathonLb(Box<marathon_lb::MarathonLb>),
    Native(Box<native::Native>),
}

/// A file, and the service ports that are missing from it because their texts cannot be written.
#[derive(Debug)]
pub struct Output {
    /// The file.
    pub rendered: Rendered,
    /// Whoever has to be taken out: where others' rules depend on theirs, the file is not whole
    /// before it is arranged anew without them.
    pub failed: Vec<Failed>,
    /// What is in the file in another form than its owner wanted.
    pub warnings: Vec<Warning>,
}

/// What one text of a service was and is.
pub struct Resupplied {
    /// As [`Chunk::text`] has it.
    pub before: Arc<str>,
    /// Whole lines.
    pub after: Arc<str>,
}

/// A service port whose text cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Whose it is.
    pub owner: Owner,
    /// What of it: a label. `None` where the fault is not its owner's.
    pub part: Option<String>,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl Failed {
    /// For its owner.
    #[must_use]
    pub fn warning(self) -> Warning {
        Warning {
            app: Some(self.owner.app),
            subject: self
                .part
                .unwrap_or_else(|| format!("service port {}", self.owner.service_port)),
            found: self.found,
            expected: self.expected,
            effect: "service port left out".to_owned(),
        }
    }
}

impl Renderer {
    /// Compiles the templates of a site.
    ///
    /// # Errors
    /// A template that cannot be used, named with its file and the place in it.
    pub fn new(site: &Site) -> Result<Self> {
        let engine = engine::Engine::new(site.set, &site.overrides)?;
        let fingerprint = fingerprint(&engine, site);
        let set = match site.set {
            TemplateSet::Bridge => Set::Bridge(Box::new(bridge::Bridge::new(engine))),
            TemplateSet::MarathonLb | TemplateSet::Servicerouter => {
                Set::MarathonLb(Box::new(marathon_lb::MarathonLb::new(engine, site)?))
            }
            TemplateSet::Native => Set::Native(Box::new(native::Native::new(engine, site)?)),
        };
        Ok(Self {
            set,
            fingerprint,
            version: site.dialect.version,
        })
    }

    /// Stands for the templates: two renderers with one fingerprint make the same of the same.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The HAProxy that it writes for.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The text of the whole file.
    ///
    /// # Errors
    /// When what stands for the whole file fails, or a template fails for every service.
    pub fn render(&mut self, proxies: &Proxies) -> Result<Output> {
        match &mut self.set {
            Set::Bridge(bridge) => bridge.render(proxies),
            Set::MarathonLb(marathon_lb) => marathon_lb.render(&proxies.layout),
            Set::Native(native) => match &proxies.native {
                Some(layout) => native.render(layout),
                None => native.render(&Layout::default()),
            },
        }
    }

    /// The text of the backend of `before`, and that of the same service with other servers, which
    /// takes its place in what is kept; `None` where more than its own text would change, or where
    /// somebody's words stand beside a server.
    pub fn with_servers(
        &mut self,
        before: &Arc<Service>,
        after: &Arc<Service>,
    ) -> Option<Resupplied> {
        match &mut self.set {
            Set::Bridge(_) => None,
            Set::MarathonLb(marathon_lb) => marathon_lb.with_servers(before, after),
            Set::Native(native) => native.with_servers(before, after),
        }
    }

    /// What stands in the file whatever the cluster is.
    ///
    /// # Errors
    /// When the frame of the file fails.
    pub fn header(&self) -> Result<String> {
        match &self.set {
            Set::Bridge(bridge) => bridge.header(),
            Set::MarathonLb(marathon_lb) => marathon_lb.header(),
            Set::Native(native) => native.header(),
        }
    }

    /// Whether a process that reads the file can tell which structure it runs, without which it is told
    /// of nothing.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn tells_structure(&self) -> Result<bool> {
        Ok(match &self.set {
            Set::Bridge(_) => false,
            Set::MarathonLb(marathon_lb) => marathon_lb.tells_structure()?,
            Set::Native(native) => native.header()?.contains(fragments::STRUCTURE),
        })
    }
}

fn fingerprint(engine: &engine::Engine, site: &Site) -> Digest {
    let Site {
        dialect,
        replacements,
        default_options,
        sidecar_socket,
        runtime_api,
        has_slots,
        leads_by_name,
        spare_backends,
        haproxy_dir,
        judges,
        extra,
        ..
    } = site;
    let beside = match site.set {
        // Nothing of it reaches this set.
        TemplateSet::Bridge => None,
        TemplateSet::MarathonLb | TemplateSet::Servicerouter | TemplateSet::Native => Some((
            dialect,
            replacements,
            default_options,
            sidecar_socket,
            (runtime_api, has_slots, leads_by_name, spare_backends),
            haproxy_dir,
            judges,
            extra,
        )),
    };
    Digest::of(format!("{:?} {beside:?}", engine.fingerprint()).as_bytes())
}

#[cfg(test)]
mod tests;
