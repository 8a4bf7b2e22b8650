//! Longer paths of a host that another folder's app has: everybody may name them, and who has the
//! host should know.

use std::collections::BTreeMap;

use super::place::first_of;
use super::{Layout, Remark};
use crate::cluster::AppId;

impl Layout {
    /// What people should know and nobody has to mend.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = self.passing.clone();
        remarks.extend(self.below());
        remarks
    }

    /// One for each app that has places below those of an app of another folder.
    fn below(&self) -> Vec<Remark> {
        let mut all: BTreeMap<(&AppId, &AppId), Vec<&str>> = BTreeMap::new();
        for (place, app) in &self.holders {
            if let Some(above) = self.above(place)
                && above.folder() != app.folder()
            {
                all.entry((app, above)).or_default().push(place);
            }
        }
        let remark = |((app, other), places): ((&AppId, &AppId), Vec<&str>)| Remark {
            app: app.clone(),
            other: other.clone(),
            text: format!(
                "app `{app}`: {}, of a host that app `{other}` of another folder has, {} there",
                first_of(&places),
                if places.len() == 1 { "leads" } else { "lead" }
            ),
        };
        all.into_iter().map(remark).collect()
    }

    /// Who has the same host with the longest path that `place` begins with, or with none.
    fn above(&self, place: &str) -> Option<&AppId> {
        // What is asked of handshakes, and what goes last by its weight, takes nothing.
        if place.starts_with('/') || place.starts_with("tls:") || place.contains(' ') {
            return None;
        }
        let path = place.find('/')?;
        let mut ends = place.char_indices().rev().map(|(at, _)| at);
        ends.by_ref()
            .take_while(|at| *at >= path)
            .find_map(|at| self.holders.get(&place[..at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_paths_of_other_folders_are_gathered_by_their_app() {
        let held = [
            ("v.com", "/v/web"),
            ("v.com/a", "/e/thief"),
            ("v.com/b", "/e/thief"),
            ("v.com/c", "/e/thief"),
            ("v.com/d", "/e/thief"),
            ("v.com/a/deep", "/v/web"),
            ("v.com/own", "/v/own"),
            ("v.com/x by weight -1", "/e/last"),
            ("*.w.com", "/v/web"),
            ("*.w.com/p", "/f/one"),
            ("/a", "/v/web"),
            ("/a/b", "/e/any"),
            ("tls:v.com", "/e/tls"),
            ("u.com/a", "/e/thief"),
        ];
        let held = held.map(|(place, app)| (place.into(), AppId::new(app)));
        let layout = Layout {
            holders: held.into(),
            ..Layout::default()
        };
        let told: Vec<String> = layout.remarks().into_iter().map(|r| r.text).collect();
        assert_eq!(
            told,
            [
                "app `/e/thief`: `v.com/a`, `v.com/b`, `v.com/c` and 1 more, of a host that app \
                 `/v/web` of another folder has, lead there",
                "app `/f/one`: `*.w.com/p`, of a host that app `/v/web` of another folder has, leads \
                 there",
                "app `/v/web`: `v.com/a/deep`, of a host that app `/e/thief` of another folder has, \
                 leads there",
            ]
        );
    }
}
