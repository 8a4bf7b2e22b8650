//! The configuration of a watcher, read again while it runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::rc::Rc;

use crate::config::{self, Built, Config, Mistakes, Request, System};

/// Reads it, and knows of which files it was made.
pub(super) struct Reader<'r> {
    request: &'r Request,
    /// Those that a good reading found. That one of them is gone is a mistake; those that were never
    /// there may stay away.
    found: BTreeSet<PathBuf>,
}

/// A reading, and the files that it asked for, be they there or not.
pub(super) struct Reading {
    pub(super) built: Result<Built, Mistakes>,
    pub(super) files: BTreeSet<PathBuf>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(request: &'r Request) -> Self {
        Self {
            request,
            found: BTreeSet::new(),
        }
    }

    /// All options as they are given now. Flags and environment are those of the start.
    pub(super) fn read(&mut self) -> Reading {
        let (asked, found) = (Rc::default(), Rc::default());
        let system = System {
            read: self.recording(&asked, &found),
            ..System::host()
        };
        let built = config::build(self.request, &system);
        drop(system);
        let mut files: BTreeSet<PathBuf> = asked.take();
        match &built {
            Ok(built) => {
                let access = &built.config.marathon;
                let pem = [&access.ca_cert, &access.client_cert, &access.client_key];
                files.extend(pem.into_iter().flatten().cloned());
                self.found = found.take();
            }
            // Whatever it would have come to, what is missing is awaited.
            Err(_) => files.extend(self.found.iter().cloned()),
        }
        Reading { built, files }
    }

    fn recording(
        &self,
        asked: &Rc<RefCell<BTreeSet<PathBuf>>>,
        found: &Rc<RefCell<BTreeSet<PathBuf>>>,
    ) -> Box<config::ReadFile> {
        let (asked, found) = (Rc::clone(asked), Rc::clone(found));
        let known = self.found.clone();
        let System { read, .. } = System::host();
        Box::new(move |path| {
            asked.borrow_mut().insert(path.to_owned());
            match read(path) {
                Ok(text) => {
                    found.borrow_mut().insert(path.to_owned());
                    Ok(text)
                }
                Err(error) if error.kind() == ErrorKind::NotFound && known.contains(path) => {
                    Err(io::Error::other("it was there, and is gone"))
                }
                Err(error) => Err(error),
            }
        })
    }
}

/// Puts back into `new` what a watcher cannot change while it runs; says what that is.
pub(super) fn keep_fixed(new: &mut Config, old: &Config) -> Option<String> {
    let mut kept = Vec::new();
    let mut keep = |option: &str, new: &dyn Display, old: &dyn Display| {
        kept.push(format!("`{option}` (now `{new}`, in use `{old}`)"));
    };
    if new.haproxy.config != old.haproxy.config {
        let (new, old) = (&new.haproxy.config, &old.haproxy.config);
        keep("haproxy-config", &new.display(), &old.display());
    }
    if new.state.dir != old.state.dir {
        let (new, old) = (&new.state.dir, &old.state.dir);
        keep("state-dir", &new.display(), &old.display());
    }
    if new.state.lock_file != old.state.lock_file {
        let shown = |file: &Option<PathBuf>| {
            let file = file.as_ref().map(|file| file.display().to_string());
            file.unwrap_or_else(|| "the usual one".to_owned())
        };
        let (new, old) = (shown(&new.state.lock_file), shown(&old.state.lock_file));
        keep("lock-file", &new, &old);
    }
    if new.watch.admin_socket != old.watch.admin_socket {
        let shown = |socket: &Option<PathBuf>| {
            let socket = socket.as_ref().map(|socket| socket.display().to_string());
            socket.unwrap_or_else(|| "none".to_owned())
        };
        let (new, old) = (
            shown(&new.watch.admin_socket),
            shown(&old.watch.admin_socket),
        );
        keep("admin-socket", &new, &old);
    }
    if format!("{:?}", new.log) != format!("{:?}", old.log) {
        kept.push("what is logged, how and where".to_owned());
    }
    new.haproxy.config.clone_from(&old.haproxy.config);
    new.state.dir.clone_from(&old.state.dir);
    new.state.lock_file.clone_from(&old.state.lock_file);
    new.watch.admin_socket.clone_from(&old.watch.admin_socket);
    new.log = old.log.clone();
    (!kept.is_empty()).then(|| {
        format!(
            "the new options count, but for what cannot change before the next start: {}",
            kept.join(", ")
        )
    })
}
