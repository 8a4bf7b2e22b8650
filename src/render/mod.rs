//! From sections to text: Tera, the template sets that are compiled in, and files that replace
//! single templates of them.
//!
//! In come `proxy` types, out comes a list of chunks, each with the service port that answers for
//! it, so that a line that HAProxy rejects leads back to its app. A section is rendered once and
//! kept for as long as it is the same.

mod chunk;
mod context;
mod sets;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tera::{Context, Tera};

pub use chunk::{Chunk, Rendered};
pub use context::CONTEXT_VERSION;
pub use sets::{Override, template_names};

use crate::cluster::Warning;
use crate::config::TemplateSet;
use crate::disk::Digest;
use crate::proxy::{Listen, Proxies};

/// Stands for the ready sections while the frame of the file is rendered. Control characters keep
/// it apart from anything that a template or a value could hold.
const SECTIONS: &str = "\u{1}sections\u{1}";

/// The templates of one set, compiled, and what they last made.
pub struct Renderer {
    tera: Tera,
    overrides: Vec<Override>,
    sections: HashMap<String, (Arc<Listen>, Arc<str>)>,
    fingerprint: Digest,
}

impl Renderer {
    /// Compiles the set, with `overrides` in place of templates of the same name.
    ///
    /// # Errors
    /// A template that Tera cannot compile, named with its file and the place in it.
    pub fn new(set: TemplateSet, overrides: &[Override]) -> Result<Self> {
        let mut tera = Tera::new();
        tera.autoescape_on([".cfg", ".map"]);
        tera.set_escape_fn(refuse_control_characters);
        let templates = sets::templates(set, overrides)?;
        let fingerprint = Digest::of(format!("{templates:?}").as_bytes());
        tera.add_raw_templates(templates)
            .map_err(|error| anyhow!("{}", sets::with_file(&error.to_string(), overrides)))
            .context("templates cannot be used")?;
        Ok(Self {
            tera,
            overrides: overrides.to_vec(),
            sections: HashMap::new(),
            fingerprint,
        })
    }

    /// Stands for the templates: two renderers with one fingerprint make the same of the same.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The text of the whole file.
    ///
    /// A section whose template fails is left out with a warning; the others stand.
    ///
    /// # Errors
    /// When the frame of the file itself (`haproxy.cfg`, `header.cfg`) fails, or when no section
    /// can be rendered: then it is the template that is wrong, and no app shall pay for that.
    pub fn render(&mut self, proxies: &Proxies) -> Result<(Rendered, Vec<Warning>)> {
        let frame = self.frame()?;
        let mut warnings = Vec::new();
        let mut sections = Vec::with_capacity(proxies.listens.len());
        let mut kept = HashMap::with_capacity(proxies.listens.len());
        for listen in &proxies.listens {
            match self.section(listen) {
                Ok(text) => {
                    sections.push(Chunk::of(&listen.owner, Arc::clone(&text)));
                    kept.insert(listen.name.clone(), (Arc::clone(listen), text));
                }
                Err(error) if sections.is_empty() && is_last(listen, proxies) => return Err(error),
                Err(error) => warnings.push(left_out(listen, &error)),
            }
        }
        self.sections = kept;
        Ok((Rendered::new(&frame, SECTIONS, &sections), warnings))
    }

    /// What stands in the file whatever the cluster is.
    ///
    /// # Errors
    /// When the frame of the file fails.
    pub fn header(&self) -> Result<String> {
        Ok(self.frame()?.replace(SECTIONS, ""))
    }

    fn frame(&self) -> Result<String> {
        let mut context = Context::new();
        context.insert("context_version", &CONTEXT_VERSION);
        context.insert_value("listens", tera::Value::safe_string(SECTIONS));
        self.tera
            .render("haproxy.cfg", &context)
            .map_err(|error| self.failure(&error))
    }

    fn section(&self, listen: &Arc<Listen>) -> Result<Arc<str>> {
        if let Some((known, text)) = self.sections.get(&listen.name)
            && (Arc::ptr_eq(known, listen) || known == listen)
        {
            return Ok(Arc::clone(text));
        }
        let context = Context::from_serialize(&context::Section::new(listen))
            .map_err(|error| self.failure(&error))?;
        let mut text = self
            .tera
            .render("listen.cfg", &context)
            .map_err(|error| self.failure(&error))?;
        // The next section must not continue the last line of this one.
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text.into())
    }

    fn failure(&self, error: &tera::Error) -> anyhow::Error {
        anyhow!(sets::with_file(&reason(error), &self.overrides))
    }
}

/// Tera puts the cause of a refused value behind a general message.
fn reason(error: &tera::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn is_last(listen: &Arc<Listen>, proxies: &Proxies) -> bool {
    let last = proxies.listens.last();
    last.is_some_and(|last| Arc::ptr_eq(last, listen))
}

/// The second wall behind the checks of `proxy`: no value brings a line break or another control
/// character into the file, whatever template it passes through.
fn refuse_control_characters(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        let shown = text.escape_default();
        return Err(io::Error::other(format!(
            "control character in the value `{shown}`"
        )));
    }
    out.write_all(text.as_bytes())
}

fn left_out(listen: &Listen, error: &anyhow::Error) -> Warning {
    Warning {
        app: Some(listen.owner.app.clone()),
        subject: format!("service port {}", listen.owner.service_port),
        found: format!("template `listen.cfg` fails: {error}"),
        expected: "a section that can be rendered".to_owned(),
        effect: "service port left out".to_owned(),
    }
}

#[cfg(test)]
mod tests;
