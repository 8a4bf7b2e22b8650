//! Who answers for lines that several apps share: their profile, and the frontend that all have.

use super::plan::Plan;
use crate::apply::CheckMessage;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::Service;
use crate::render;

impl Plan {
    /// Everybody whom a message about a line of nobody's own is about: all who take a profile say what
    /// stands there, and whose certificate it is knows its file.
    pub(super) fn blamed_in_common(&self, message: &CheckMessage) -> Vec<&Owner> {
        let Some(line) = message.line else {
            return Vec::new();
        };
        if let Some(profile) = render::profile_at(&self.files.cfg, line) {
            let chunks = self.rendered.chunks().iter();
            let takers = chunks.filter(|chunk| render::takes_profile(&chunk.text, profile));
            return takers.filter_map(|chunk| chunk.owner.as_ref()).collect();
        }
        // Who names the very file, as written, goes first: one beside that of another app, in its folder,
        // or with a slash behind it, is no fault of that app.
        let words = &message.text;
        let exact = self.naming(|path| words.contains(&format!("'{path}'")));
        if !exact.is_empty() {
            return exact;
        }
        let is_within = |end: char| {
            move |path: &str| words.contains(&format!("'{}{end}", path.trim_end_matches('/')))
        };
        let (in_folder, beside) = (is_within('/'), is_within('.'));
        self.naming(|path| in_folder(path) || beside(path))
    }

    /// Who has a certificate whose path is meant.
    fn naming(&self, is_meant: impl Fn(&str) -> bool) -> Vec<&Owner> {
        let services = self.proxies.services().iter();
        let named = services.filter(|service| paths(service).any(&is_meant));
        named.map(|service| &service.owner).collect()
    }
}

/// The files and folders with certificates of a service, as its label has them.
fn paths(service: &Service) -> impl Iterator<Item = &str> {
    let texts = service.options.ssl_cert.iter();
    let paths = texts.flat_map(|text| text.split(" crt "));
    paths.filter(|path| !path.trim_end_matches('/').is_empty())
}
