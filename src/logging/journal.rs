//! Entries with fields to journald, in its native protocol: a datagram of `NAME=value` lines, where
//! a value of several lines stands with its length instead
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::severity;

/// The work must not wait for the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// The journal of this host.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    place: PathBuf,
}

impl Journal {
    /// At its socket `place`.
    pub(super) fn at(place: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            place: place.to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::default();
        entry.put("PRIORITY", &severity(*event.metadata().level()).to_string());
        entry.put("SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
        entry.put("SYSLOG_PID", &process::id().to_string());
        event.record(&mut entry);
        if let Err(error) = self.socket.send_to(&entry.bytes, &self.place) {
            let level = event.metadata().level().as_str().to_ascii_lowercase();
            eprintln!("{level}: {} (journald: {error})", entry.message);
        }
    }
}

#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
    message: String,
}

impl Entry {
    fn put(&mut self, name: &str, value: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            let length = value.len() as u64;
            self.bytes.extend_from_slice(&length.to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            self.put("MESSAGE", value);
            return;
        }
        // Behind a prefix, so that none is taken for a field that means something to the journal.
        let name: String = field
            .name()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        self.put(&format!("HMB_{name}"), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;
    use crate::logging::subscriber;

    #[test]
    fn an_entry_has_priority_sentence_and_fields_and_values_of_several_lines() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("socket");
        let socket = UnixDatagram::bind(&place).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let journal = Box::new(Journal::at(&place).unwrap());
        let subscriber = subscriber(LogLevel::Info, vec![journal]);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not asked for");
            tracing::warn!(app = "/a", service.port = 80, "one\ntwo");
        });
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        let pid = process::id();
        let mut want = format!(
            "PRIORITY=4\nSYSLOG_IDENTIFIER=haproxy-marathon-bridge\nSYSLOG_PID={pid}\nMESSAGE\n"
        )
        .into_bytes();
        want.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0]);
        want.extend_from_slice(b"one\ntwo\nHMB_APP=/a\nHMB_SERVICE_PORT=80\n");
        assert_eq!(
            String::from_utf8_lossy(&buffer[..length]),
            String::from_utf8_lossy(&want)
        );
    }
}
