//! What proves to Marathon who asks: nothing, Basic, or a token, given or got by a login at DC/OS.
//!
//! In come `config::Credentials` and a clock; out goes what a request has to carry. A token is kept
//! as long as it lasts, renewed a little before, and renewed at once when Marathon refuses it.
//! To which hosts it goes is decided by `fetch`.

mod login;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;

use self::login::Account;
use super::Fault;
use super::transport::Transport;
use crate::config::{Credentials, Secret};

/// How long a token lasts that was asked for by a login.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// How long before its end a token is renewed.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);
/// How long a failed login is let alone while the old token is still good.
const PAUSE_WITH_TOKEN: Duration = Duration::from_secs(10);
/// The same without one: the nodes that are asked in a row need not log in one after the other.
const PAUSE_WITHOUT_TOKEN: Duration = Duration::from_secs(1);

/// Where Marathon refuses the tokens of new logins too, the first pause between two of these; the
/// following ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A moment on both clocks of a host.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What others call the time; may jump.
    pub wall: SystemTime,
    /// Only goes forward.
    pub steady: Instant,
}

/// What time it is, as logins see it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The clock of this host.
    #[must_use]
    pub fn host() -> Self {
        Self::new(|| Moment {
            wall: SystemTime::now(),
            steady: Instant::now(),
        })
    }

    /// A clock that goes as `now` says.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

/// Where proofs come from.
pub(super) enum Auth {
    Fixed(Proof),
    Login(Box<Session>),
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Proof {
    Basic { user: Secret, password: Secret },
    Token(HeaderValue),
}

impl Proof {
    /// `token=…`, hidden from whoever prints headers. `None` when it cannot stand in a header.
    fn token(token: &str) -> Option<Self> {
        let mut header = HeaderValue::from_str(&format!("token={token}")).ok()?;
        header.set_sensitive(true);
        Some(Self::Token(header))
    }

    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { user, password } => {
                request.basic_auth(user.expose(), Some(password.expose()))
            }
            Self::Token(header) => request.header(AUTHORIZATION, header.clone()),
        }
    }
}

impl Auth {
    /// Checks all that can be checked without a login.
    ///
    /// # Errors
    /// When a token cannot be sent, or a service account has no RSA key or no address to log in at.
    pub(super) fn new(credentials: &Credentials, clock: Clock) -> anyhow::Result<Option<Self>> {
        Ok(Some(match credentials {
            Credentials::None => return Ok(None),
            Credentials::Basic { user, password } => Self::Fixed(Proof::Basic {
                user: user.clone(),
                password: password.clone(),
            }),
            Credentials::Token(token) => {
                let proof = Proof::token(token.expose()).ok_or_else(|| {
                    anyhow::anyhow!("the token for Marathon: found a control character in it")
                })?;
                Self::Fixed(proof)
            }
            Credentials::Dcos(account) => Self::Login(Box::new(Session {
                account: Account::new(account)?,
                clock,
                held: Mutex::default(),
            })),
        }))
    }

    /// Whether the login needs TLS.
    pub(super) fn is_https(&self) -> bool {
        matches!(self, Self::Login(session) if session.account.is_https())
    }

    /// What the next request has to carry, got by a login where it must be.
    pub(super) async fn proof(&self, transport: &Transport) -> Result<Proof, Fault> {
        match self {
            Self::Fixed(proof) => Ok(proof.clone()),
            Self::Login(session) => session.proof(transport).await,
        }
    }

    /// Marathon took what it was shown.
    pub(super) async fn accepted(&self) {
        if let Self::Login(session) = self {
            session.held.lock().await.pause = Duration::ZERO;
        }
    }

    /// Marathon refused `proof`. Whether another one may be had.
    pub(super) async fn refused(&self, proof: &Proof) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Login(session) => session.refused(proof).await,
        }
    }
}

/// A service account, and the token that its last login gave.
pub(super) struct Session {
    account: Account,
    clock: Clock,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// The last login, if it failed.
    failed: Option<(Instant, Fault)>,
    /// A token that is refused is kept for so long before another login; nothing once one was good.
    pause: Duration,
}

struct Token {
    proof: Proof,
    /// When its login began.
    since: Instant,
}

impl Session {
    async fn proof(&self, transport: &Transport) -> Result<Proof, Fault> {
        // Whoever comes meanwhile waits for this login in place of another.
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let age = |token: &Token| now.steady.saturating_duration_since(token.since);
        let good = held.token.as_ref().filter(|token| age(token) < LIFE);
        if let Some(token) = good
            && age(token) < LIFE.saturating_sub(RENEWED_BEFORE)
        {
            return Ok(token.proof.clone());
        }
        let good = good.map(|token| token.proof.clone());
        let pause = match good {
            Some(_) => PAUSE_WITH_TOKEN,
            None => PAUSE_WITHOUT_TOKEN,
        };
        if let Some((at, fault)) = &held.failed
            && now.steady.saturating_duration_since(*at) < pause
        {
            return good.ok_or_else(|| fault.clone());
        }
        match self.account.login(transport, now.wall).await {
            Ok(proof) => {
                tracing::debug!("the service account logged in, its token lasts for an hour");
                *held = Held {
                    token: Some(Token {
                        proof: proof.clone(),
                        since: now.steady,
                    }),
                    failed: None,
                    pause: held.pause,
                };
                Ok(proof)
            }
            Err(fault) => {
                held.failed = Some((self.clock.now().steady, fault.clone()));
                if let Some(proof) = good {
                    tracing::warn!("{fault}; the token of the last login is used while it lasts");
                    return Ok(proof);
                }
                Err(fault)
            }
        }
    }

    /// Whether another one may be had: somebody else may have got one since, or a login will give one.
    async fn refused(&self, proof: &Proof) -> bool {
        let now = self.clock.now().steady;
        let mut held = self.held.lock().await;
        let since = match (&held.token, proof) {
            (
                Some(Token {
                    proof: Proof::Token(held),
                    since,
                }),
                Proof::Token(refused),
            ) if held == refused => *since,
            _ => return true,
        };
        let age = now.saturating_duration_since(since);
        if age < held.pause {
            return false;
        }
        *held = Held {
            pause: (held.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            ..Held::default()
        };
        true
    }
}
