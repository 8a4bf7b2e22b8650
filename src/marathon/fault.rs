//! What can go wrong when Marathon is asked, in words for whoever has to mend it.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use super::WrongBody;
use crate::logging::shown;

/// Why one address gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection: name, route, port or TLS.
    Unreachable(String),
    /// Connected, or trying to, and nothing came for so long.
    Silent(Duration),
    /// Something came all the time, but the whole was not there after so long.
    TooSlow(Duration),
    /// A status that is neither 200 nor a redirect that can be followed.
    Status {
        /// As received.
        status: StatusCode,
        /// What the request carried.
        sent: Sent,
    },
    /// Marathon takes no address to send its events to.
    NoCallbacks(StatusCode),
    /// Marathon was told an address to send its events to, and does not know it any more.
    Forgotten,
    /// No token could be got for the question.
    Login {
        /// Where, as shown to people.
        endpoint: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// A login that was answered without a token.
    NoToken,
    /// A redirect that leads nowhere.
    Redirect(String),
    /// A node that sent on to another, which failed.
    SentOn {
        /// As shown to people.
        to: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// The body ended too early, or could not be decompressed.
    BrokeOff(String),
    /// More than so many bytes.
    TooLarge(u64),
    /// A body of nothing, as from a master that has not loaded its state yet.
    Empty,
    /// Something else than was asked for.
    WrongType {
        /// The media type.
        found: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// Bytes that are no text.
    NotUtf8,
    /// Text that is no answer.
    WrongBody(WrongBody),
    /// The file that stands in for Marathon could not be read.
    File(String),
    /// A stream of events that came to its end, in good order.
    StreamEnded,
    /// An event that began to come so long ago is not complete.
    StuckEvent(Duration),
}

/// What a request carried to prove who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// There was nothing to carry.
    Nothing,
    /// Credentials, of whatever kind.
    Credentials,
    /// Nothing, since it was sent on to a host that nobody named, or away from TLS.
    Withheld,
    /// What a service account signed, to log in.
    Account,
}

impl Sent {
    /// What to do where it did not do.
    const fn advice(self) -> &'static str {
        match self {
            Self::Nothing => {
                "credentials are missing, expected them from --auth-credentials-file, \
                 --auth-token-file, --dcos-auth-credentials-file or the address; in marathon-lb's \
                 command line from --marathon-auth-credential-file, --auth-credentials or \
                 --dcos-auth-credentials"
            }
            Self::Credentials => {
                "the credentials were refused, expected those of somebody who may see all apps"
            }
            Self::Withheld => {
                "no credentials were sent after a redirect to a host that was not given, or away \
                 from TLS; expected the address of the leader as another --marathon"
            }
            Self::Account => {
                "the service account was refused, expected the uid and key of one that exists"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "no connection ({reason})"),
            Self::Silent(limit) => write!(f, "nothing came for {}", shown(*limit)),
            Self::TooSlow(limit) => {
                write!(f, "the answer was not complete after {}", shown(*limit))
            }
            Self::Status { status, sent } => {
                write!(f, "found status {status}, expected 200 OK")?;
                match status.as_u16() {
                    401 | 403 => write!(f, ": {}", sent.advice()),
                    _ => Ok(()),
                }
            }
            Self::NoCallbacks(status) => write!(
                f,
                "found status {status} for the address of --callback-url, expected 200 OK: \
                 Marathon takes one up to 1.4, where it runs with --event_subscriber \
                 http_callback; without --callback-url its stream of events is followed"
            ),
            Self::Forgotten => {
                f.write_str("it forgot the address of --callback-url, to which it sent its events")
            }
            Self::Login { endpoint, fault } => write!(f, "the login at `{endpoint}`: {fault}"),
            Self::SentOn { to, fault } => write!(f, "it sends on to `{to}`: {fault}"),
            Self::NoToken => f.write_str(
                "found neither the cookie `dcos-acs-auth-cookie` nor a `token`, expected one",
            ),
            Self::BrokeOff(reason) => write!(f, "the answer broke off ({reason})"),
            Self::TooLarge(limit) => write!(f, "the answer has more than {limit} bytes"),
            Self::Empty => f.write_str("the answer is empty"),
            Self::WrongType { found, expected } => {
                write!(f, "found {}, expected {expected}", found.escape_debug())
            }
            Self::NotUtf8 => f.write_str("the answer is no UTF-8 text"),
            Self::WrongBody(wrong) => wrong.fmt(f),
            Self::Redirect(reason) | Self::File(reason) => f.write_str(reason),
            Self::StreamEnded => f.write_str("the stream of events ended"),
            Self::StuckEvent(limit) => {
                write!(f, "an event was not complete after {}", shown(*limit))
            }
        }
    }
}

/// An address that failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As shown to people, without credentials.
    pub address: String,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.address, self.fault)
    }
}

/// No address gave a usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// One for each address, in the order in which they were asked.
    pub failures: Vec<Failure>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marathon gave no usable answer")?;
        let mut between = ": ";
        for failure in &self.failures {
            write!(f, "{between}{failure}")?;
            between = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for FetchError {}
