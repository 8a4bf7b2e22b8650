use std::collections::HashMap;
use std::sync::Arc;

use super::{App, AppId};

/// All apps of a cluster at one moment, in Marathon's order.
///
/// The positions are kept because they reach the output of predecessors that have to be matched.
/// Apps are shared, so that an unchanged one is recognised by its pointer.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    apps: Vec<Arc<App>>,
    positions: HashMap<AppId, usize>,
}

impl Snapshot {
    /// Of two apps with one id the later is kept, at the place of the first.
    #[must_use]
    pub fn new(apps: Vec<App>) -> Self {
        let mut snapshot = Self {
            apps: Vec::with_capacity(apps.len()),
            positions: HashMap::with_capacity(apps.len()),
        };
        for app in apps {
            snapshot.replace(app);
        }
        snapshot
    }

    /// Puts an app in the place of its predecessor, or at the end.
    pub fn replace(&mut self, app: App) {
        match self.positions.get(&app.id) {
            Some(&position) => self.apps[position] = Arc::new(app),
            None => {
                self.positions.insert(app.id.clone(), self.apps.len());
                self.apps.push(Arc::new(app));
            }
        }
    }

    /// Takes an app out; `false` where there was none.
    pub fn remove(&mut self, id: &AppId) -> bool {
        let Some(position) = self.positions.remove(id) else {
            return false;
        };
        self.apps.remove(position);
        for later in self
            .positions
            .values_mut()
            .filter(|later| **later > position)
        {
            *later -= 1;
        }
        true
    }

    /// Apps in Marathon's order.
    #[must_use]
    pub fn apps(&self) -> &[Arc<App>] {
        &self.apps
    }

    /// The app with this id.
    #[must_use]
    pub fn get(&self, id: &AppId) -> Option<&Arc<App>> {
        self.positions.get(id).map(|&position| &self.apps[position])
    }
}
