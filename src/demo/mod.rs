//! A small cluster inside this process: a Marathon, backends that really answer, and a client that
//! counts. The `demo` command shows the program at work with it, and the tests judge the program
//! by it.
//!
//! Nothing comes in but calls; what goes out is HTTP and TCP on 127.0.0.1. Every part runs on a
//! thread of its own, so that neither blocks the program under test nor is blocked by it, and
//! so that dropping a part ends it as a crash would: at once, with all its connections. Every wait
//! has a limit and says what was missing. No module but `run` imports this one.

pub mod backend;
pub mod client;
pub mod marathon;
mod ports;
pub mod story;
mod thread;
mod wait;

pub use ports::free_ports;
pub use wait::Late;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::backend::{Backend, Instance};
    use super::client::{Failure, Requests};
    use super::free_ports;

    const SOON: Duration = Duration::from_secs(10);

    struct Haproxy(Child);

    impl Drop for Haproxy {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// HAProxy in front of `backends`, in the foreground and without retries of its own.
    async fn haproxy(mode: &str, port: u16, backends: &[&Backend]) -> (Haproxy, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("haproxy.cfg");
        let mut file = std::fs::File::create(&path).unwrap();
        write!(
            file,
            "defaults\n  mode {mode}\n  retries 0\n  timeout connect 1s\n  timeout client 5s\n  \
             timeout server 5s\nlisten web\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
        )
        .unwrap();
        for backend in backends {
            writeln!(file, "  server {} {}", backend.name(), backend.address()).unwrap();
        }
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&path)
            .spawn()
            .unwrap();
        let haproxy = Haproxy(child);
        let began = Instant::now();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            assert!(began.elapsed() < SOON, "HAProxy does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (haproxy, dir)
    }

    #[tokio::test]
    async fn every_instance_answers_through_haproxy_and_a_dead_one_shows() {
        for (mode, keep) in [("tcp", false), ("http", false), ("http", true)] {
            let port = free_ports(1).unwrap()[0];
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let web_1 = Instance::http("web-1").start().unwrap();
            let mut web_2 = Instance::http("web-2").start().unwrap();
            let _haproxy = haproxy(mode, port, &[&web_1, &web_2]).await;
            let mut requests = Requests::http(target).workers(2);
            if keep {
                requests = requests.keep_alive();
            }
            let client = requests.start().unwrap();
            let names = [web_1.name(), web_2.name()];
            client.answered_by_each(&names, SOON).await.unwrap();
            client.answered_more(20, SOON).await.unwrap();
            assert_eq!(client.report().failed(), 0, "{mode}: {}", client.report());
            web_2.stop();
            client.failed(SOON).await.unwrap();
            let report = client.stop().await;
            assert!(report.answers_of("web-1") > 0, "{mode}: {report}");
            let seen = report.failures.keys().all(|failure| match mode {
                "http" => matches!(failure, Failure::Status(_)),
                _ => matches!(failure, Failure::Reset | Failure::Eof),
            });
            assert!(seen, "{mode}: {report}");
        }
    }
}
