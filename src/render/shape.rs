//! The shape of a section: where its ready texts stand.
//!
//! Our own templates put the same texts into the same order for every service. So Tera reads them
//! once, and the texts of ten thousand services go straight to their places.

use anyhow::Result;
use tera::Context;

use super::context::ServiceContext;
use super::engine::Engine;

/// Stands around a name while the shape is found. Control characters keep it apart from anything
/// that a template could hold.
const MARK: char = '\u{1}';

/// Text of the template and names of ready texts, in turns; text comes first.
pub(super) struct Shape(Vec<String>);

impl Shape {
    /// Of a template that uses its texts and asks for nothing else.
    ///
    /// # Errors
    /// When Tera cannot render it.
    pub(super) fn of<'n>(
        engine: &Engine,
        template: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Self> {
        let marked: Vec<(&str, String)> = names
            .map(|name| (name, format!("{MARK}{name}{MARK}")))
            .collect();
        let marked = marked.iter().map(|(name, text)| (*name, text.as_str()));
        let text = render(engine, template, marked, None)?;
        Ok(Self(text.split(MARK).map(str::to_owned).collect()))
    }

    /// With the texts in their places.
    pub(super) fn filled(&self, texts: &[(&str, String)]) -> String {
        let size = texts.iter().map(|(_, text)| text.len()).sum();
        let mut filled = String::with_capacity(size);
        for (number, piece) in self.0.iter().enumerate() {
            let is_name = number % 2 == 1;
            let named = texts.iter().find(|(name, _)| is_name && name == piece);
            match named {
                Some((_, text)) => filled.push_str(text),
                None => filled.push_str(piece),
            }
        }
        filled
    }
}

/// Renders a section with its ready texts, and with what a template may ask of the service.
///
/// # Errors
/// In Tera's words.
pub(super) fn render<'t>(
    engine: &Engine,
    template: &str,
    texts: impl Iterator<Item = (&'t str, &'t str)>,
    service: Option<&ServiceContext<'_>>,
) -> Result<String> {
    let mut context = Context::new();
    let texts: tera::Map = texts
        .map(|(name, text)| {
            let name = tera::value::Key::from(name.to_owned());
            (name, tera::Value::safe_string(text))
        })
        .collect();
    context.insert_value("text", tera::Value::from(texts));
    if let Some(service) = service {
        context.insert("service", service);
    }
    engine.render(template, &context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TemplateSet;

    /// A template that asked whether a text is empty would have another shape for each answer.
    #[test]
    fn our_templates_have_one_shape_whatever_the_texts_are() {
        let backend = [
            "head",
            "hsts",
            "http_options",
            "proxypass",
            "revproxy",
            "redir",
            "networks_allowed",
            "sticky",
            "health_check",
            "servers",
        ];
        let frontend = ["head", "redirect", "glue"];
        let all = [("backend.cfg", &backend[..]), ("frontend.cfg", &frontend)];
        let engine = Engine::new(TemplateSet::MarathonLb, &[]).unwrap();
        for (template, names) in all {
            let shape = Shape::of(&engine, template, names.iter().copied()).unwrap();
            for given in 0..1 << names.len() {
                let text = |place: usize| match given >> place & 1 {
                    0 => String::new(),
                    _ => format!("\n  {} {{{{ x }}}} & <\n", names[place]),
                };
                let texts: Vec<(&str, String)> = names
                    .iter()
                    .enumerate()
                    .map(|(place, name)| (*name, text(place)))
                    .collect();
                let shown = texts.iter().map(|(name, text)| (*name, text.as_str()));
                let rendered = render(&engine, template, shown, None).unwrap();
                assert_eq!(shape.filled(&texts), rendered, "{template}");
            }
        }
    }
}
