//! Tera, set up so that no value can open a line, and its errors in words.

use std::io;

use anyhow::{Context as _, Result, anyhow};
use tera::{Context, Tera};

use super::sets::{self, Override};
use crate::config::TemplateSet;
use crate::disk::Digest;

/// The templates of one set, compiled.
pub(super) struct Engine {
    tera: Tera,
    overrides: Vec<Override>,
    fingerprint: Digest,
}

impl Engine {
    /// Compiles the set, with `overrides` in place of templates of the same name.
    ///
    /// # Errors
    /// A template that Tera cannot compile, named with its file and the place in it.
    pub(super) fn new(set: TemplateSet, overrides: &[Override]) -> Result<Self> {
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
            fingerprint,
        })
    }

    /// Stands for the templates: two engines with one fingerprint make the same of the same.
    pub(super) fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Whether somebody replaced the template of this name.
    pub(super) fn is_replaced(&self, name: &str) -> bool {
        self.overrides.iter().any(|file| file.name == name)
    }

    /// The text of a template.
    ///
    /// # Errors
    /// In Tera's words, with all causes and the file in question.
    pub(super) fn render(&self, name: &str, context: &Context) -> Result<String> {
        self.tera
            .render(name, context)
            .map_err(|error| anyhow!(sets::with_file(&reason(&error), &self.overrides)))
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

/// The second wall behind the checks of `labels` and `proxy`: no value brings a line break or
/// another control character into the file, whatever template it passes through.
fn refuse_control_characters(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        let shown = text.escape_default();
        return Err(io::Error::other(format!(
            "control character in the value `{shown}`"
        )));
    }
    out.write_all(text.as_bytes())
}
