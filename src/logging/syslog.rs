//! Lines to syslog, as RFC 3164 has them on a host's own socket: `<30>name[pid]: text`.
//!
//! Without a time: the receiver has a clock, and knows the time zone that its files are in. Every
//! datagram names the socket anew, so that a syslog that was restarted is found again.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::severity;

/// Set for a program whose standard output and error are sent to syslog line by line, so that its
/// lines need no time of their own.
pub const LOGGED: &str = "HAPROXY_MARATHON_BRIDGE_LOGGED";

/// Bytes of a message; what is longer goes on in the next. The daemons in use take 8192 (RFC 3164
/// demands 1024) with the head.
const LONGEST: usize = 8000;

/// A syslog that is that far behind gets no more of this run: the work must not wait for the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the socket is on most systems, and on the others.
const USUAL_PLACE: &str = "/dev/log";
const OTHER_PLACE: &str = "/var/run/syslog";

/// Facilities.
const USER: u8 = 1;
const DAEMON: u8 = 3;

/// What a message is about and how bad it is, as the number before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority(u8);

impl Priority {
    /// `user.notice`.
    pub const USER_NOTICE: Self = Self(USER << 3 | 5);
    /// `user.info`.
    pub const USER_INFO: Self = Self(USER << 3 | 6);

    fn of(facility: u8, level: Level) -> Self {
        Self(facility << 3 | severity(level))
    }
}

/// A way to the syslog of this host.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    places: Vec<PathBuf>,
    /// Stands before each message: `haproxy-marathon-bridge[17]: `.
    tag: String,
    /// Of what the log says; `say` is told a priority.
    facility: u8,
    /// Whether the same lines go elsewhere too, so that none is lost with it.
    is_second: bool,
    /// Whether it was said that lines go to standard error instead.
    complained: AtomicBool,
    /// Whether it kept us waiting once.
    too_slow: AtomicBool,
}

impl Syslog {
    /// To the socket at `place`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// When this process can have no socket.
    pub fn at(place: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut places = vec![place.to_owned()];
        if place == Path::new(USUAL_PLACE) {
            places.push(OTHER_PLACE.into());
        }
        Ok(Self {
            socket,
            places,
            tag: format!("{}[{}]: ", env!("CARGO_PKG_NAME"), process::id()),
            facility: DAEMON,
            is_second: false,
            complained: AtomicBool::new(false),
            too_slow: AtomicBool::new(false),
        })
    }

    /// To the socket at `place`, as Python's `SysLogHandler` wrote there: the facility is `user`,
    /// and nothing stands before the message, which names its logger. Whoever logs so logs elsewhere
    /// too.
    ///
    /// # Errors
    ///
    /// When this process can have no socket.
    pub(super) fn beside(place: &Path) -> io::Result<Self> {
        Ok(Self {
            tag: String::new(),
            facility: USER,
            is_second: true,
            ..Self::at(place)?
        })
    }

    /// Sends each line of `text`, empty ones excepted. What does not get through goes to standard
    /// error: from there cron mails it.
    pub fn say(&self, priority: Priority, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii_end();
            for piece in pieces(line) {
                if let Err(error) = self.send(priority, piece)
                    && !self.is_second
                {
                    self.fall_back(&error, piece);
                }
            }
        }
    }

    fn send(&self, priority: Priority, text: &[u8]) -> io::Result<()> {
        if self.too_slow.load(Ordering::Relaxed) {
            return Err(ErrorKind::TimedOut.into());
        }
        let mut message = format!("<{}>{}", priority.0, self.tag).into_bytes();
        message.extend_from_slice(text);
        let mut sent = Err(ErrorKind::NotFound.into());
        for place in &self.places {
            sent = self.socket.send_to(&message, place).map(drop);
            match &sent {
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                _ => break,
            }
        }
        if let Err(error) = &sent
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            self.too_slow.store(true, Ordering::Relaxed);
            return Err(ErrorKind::TimedOut.into());
        }
        sent
    }

    fn fall_back(&self, error: &io::Error, line: &[u8]) {
        let mut out = io::stderr().lock();
        if !self.complained.swap(true, Ordering::Relaxed) {
            let place = self.places[0].display();
            let _ = writeln!(
                out,
                "warn: syslog does not answer at `{place}`: {error}; its lines follow here"
            );
        }
        // There is nobody left to be told.
        let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
    }
}

/// `line` in parts of at most [`LONGEST`] bytes that break no character; none of an empty line.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(LONGEST);
        let is_inside = |at: usize| rest.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        for _ in 0..3 {
            end -= usize::from(is_inside(end));
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Message<'a>;

    fn make_writer(&'a self) -> Message<'a> {
        Message(self, Priority::of(self.facility, Level::INFO))
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Message<'a> {
        Message(self, Priority::of(self.facility, *event.level()))
    }
}

/// Takes one event of the log, which is written as a whole.
#[derive(Debug)]
pub struct Message<'a>(&'a Syslog, Priority);

impl Write for Message<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.say(self.1, text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Receiver {
        socket: UnixDatagram,
        folder: tempfile::TempDir,
    }

    impl Receiver {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(folder.path().join("log")).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            Self { socket, folder }
        }

        fn syslog(&self) -> Syslog {
            Syslog::at(&self.folder.path().join("log")).unwrap()
        }

        fn message(&self) -> String {
            let mut buffer = vec![0; 1 << 16];
            let length = self.socket.recv(&mut buffer).unwrap();
            buffer.truncate(length);
            String::from_utf8(buffer).unwrap()
        }
    }

    #[test]
    fn each_line_is_a_message_with_priority_name_and_pid() {
        let receiver = Receiver::new();
        let syslog = receiver.syslog();
        syslog.say(Priority::USER_INFO, b"one\n\ntwo \n");
        syslog.say(Priority::USER_NOTICE, b"three");
        let pid = process::id();
        for want in ["<14>_: one", "<14>_: two", "<13>_: three"] {
            let tag = format!("haproxy-marathon-bridge[{pid}]");
            assert_eq!(receiver.message(), want.replace('_', &tag));
        }
    }

    #[test]
    fn a_level_of_the_log_becomes_a_priority_of_daemons() {
        let receiver = Receiver::new();
        let syslog = receiver.syslog();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(syslog)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("a");
            tracing::warn!("b");
            tracing::info!("c");
            tracing::debug!("d");
        });
        for priority in ["<27>", "<28>", "<30>", "<31>"] {
            let message = receiver.message();
            assert!(message.starts_with(priority), "{message}");
        }
    }

    #[test]
    fn beside_another_log_it_writes_as_python_did_and_is_not_missed() {
        let receiver = Receiver::new();
        let place = receiver.folder.path().join("log");
        let subscriber = tracing_subscriber::fmt()
            .event_format(super::super::python::Python::new(
                "%(name)s: %(message)s",
                "x",
            ))
            .with_writer(Syslog::beside(&place).unwrap())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("a");
            assert_eq!(receiver.message(), "<12>x: a");
            let Receiver { socket, folder } = receiver;
            drop((socket, folder));
            tracing::warn!("nobody listens");
        });
    }

    #[test]
    fn a_long_line_goes_on_in_the_next_message_and_breaks_no_character() {
        let receiver = Receiver::new();
        let line = format!("a{}", "ü".repeat(9000));
        receiver.syslog().say(Priority::USER_INFO, line.as_bytes());
        let mut whole = String::new();
        while whole.len() < line.len() {
            let message = receiver.message();
            assert!(message.len() <= 8192, "{}", message.len());
            whole.push_str(message.split_once(": ").unwrap().1);
        }
        assert_eq!(whole, line);
        let no_text = [0x80; 2 * LONGEST];
        assert_eq!(
            pieces(&no_text).map(<[u8]>::len).sum::<usize>(),
            no_text.len()
        );
    }

    #[test]
    fn a_syslog_that_was_restarted_is_found_again() {
        let receiver = Receiver::new();
        let syslog = receiver.syslog();
        syslog.say(Priority::USER_INFO, b"before");
        receiver.message();
        let Receiver { socket, folder } = receiver;
        drop(socket);
        std::fs::remove_file(folder.path().join("log")).unwrap();
        assert!(syslog.send(Priority::USER_INFO, b"lost").is_err());
        let socket = UnixDatagram::bind(folder.path().join("log")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        syslog.say(Priority::USER_INFO, b"after");
        assert!(Receiver { socket, folder }.message().ends_with("after"));
    }

    #[test]
    fn a_syslog_that_does_not_read_holds_nobody_up_for_long() {
        let receiver = Receiver::new();
        let syslog = receiver.syslog();
        let began = std::time::Instant::now();
        let mut refused = 0;
        for _ in 0..10_000 {
            refused += u32::from(syslog.send(Priority::USER_INFO, b"x").is_err());
        }
        assert!(refused > 0);
        assert!(began.elapsed() < 5 * PATIENCE, "{:?}", began.elapsed());
    }
}
