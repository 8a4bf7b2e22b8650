//! One app, where an event said that it may have changed.

use tokio::time::timeout;

use super::{Client, body, nodes, saved_text};
use crate::cluster::{App, AppId, Warning};
use crate::marathon::{Address, Failure, Fault, FetchError, WrongBody, is_askable};

/// One app as it is now.
#[derive(Clone, Debug)]
pub struct AppAnswer {
    /// `None` where there is no such app, and where it was left out, of which `warnings` tell.
    pub app: Option<App>,
    /// What of it was left out, and why.
    pub warnings: Vec<Warning>,
    /// The address that gave it, as shown to people.
    pub from: String,
}

impl Client {
    /// Asks for one app and its tasks. Only Marathon's own word counts for the absence of an app.
    ///
    /// # Errors
    /// When no address gave a usable answer.
    pub async fn app(&mut self, id: &AppId) -> Result<AppAnswer, FetchError> {
        let mut failures = Vec::new();
        for index in self.order() {
            let address = &self.addresses[index];
            let limit = self.fetcher.fetch_timeout();
            let answer = timeout(limit, self.ask_for_app(address, id)).await;
            let from = address.to_string();
            match answer.unwrap_or(Err(Fault::TooSlow(limit))) {
                Ok((app, warnings, bytes)) => {
                    self.answered(index, &failures);
                    self.fetched.got_single(bytes);
                    return Ok(AppAnswer {
                        app,
                        warnings,
                        from,
                    });
                }
                Err(fault) => failures.push(Failure {
                    address: from,
                    fault,
                }),
            }
        }
        self.fetched.got_nothing();
        Err(FetchError { failures })
    }

    /// With the bytes of the answer.
    async fn ask_for_app(
        &self,
        address: &Address,
        id: &AppId,
    ) -> Result<(Option<App>, Vec<Warning>, usize), Fault> {
        match address {
            Address::Node(_) if !is_askable(id.as_str()) => {
                Err(Fault::WrongBody(WrongBody::WrongForm {
                    found: format!("the id `{}`", id.as_str().escape_debug()),
                    expected: "one that an address can name",
                }))
            }
            Address::Node(node) => {
                let others = nodes(&self.addresses);
                match self.fetcher.app(node, others, id).await? {
                    None => Ok((None, Vec::new(), 0)),
                    Some(body) => {
                        let (app, warnings) = one(&body, id).map_err(Fault::WrongBody)?;
                        Ok((app, warnings, body.len()))
                    }
                }
            }
            Address::File(path) => {
                let body = saved_text(path, self.fetcher.max_body())?;
                let (apps, mut warnings) = body::apps(&body).map_err(Fault::WrongBody)?;
                warnings.retain(|warning| warning.app.as_ref() == Some(id));
                let app = apps.into_iter().rfind(|app| app.id == *id);
                Ok((app, warnings, body.len()))
            }
        }
    }
}

/// Another app than the one that was asked for is no answer.
fn one(text: &str, id: &AppId) -> Result<(Option<App>, Vec<Warning>), WrongBody> {
    let (app, warnings) = body::app(text)?;
    match app {
        Some(app) if app.id != *id => Err(WrongBody::WrongForm {
            found: format!("the app `{}`", app.id),
            expected: "the app that was asked for",
        }),
        app => Ok((app, warnings)),
    }
}
