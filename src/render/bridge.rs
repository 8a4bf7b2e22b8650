//! The bridge set: a header and a `listen` for each app and service port.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use tera::Context;

use super::chunk::{Chunk, Rendered};
use super::context::{self, CONTEXT_VERSION};
use super::engine::Engine;
use super::{Failed, Output};
use crate::proxy::{Listen, Proxies};

/// Stands for the ready sections while the frame of the file is rendered. Control characters keep
/// it apart from anything that a template or a value could hold.
const SECTIONS: &str = "\u{1}sections\u{1}";

/// The set, and what it last made.
pub(super) struct Bridge {
    engine: Engine,
    sections: HashMap<String, (Arc<Listen>, Arc<str>)>,
}

impl Bridge {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            sections: HashMap::new(),
        }
    }

    /// A section whose template fails is left out; the others stand.
    ///
    /// # Errors
    /// When the frame of the file itself fails, or when no section can be rendered: then it is the
    /// template that is wrong, and no app shall pay for that.
    pub(super) fn render(&mut self, proxies: &Proxies) -> Result<Output> {
        let frame = self.frame()?;
        let mut failed = Vec::new();
        let mut sections = Vec::with_capacity(proxies.listens.len());
        let mut kept = HashMap::with_capacity(proxies.listens.len());
        for listen in &proxies.listens {
            match self.section(listen) {
                Ok(text) => {
                    sections.push(Chunk::of(&listen.owner, Arc::clone(&text)));
                    kept.insert(listen.name.clone(), (Arc::clone(listen), text));
                }
                Err(error) if sections.is_empty() && is_last(listen, proxies) => return Err(error),
                Err(error) => failed.push(Failed {
                    owner: listen.owner.clone(),
                    part: None,
                    found: format!("template `listen.cfg` fails: {error}"),
                    expected: "a section that can be rendered".to_owned(),
                }),
            }
        }
        self.sections = kept;
        Ok(Output {
            rendered: Rendered::new(&frame, [(SECTIONS, sections)]),
            failed,
            warnings: Vec::new(),
        })
    }

    /// What stands in the file whatever the cluster is.
    pub(super) fn header(&self) -> Result<String> {
        Ok(self.frame()?.replace(SECTIONS, ""))
    }

    fn frame(&self) -> Result<String> {
        let mut context = Context::new();
        context.insert("context_version", &CONTEXT_VERSION);
        context.insert_value("listens", tera::Value::safe_string(SECTIONS));
        self.engine.render("haproxy.cfg", &context)
    }

    fn section(&self, listen: &Arc<Listen>) -> Result<Arc<str>> {
        if let Some((known, text)) = self.sections.get(&listen.name)
            && (Arc::ptr_eq(known, listen) || known == listen)
        {
            return Ok(Arc::clone(text));
        }
        let context = Context::from_serialize(&context::Section::new(listen))?;
        let mut text = self.engine.render("listen.cfg", &context)?;
        // The next section must not continue the last line of this one.
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text.into())
    }
}

fn is_last(listen: &Arc<Listen>, proxies: &Proxies) -> bool {
    let last = proxies.listens.last();
    last.is_some_and(|last| Arc::ptr_eq(last, listen))
}
