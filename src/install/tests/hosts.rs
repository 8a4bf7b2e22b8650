//! A host of the mind, which records what is run on it and does the most of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{ReloadMethod, Schedule};
use crate::haproxy::child::Environment;

use crate::install::host::{Found, Host, Look};
use crate::install::{Action, Content, Done, Facts, HAPROXY, Plan, Step, Wish, carry_out, install};

#[derive(Clone, Debug, Default)]
pub(super) struct Mind {
    files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    links: BTreeMap<PathBuf, PathBuf>,
    /// Questions that are answered with yes.
    yes: BTreeSet<String>,
    /// Commands that were run, a line each.
    pub(super) ran: Vec<String>,
    /// Files that were written and removed.
    pub(super) changed: Vec<String>,
    /// What a command that fails begins with.
    pub(super) fails: Option<&'static str>,
}

pub(super) const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";

impl Mind {
    /// With systemd, a cron daemon, and no HAProxy.
    pub(super) fn systemd(os_release: &str) -> Self {
        Self::bare(os_release)
            .with("/run/systemd/system/.", "")
            .with("/usr/sbin/cron", "")
    }

    /// Without anything that starts services.
    pub(super) fn bare(os_release: &str) -> Self {
        Self::default().with("/etc/os-release", os_release)
    }

    pub(super) fn with(mut self, path: &str, text: &str) -> Self {
        self.put(path, text);
        self
    }

    pub(super) fn linked(mut self, path: &str, to: &str) -> Self {
        self.links.insert(path.into(), to.into());
        self
    }

    pub(super) fn put(&mut self, path: &str, text: &str) {
        let file = (text.as_bytes().to_vec(), 0o644);
        self.files.insert(path.into(), file);
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let (content, _) = self.files.get(Path::new(path))?;
        Some(String::from_utf8(content.clone()).unwrap())
    }

    pub(super) fn mode(&self, path: &str) -> u32 {
        self.files[Path::new(path)].1
    }

    pub(super) fn facts(&self) -> Facts {
        Facts::of(
            self,
            false,
            Path::new("/home/joe/program"),
            HAPROXY.as_ref(),
        )
    }

    /// Installs what is wished for.
    pub(super) fn install(&mut self, wish: &Wish) -> (Done, Vec<(String, Step)>) {
        let plan = install(&self.facts(), wish).unwrap();
        self.follow(&plan)
    }

    pub(super) fn follow(&mut self, plan: &Plan) -> (Done, Vec<(String, Step)>) {
        self.ran.clear();
        self.changed.clear();
        let mut steps = Vec::new();
        let done = carry_out(plan, self, &mut |action: &Action, step| {
            if step != Step::Begins {
                steps.push((action.to_string(), step));
            }
        });
        (done, steps)
    }

    fn change(&mut self, path: &Path, what: &str) {
        self.changed.push(format!("{what} {}", path.display()));
    }
}

impl Look for Mind {
    fn file(&self, path: &Path) -> io::Result<Option<Found>> {
        Ok(self.files.get(path).map(|(content, mode)| Found {
            content: content.clone(),
            mode: *mode,
            owner: 0,
        }))
    }

    fn is_there(&self, path: &Path) -> bool {
        let mut all = self.files.keys().chain(self.links.keys());
        all.any(|known| known.starts_with(path))
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        self.links.get(path).cloned()
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let names = self.files.keys().chain(self.links.keys());
        let names = names.filter_map(|path| {
            let first = path.strip_prefix(folder).ok()?.components().next()?;
            Some(first.as_os_str().to_str().unwrap().to_owned())
        });
        let names: BTreeSet<String> = names.collect();
        names.into_iter().collect()
    }

    fn ask(&self, words: &[&str]) -> bool {
        self.yes.contains(&words.join(" "))
    }
}

impl Host for Mind {
    fn write(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<(), String> {
        self.change(path, "write");
        self.files.insert(path.to_owned(), (content.to_vec(), mode));
        Ok(())
    }

    fn make_link(&mut self, path: &Path, to: &Path) -> Result<(), String> {
        self.change(path, "link");
        self.links.insert(path.to_owned(), to.to_owned());
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), String> {
        self.change(path, "remove");
        self.files.remove(path);
        self.links.remove(path);
        Ok(())
    }

    fn remove_folder(&mut self, path: &Path) -> Result<(), String> {
        self.change(path, "remove");
        self.files.retain(|file, _| !file.starts_with(path));
        Ok(())
    }

    fn remove_if_empty(&mut self, _: &Path) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, words: &[&str], _: Environment) -> Result<String, String> {
        let line = words.join(" ");
        self.ran.push(line.clone());
        if self.fails.is_some_and(|fails| line.starts_with(fails)) {
            return Err("exit status: 1\nno such luck".to_owned());
        }
        match words {
            ["systemctl", "enable", "--now", name] => {
                for question in ["is-enabled", "is-active"] {
                    self.yes
                        .insert(format!("systemctl {question} --quiet {name}"));
                }
            }
            ["systemctl", "disable", "--now", name] => {
                self.yes.retain(|question| !question.ends_with(name));
            }
            [.., "haproxy"] if line.contains("install") || line.contains("add") => {
                self.put("/usr/sbin/haproxy", "");
                self.put("/usr/lib/systemd/system/haproxy.service", "");
                self.put("/etc/haproxy/haproxy.cfg", "of the package");
                self.put("/etc/group", "haproxy:x:107:\n");
                self.put("/etc/passwd", "haproxy:x:104:107::/:/bin/false\n");
            }
            _ => (),
        }
        Ok(String::new())
    }
}

/// What people type who name one Marathon.
pub(super) fn wish() -> Wish {
    Wish {
        hosts: vec!["m1:8080".to_owned()],
        options_name_marathons: false,
        schedule: None,
        as_bridge: false,
        haproxy: true,
        program: Content::from("program"),
        config: "/etc/haproxy/haproxy.cfg".into(),
        state_dir: "/var/lib/haproxy-marathon-bridge".into(),
        also_written: Vec::new(),
        installed: [].into(),
        reload: ReloadMethod::Auto,
        extra: None,
    }
}

pub(super) fn by(schedule: Schedule) -> Wish {
    Wish {
        schedule: Some(schedule),
        ..wish()
    }
}
