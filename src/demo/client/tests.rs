use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::demo::backend::Instance;

const SOON: Duration = Duration::from_secs(10);

/// A listener that reads a bit of each connection, writes `answer` and hangs up as it is told.
async fn misbehaving(answer: &'static [u8], end: End) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
                match end {
                    End::Close => (),
                    End::Reset => stream.set_zero_linger().unwrap(),
                    End::Wait => drop(stream.read(&mut request).await),
                }
            });
        }
    });
    address
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
    Wait,
}

#[tokio::test]
async fn every_way_to_fail_has_its_own_name() {
    let http: &[(&'static [u8], End, Failure)] = &[
        (b"", End::Close, Failure::Eof),
        (b"", End::Reset, Failure::Reset),
        (b"", End::Wait, Failure::Timeout),
        (b"HTTP/1.1 200 OK\r\nX-Inst", End::Close, Failure::Eof),
        (
            b"HTTP/1.1 200 OK\r\nX-Instance: a\r\nContent-Length: 9\r\n\r\nabc",
            End::Close,
            Failure::Eof,
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-Instance: a\r\nContent-Length: 9\r\n\r\nabc",
            End::Wait,
            Failure::Timeout,
        ),
        (
            b"HTTP/1.0 503 Service Unavailable\r\n\r\nno server",
            End::Close,
            Failure::Status(503),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            End::Close,
            Failure::Malformed,
        ),
        (b"SSH-2.0-x\r\n\r\n", End::Close, Failure::Malformed),
    ];
    for (answer, end, failure) in http {
        let target = misbehaving(answer, *end).await;
        let requests = Requests::http(target).timeout(Duration::from_millis(200));
        let client = requests.start().unwrap();
        client.failed(SOON).await.unwrap();
        let report = client.stop().await;
        assert_eq!(
            report.failures.keys().collect::<Vec<_>>(),
            [failure],
            "{answer:?} {end:?}"
        );
        assert_eq!(report.answered, 0);
        assert_eq!(report.incidents[0].failure, *failure);
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_no_answer() {
    let target = misbehaving(b"half", End::Close).await;
    let client = Requests::tcp(target).start().unwrap();
    client.failed(SOON).await.unwrap();
    let report = client.stop().await;
    assert!(report.failures.contains_key(&Failure::Eof), "{report}");
    assert_eq!(report.answered, 0);
}

#[tokio::test]
async fn a_closed_port_is_refused_and_not_hammered() {
    let backend = Instance::http("web-1").warm_up().unwrap();
    let began = Instant::now();
    let client = Requests::http(backend.address()).start().unwrap();
    client.failed(SOON).await.unwrap();
    let report = client.stop().await;
    let most = began.elapsed().as_millis() / PAUSE_AFTER_FAILURE.as_millis() + 1;
    assert!(u128::from(report.failed()) <= most, "{report}");
    assert!(report.failures.contains_key(&Failure::Refused), "{report}");
}

#[tokio::test]
async fn answers_are_counted_by_instance() {
    let web = Instance::http("web-1").start().unwrap();
    for requests in [
        Requests::http(web.address()),
        Requests::http(web.address()).keep_alive(),
    ] {
        let client = requests.workers(3).start().unwrap();
        client.answered_more(20, SOON).await.unwrap();
        client.answered_by_each(&["web-1"], SOON).await.unwrap();
        let report = client.stop().await;
        assert_eq!(report.failed(), 0, "{report}");
        assert_eq!(report.answers_of("web-1"), report.answered);
        assert!(report.latency.max() > Duration::ZERO);
    }
    let tcp = Instance::tcp("db-1").start().unwrap();
    let client = Requests::tcp(tcp.address()).start().unwrap();
    client.answered_by_each(&["db-1"], SOON).await.unwrap();
    let missing = client.answered_by_each(&["db-1", "db-2"], Duration::from_millis(50));
    let missing = missing.await.unwrap_err().to_string();
    assert!(missing.contains("db-2"), "{missing}");
    assert_eq!(client.stop().await.failed(), 0);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_no_failure() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Instance: a\r\nContent-Length: 0\r\n\r\n";
    let target = misbehaving(answer, End::Close).await;
    let client = Requests::http(target).keep_alive().start().unwrap();
    client.answered_more(5, SOON).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    assert!(report.stale >= 4, "{}", report.stale);
}

#[tokio::test]
async fn a_cookie_is_shown_as_it_was_set_last() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = listener.local_addr().unwrap();
    // It names itself by the cookie that it was shown, and sets the next.
    let answers = tokio::spawn(async move {
        let mut shown = Vec::new();
        while shown.len() < 3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let line = request.lines().find(|line| line.starts_with("Cookie: "));
            shown.push(line.unwrap_or_default().to_owned());
            let (now, next) = (shown.len() / 2, shown.len());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Instance: {now}\r\nSet-Cookie: id={next}; path=/\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        shown
    });
    let client = Requests::http(target).keep_cookies().start().unwrap();
    let shown = answers.await.unwrap();
    assert_eq!(shown, ["", "Cookie: id=1", "Cookie: id=2"]);
    let report = client.stop().await;
    // Instances 0, 1 and 1.
    assert_eq!((report.answered, report.moved), (3, 1), "{report}");
}

#[tokio::test]
async fn a_pause_bounds_the_rate() {
    let web = Instance::http("web-1").start().unwrap();
    let pause = Duration::from_millis(20);
    let began = Instant::now();
    let client = Requests::http(web.address()).pause(pause).start().unwrap();
    client.answered_more(5, SOON).await.unwrap();
    assert!(began.elapsed() >= pause * 4);
    let report = client.stop().await;
    let most = began.elapsed().as_millis() / pause.as_millis() + 1;
    assert!(u128::from(report.answered) <= most, "{report}");
}
