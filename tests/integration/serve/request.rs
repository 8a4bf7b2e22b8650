//! A client that shows all of an answer, the certificate too, and follows nothing.

use std::net::SocketAddr;

use reqwest::header::HOST;
use reqwest::tls::TlsInfo;
use reqwest::{Client, Method, redirect};

use crate::host::{SOON, block_on};

/// A request to come.
#[derive(Clone)]
pub(crate) struct Ask {
    target: SocketAddr,
    scheme: &'static str,
    method: Method,
    sni: Option<String>,
    headers: Vec<(String, String)>,
    login: Option<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The one that was presented.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn http(target: SocketAddr) -> Self {
        Self {
            target,
            scheme: "http",
            method: Method::GET,
            sni: None,
            headers: Vec::new(),
            login: None,
        }
    }

    /// The host of the request is also named in the TLS handshake.
    pub(crate) fn https(target: SocketAddr) -> Self {
        Self {
            scheme: "https",
            ..Self::http(target)
        }
    }

    /// Another name in the TLS handshake than in the request.
    pub(crate) fn sni(mut self, host: &str) -> Self {
        self.sni = Some(host.to_owned());
        self
    }

    /// Another method than GET.
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// `Host: HOST`, as it is.
    #[track_caller]
    pub(crate) fn get(&self, host: &str, path: &str) -> Answer {
        self.try_get(host, path)
            .unwrap_or_else(|error| panic!("no answer for {host}{path}: {error:?}"))
    }

    /// The same, where no answer is one too.
    pub(crate) fn try_get(&self, host: &str, path: &str) -> reqwest::Result<Answer> {
        block_on(async {
            let name = self.sni.as_deref().unwrap_or(host);
            let name = name.split(':').next().unwrap_or(name);
            let mut client = Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .resolve(&name.to_ascii_lowercase(), self.target)
                .tls_certs_only([])
                .timeout(SOON);
            if self.scheme == "https" {
                client = client.tls_danger_accept_invalid_certs(true).tls_info(true);
            }
            let url = format!("{}://{name}:{}{path}", self.scheme, self.target.port());
            let client = client.build()?;
            let mut request = client.request(self.method.clone(), url).header(HOST, host);
            for (name, value) in &self.headers {
                request = request.header(name, value);
            }
            if let Some((user, password)) = &self.login {
                request = request.basic_auth(user, Some(password));
            }
            let response = request.send().await?;
            let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                    .collect(),
                certificate: response
                    .extensions()
                    .get::<TlsInfo>()
                    .and_then(|tls| tls.peer_certificate().map(<[u8]>::to_vec)),
                body: response.text().await?,
            })
        })
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// Which backend answered, with 200.
    #[track_caller]
    pub(crate) fn by(&self) -> &str {
        assert_eq!(self.status, 200, "{self:#?}");
        self.body.lines().next().unwrap()
    }

    /// The first line that reached the backend.
    pub(crate) fn request_line(&self) -> &str {
        self.body.lines().nth(1).unwrap()
    }

    /// A header that reached the backend, each time it came.
    pub(crate) fn received(&self, name: &str) -> Vec<&str> {
        let lines = self.body.lines().skip(2);
        lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}
