//! TLS in front of what speaks none, with certificates of an authority that lives as long as its
//! test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Whoever signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// Passes on what it decrypts, or what it encrypts. Dropping it ends it with all its connections.
pub(crate) struct Door {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// In front of `target`, which speaks no TLS. With `clients`, only for whoever shows a certificate
    /// of theirs.
    pub(crate) fn open(
        target: SocketAddr,
        authority: &Authority,
        clients: Option<&Authority>,
    ) -> Self {
        let config = server_config(authority, clients);
        Self::through(move |listener| serve(listener, target, TlsAcceptor::from(config)))
    }

    /// In front of `target`, which speaks TLS and shows a certificate of `authority` for `host`, for
    /// those who speak none.
    pub(crate) fn veil(target: SocketAddr, authority: &Authority, host: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = Arc::new(config.with_no_client_auth());
        Self::through(move |listener| ask(listener, target, TlsConnector::from(config), host))
    }

    fn through<Work: Future<Output = ()>>(
        work: impl FnOnce(std::net::TcpListener) -> Work + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => (),
                    () = work(listener) => (),
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn server_config(authority: &Authority, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let identity = authority.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

async fn serve(listener: std::net::TcpListener, target: SocketAddr, acceptor: TlsAcceptor) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut behind = TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
        });
    }
}

async fn ask(
    listener: std::net::TcpListener,
    target: SocketAddr,
    connector: TlsConnector,
    host: &'static str,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let name = ServerName::try_from(host).unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (connector, name) = (connector.clone(), name.clone());
        tokio::spawn(async move {
            // Whoever is refused behind it is hung up on.
            let Ok(behind) = TcpStream::connect(target).await else {
                return;
            };
            behind.set_nodelay(true).unwrap();
            stream.set_nodelay(true).unwrap();
            if let Ok(mut behind) = connector.connect(name, behind).await {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            }
        });
    }
}
