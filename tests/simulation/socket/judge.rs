//! What a turn owes: the process has what the file says, and the file what is wanted, as far as nobody
//! has to wait for a reload.

use std::collections::{BTreeMap, BTreeSet};

use haproxy_marathon_bridge::apply::runtime::backends;
use haproxy_marathon_bridge::apply::{FileSet, Outcome};
use haproxy_marathon_bridge::state::Time;

use super::World;
use super::asked::{Kind, MAP};
use super::process::{Process, Server};

impl World {
    /// After a turn in which nothing went wrong.
    pub(super) fn judge(&self, outcome: &Outcome, wanted: &FileSet) -> Result<(), String> {
        let installed = self.haproxy.installed();
        if outcome.is_settled() && installed.as_ref() != Some(wanted) {
            return Err(format!("{outcome:?}, and something else is installed"));
        }
        let Some(installed) = installed else {
            return Ok(());
        };
        let running = self.haproxy.running.borrow();
        let Some(process) = running.as_ref() else {
            return Ok(());
        };
        let silent_since = self.memory.applied.as_ref().and_then(|a| a.silent_since);
        if !process.listens && silent_since != Some(self.time()) {
            return Err(format!("{outcome:?}, and HAProxy does not listen"));
        }
        match outcome {
            Outcome::Unchanged | Outcome::Applied { .. } => {
                self.is_as_installed(process, &installed)
            }
            Outcome::Postponed { .. } => {
                self.is_as_installed(process, &installed)?;
                self.is_followed(process)
            }
            _ => Ok(()),
        }
    }

    /// At the end HAProxy has nothing that the file does not say.
    pub(super) fn is_at_rest(&self) -> Result<(), String> {
        let installed = self.haproxy.installed().ok_or("nothing is installed")?;
        let running = self.haproxy.running.borrow();
        let process = running.as_ref().ok_or("no HAProxy runs")?;
        if installed != self.asked.files(Some(&installed.cfg)) {
            return Err("what is installed is not what is wanted".to_owned());
        }
        self.is_as_installed(process, &installed)?;
        let wanted = backends(&installed.cfg);
        let taken = self.taken();
        for name in wanted.keys().filter(|name| !taken.contains(*name)) {
            let left = self.section(process, name)?;
            let names: BTreeSet<&str> = wanted[name].servers.iter().map(|s| &*s.name).collect();
            if let Some(left) = left.keys().find(|own| !names.contains(own.as_str())) {
                return Err(format!("{name}/{left} was never taken away"));
            }
        }
        Ok(())
    }

    /// As the process knows it, which may be by another name.
    fn section<'p>(
        &self,
        process: &'p Process,
        name: &str,
    ) -> Result<&'p BTreeMap<String, Server>, String> {
        let name = self.known_as(name);
        let backend = process.backends.get(&name);
        let backend = backend.ok_or_else(|| format!("HAProxy has no backend {name}"))?;
        Ok(&backend.servers)
    }

    fn known_as(&self, name: &str) -> String {
        let applied = self.memory.applied.as_ref();
        let stand_in = applied.and_then(|applied| applied.stand_ins.get(name));
        stand_in.map_or(name, String::as_str).to_owned()
    }

    /// Those that stand in for others.
    fn taken(&self) -> BTreeSet<String> {
        let applied = self.memory.applied.iter();
        let all = applied.flat_map(|applied| applied.stand_ins.values());
        all.cloned().collect()
    }

    fn is_as_installed(&self, process: &Process, installed: &FileSet) -> Result<(), String> {
        let taken = self.taken();
        for (name, wanted) in backends(&installed.cfg) {
            if taken.contains(&name) {
                continue;
            }
            let present = self.section(process, &name)?;
            let mut names = BTreeSet::new();
            for server in wanted.servers {
                let said = server.said.map_err(|word| format!("{word} is written"))?;
                let own = present.get(&server.name);
                let own = own.ok_or_else(|| format!("HAProxy has no {name}/{}", server.name))?;
                let place = (said.address.to_string(), said.port);
                // Who rests has no share.
                let is_same = own.place == place
                    && Some(own.id) == said.id
                    && (own.weight == said.weight || said.is_disabled)
                    && if said.is_disabled {
                        own.rests()
                    } else {
                        own.is_ready()
                    };
                if !is_same {
                    return Err(format!("HAProxy has {own:?}, the file {name}: {said:?}"));
                }
                names.insert(server.name);
            }
            let others = present.iter().filter(|(own, _)| !names.contains(*own));
            if let Some((left, _)) = others.into_iter().find(|(_, own)| !own.rests()) {
                return Err(format!("{name}/{left} is in no file, and gets requests"));
            }
        }
        let rows = installed.maps.get(MAP).map(|rows| {
            let row = |row: &str| {
                let (host, name) = row.split_once(' ').unwrap_or_default();
                format!("{host} {}\n", self.known_as(name))
            };
            rows.lines().map(row).collect::<String>()
        });
        if rows.as_ref() != process.maps.values().next() {
            return Err("HAProxy has other rows than its map".to_owned());
        }
        Ok(())
    }

    /// Whatever else waits for a reload, tasks are followed: all where servers can be added, else those
    /// for whom there is a slot; nobody is served who is gone.
    fn is_followed(&self, process: &Process) -> Result<(), String> {
        for name in process.backends.keys() {
            let Some((kind, wanted)) = self.asked.served(name) else {
                continue;
            };
            let servers = process.backends[name].servers.values();
            let ready = servers.filter(|server| server.is_ready());
            let ready: BTreeSet<(String, u16)> = ready.map(|own| own.place.clone()).collect();
            let is_right = match kind {
                Kind::Slots => ready.is_subset(&wanted),
                Kind::Added | Kind::Profiled | Kind::Fixed => ready == wanted,
            };
            if !is_right {
                return Err(format!(
                    "{name} has {ready:?} while it waits, expected {wanted:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether a reload would come too soon after the last, and nothing needs it at once: servers that
    /// cannot be told of would be sent requests when they are gone.
    pub(super) fn may_wait(
        &self,
        before: &FileSet,
        wanted: &FileSet,
        reloaded_at: Option<Time>,
    ) -> bool {
        let apart = self.haproxy.apart;
        let ago = reloaded_at.map(|at| self.time().since(at));
        if ago.is_none_or(|ago| apart <= ago) {
            return false;
        }
        let (before, after) = (backends(&before.cfg), backends(&wanted.cfg));
        before.iter().all(|(name, own)| {
            let kind = self.asked.served(name).map(|(kind, _)| kind);
            kind != Some(Kind::Fixed)
                || after
                    .get(name)
                    .is_some_and(|after| after.servers == own.servers)
        })
    }
}
