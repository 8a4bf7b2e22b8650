//! HTTP/2 on port 443.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use reqwest::Method;

use super::{Scene, both};

/// RFC 7541, appendix A.
const GET: u8 = 0x82;
const POST: u8 = 0x83;

#[test]
fn http_2_is_led_by_the_same_rules() {
    let mut scene = Scene::new().with_https();
    let host = ("VHOST", "www.test");
    scene.app("/all", &[host]);
    scene.app("/post", &[host, ("METHOD", "POST,PUT")]);
    scene.app("/wide", &[("VHOST", "*.test"), ("PATH", "/x")]);
    both(&scene, |served| {
        for (method, host, app) in [
            (GET, "www.test", "all"),
            (POST, "www.test", "post"),
            (GET, "other.test", "wide"),
        ] {
            let body = over_http_2(served.scene.https, method, host, "/x");
            assert!(body.starts_with(&format!("{app}\n")), "{host}: {body}");
            assert!(body.contains("/x HTTP/1.1"), "{body}");
        }
        let post = served.http().method(Method::POST);
        assert_eq!(post.get("www.test", "/x").by(), "post");
    });
}

/// Ends with the test, whatever becomes of that.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of an answer over HTTP/2, which TLS agreed on. openssl knows TLS alone: the frames are
/// ours.
fn over_http_2(port: u16, method: u8, host: &str, path: &str) -> String {
    let client = Command::new("openssl")
        .args(["s_client", "-quiet", "-alpn", "h2", "-servername", host])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Client(client);
    let literal = |name: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        [&[name, length], value.as_bytes()].concat()
    };
    let fields = [vec![method, 0x87], literal(0x04, path), literal(0x01, host)].concat();
    let length = u8::try_from(fields.len()).unwrap();
    let mut stdin = client.0.stdin.take().unwrap();
    let request = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // SETTINGS; HEADERS of stream 1, which are all of the request.
        &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
        &[0, 0, length, 1, 5, 0, 0, 0, 1],
        &fields,
    ];
    stdin.write_all(&request.concat()).unwrap();
    stdin.flush().unwrap();
    let mut stdout = client.0.stdout.take().unwrap();
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        stdout.read_exact(&mut head).unwrap();
        let [_, high, low, kind, flags, ..] = head;
        let mut frame = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        stdout.read_exact(&mut frame).unwrap();
        assert_ne!(kind, 7, "HAProxy hangs up");
        // DATA, and whether it is the last.
        if kind == 0 {
            body.extend(frame);
            if flags & 1 == 1 {
                return String::from_utf8(body).unwrap();
            }
        }
    }
}
