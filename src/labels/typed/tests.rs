use super::*;
use crate::cluster::AppId;
use crate::config::Values;
use crate::labels::{Settings, parse};

/// What a label is read as, in its own words, or the part that is wrong.
fn read<'t>(name: &str, text: &'t str) -> Result<String, &'t str> {
    let mut options = ServiceOptions::default();
    set(&mut options, name, text).map_err(|Wrong(part)| part)?;
    let texts = [
        options.vhost,
        options.path,
        options.mode,
        options.balance,
        options.port.map(|port| port.to_string().into()),
        options.bind_addr,
        options.bind_options,
        options.ssl_cert,
        options.proxypass_path,
        options.revproxy_path,
        options.redir,
        options.auth.map(|auth| format!("{auth:?}").into()),
        (options.weight != 0).then(|| options.weight.to_string().into()),
        options
            .healthcheck_port_index
            .map(|index| index.to_string().into()),
    ];
    let said: Vec<Box<str>> = texts.into_iter().flatten().collect();
    Ok([said, options.networks_allowed].concat().join("|"))
}

/// Rows: a label, a text, and what it is read as; `Err` is the part that is told.
#[track_caller]
fn reads(name: &str, rows: &[(&'static str, Result<&str, &str>)]) {
    for (text, want) in rows {
        let got = read(name, text);
        assert_eq!(got.as_deref().map_err(|part| *part), *want, "{name}={text}");
    }
}

#[test]
fn hosts() {
    reads(
        "VHOST",
        &[
            ("Web.Example.COM", Ok("web.example.com")),
            ("a.test, b.test\t,c", Ok("a.test,b.test,c")),
            ("*.example.com", Ok("*.example.com")),
            ("my_app-x.test:8080", Ok("my_app-x.test:8080")),
            ("10.0.0.1:80", Ok("10.0.0.1:80")),
            ("[2001:db8::1]:443", Ok("[2001:db8::1]:443")),
            ("2001:DB8::1", Ok("2001:db8::1")),
            ("", Ok("")),
            ("  ", Ok("")),
            ("a } or { always_true", Err("a } or { always_true")),
            ("a.test,b c", Err("b c")),
            ("a,", Err("")),
            ("WWW.a.", Ok("www.a")),
            ("a..", Err("a..")),
            ("-f", Err("-f")),
            ("a-.b", Err("a-.b")),
            ("*", Err("*")),
            ("*.*.a", Err("*.*.a")),
            ("a:0", Err("a:0")),
            ("a:80:80", Err("a:80:80")),
            ("[::1]x", Err("[::1]x")),
            ("größe.test", Err("größe.test")),
            ("a#b", Err("a#b")),
            ("a\nb", Err("a\nb")),
            ("a\n", Err("a\n")),
        ],
    );
    let long = "a".repeat(64);
    assert!(read("VHOST", &long).is_err());
    assert!(read("VHOST", &"a.".repeat(128)).is_err());
}

#[test]
fn paths() {
    reads(
        "PATH",
        &[
            ("/", Ok("/")),
            ("/a  /b", Ok("/a /b")),
            ("-i /Docs /x", Ok("-i /Docs /x")),
            ("/a%20b;c=(d)*~", Ok("/a%20b;c=(d)*~")),
            ("/100%", Ok("/100%")),
            ("-f /etc/passwd", Err("-f")),
            ("/a -m", Err("-m")),
            ("-i -i /a", Err("-i")),
            ("-i", Err("-i")),
            ("-- /a", Err("--")),
            ("a", Err("a")),
            ("/a || /b", Err("||")),
            ("/a or", Err("or")),
            ("/a#b", Err("/a#b")),
            ("/a'b", Err("/a'b")),
            ("/a\\ b", Err("/a\\")),
            ("/$HOME", Err("/$HOME")),
            ("/%[env(PATH)]", Err("/%[env(PATH)]")),
            ("/a?b", Err("/a?b")),
        ],
    );
    reads(
        "HTTP_BACKEND_PROXYPASS_PATH",
        &[
            ("/a%20b", Ok("/a%20b")),
            ("/a.*", Err("/a.*")),
            ("/(", Err("/(")),
            ("/a%2", Err("/a%2")),
            ("/\\1", Err("/\\1")),
        ],
    );
    reads(
        "HTTP_BACKEND_REVPROXY_PATH",
        &[("/a/b", Ok("/a/b")), ("/a%20b", Err("/a%20b"))],
    );
    reads(
        "HTTP_BACKEND_REDIR",
        &[
            ("/x?a=b&c", Ok("/x?a=b&c")),
            ("https://a.test:8443/x", Ok("https://a.test:8443/x")),
            ("/a%20b", Ok("/a%%20b")),
            ("/a%%20b", Ok("/a%%20b")),
            ("/%[env(PATH)]", Err("/%[env(PATH)]")),
            ("/%ci", Err("/%ci")),
            ("ftp://a", Err("ftp://a")),
            ("https://", Err("https://")),
            ("/x code 302", Err("/x code 302")),
            ("/x#y", Err("/x#y")),
        ],
    );
    for (text, want) in [
        ("/health?x=1&y=%20", "/health?x=1&y=%20"),
        ("health", "/health"),
        ("/it's", "/it%27s"),
        ("/h|x", "/h%7Cx"),
        ("/health?q={x}", "/health?q=%7Bx%7D"),
        ("/a?b=[1]", "/a?b=%5B1%5D"),
        ("/é/$HOME", "/%C3%A9/%24HOME"),
    ] {
        let got = request(text);
        assert_eq!(got.as_deref(), Some(want));
        assert_eq!(request(want).as_deref(), Some(want), "it stays as it is");
    }
    for text in [
        "/a b", "/\"x\"", "/a#b", "/a\\", "/a\nb", "/a\u{a0}", "/a\u{85}",
    ] {
        assert_eq!(request(text), None, "{text}");
    }
}

#[test]
fn words() {
    reads(
        "MODE",
        &[
            ("HTTP", Ok("http")),
            ("tcp", Ok("tcp")),
            ("health", Err("health")),
        ],
    );
    reads(
        "SSL_CERT",
        &[
            ("/etc/ssl/a.pem", Ok("/etc/ssl/a.pem")),
            (
                "/a.pem, /b.pem crt c.pem",
                Ok("/a.pem crt /b.pem crt c.pem"),
            ),
            ("/a b", Err("/a b")),
            ("/a\"$HOME\"", Err("/a\"$HOME\"")),
            ("-a", Err("-a")),
        ],
    );
    for (id, want) in [
        ("/a/b-c.d_e", true),
        ("/a b", false),
        ("/a#", false),
        ("/ä", false),
    ] {
        assert_eq!(is_app_id(id), want, "{id}");
    }
}

#[test]
fn algorithms() {
    for text in [
        "roundrobin",
        "random",
        "random(3)",
        "random(16)",
        "uri",
        "uri whole depth 3 len 20",
        "url_param id check_post 64",
        "hdr(X-User)",
        "hdr(host) use_domain_only",
        "rdp-cookie(name)",
        "hash req.hdr(x)",
    ] {
        reads("BALANCE", &[(text, Ok(text))]);
    }
    for text in [
        "fastest",
        "roundrobin x",
        "uri depth 0",
        "uri whole whole",
        "uri depth 1 len 2 depth 1",
        "uri len",
        "random(0)",
        "random(17)",
        "random(65535)",
        "hdr()",
        "hdr(a) b",
        "hash env(PATH)",
        "roundrobin # x",
        "uri\nwhole",
    ] {
        reads("BALANCE", &[(text, Err(text))]);
    }
}

#[test]
fn addresses() {
    reads(
        "BIND_ADDR",
        &[
            ("*", Ok("*")),
            ("10.0.0.42", Ok("10.0.0.42")),
            ("[0:0::1]", Ok("::1")),
            ("::", Ok("::")),
            ("127.0.0.1:80,*", Err("127.0.0.1:80,*")),
            ("10.0.0.1,10.0.0.2", Err("10.0.0.1,10.0.0.2")),
            ("[10.0.0.1]", Err("[10.0.0.1]")),
            ("10.0.0.1:80", Err("10.0.0.1:80")),
            ("localhost", Err("localhost")),
            ("/run/socket", Err("/run/socket")),
            ("unix@x", Err("unix@x")),
        ],
    );
    reads(
        "BACKEND_NETWORK_ALLOWED_ACL",
        &[
            ("10.0.0.0/8  192.168.0.1", Ok("10.0.0.0/8|192.168.0.1")),
            ("fd00::/8", Ok("fd00::/8")),
            ("", Ok("")),
            ("10.0.0.0/33", Err("10.0.0.0/33")),
            ("10.0.0.0/+8", Err("10.0.0.0/+8")),
            ("10.0.0.0/", Err("10.0.0.0/")),
            ("10.0.0.0/8 -f /x", Err("-f")),
            ("example.com", Err("example.com")),
        ],
    );
}

#[test]
fn bind_options() {
    for text in [
        "accept-proxy",
        "ca-file /etc/ssl/cert.pem verify optional",
        "ciphers AES128+EECDH:AES128+EDH force-tlsv12",
        "ssl crt /a.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2",
        "maxconn 2000 tcp-ut 30s",
    ] {
        reads("BIND_OPTIONS", &[(text, Ok(text))]);
    }
    for (text, part) in [
        ("accept-proxy,", "accept-proxy,"),
        (",*:80", ",*:80"),
        ("ssl *:80", "*:80"),
        ("maxconn", "maxconn"),
        ("maxconn x", "x"),
        ("crt -f", "-f"),
        ("uid 0", "uid"),
        ("level admin", "level"),
        // Others would wait, or the host's networks would be an app's to choose from.
        ("ssl nice -1024", "nice"),
        ("interface eth0", "interface"),
        ("process 1", "process"),
        ("name a#b", "a#b"),
        ("ciphers \"$HOME\"", "\"$HOME\""),
        ("ssl\nbind *:80", "ssl\nbind"),
    ] {
        reads("BIND_OPTIONS", &[(text, Err(part))]);
    }
}

#[test]
fn numbers() {
    reads(
        "PORT",
        &[
            ("1", Ok("1")),
            (" 65535 ", Ok("65535")),
            ("0", Err("0")),
            ("65536", Err("65536")),
            ("+80", Err("+80")),
            ("8_0", Err("8_0")),
            ("", Err("")),
        ],
    );
    reads(
        "BACKEND_WEIGHT",
        &[
            ("-7", Ok("-7")),
            ("1000001", Err("1000001")),
            ("1_0", Err("1_0")),
            ("", Err("")),
        ],
    );
    reads(
        "BACKEND_HEALTHCHECK_PORT_INDEX",
        &[("-1", Ok("-1")), ("1000", Err("1000")), ("one", Err("one"))],
    );
}

/// A hash of so many characters.
fn hash(length: usize) -> String {
    "aZ9./".chars().cycle().take(length).collect()
}

#[test]
fn passwords() {
    let is_read = |password: &str| match read("AUTH", &format!("r:u@x.y:{password}")) {
        Ok(_) => true,
        Err(part) => {
            assert_eq!(part, "password");
            false
        }
    };
    for (begin, length) in [
        ("", 13),
        ("$1$salt$", 22),
        ("$1$$", 22),
        ("$5$salt$", 43),
        ("$5$$", 43),
        ("$5$rounds=20000$saltsaltsaltsalt$", 43),
        ("$6$./aZ$", 86),
        ("$6$rounds=1000$salt$", 86),
        ("$2a$04$", 53),
        ("$2b$10$", 53),
        ("$2x$05$", 53),
        ("$2y$09$", 53),
    ] {
        assert!(is_read(&(begin.to_owned() + &hash(length))), "{begin}");
        for other in [length - 1, length + 1] {
            assert!(!is_read(&(begin.to_owned() + &hash(other))), "{begin}");
        }
    }
    for (begin, length) in [
        ("$1$saltsalts$", 22),
        ("$5$saltsaltsaltsalts$", 43),
        ("$5$salt,$", 43),
        ("$5$rounds=20001$salt$", 43),
        ("$5$rounds=999$salt$", 43),
        ("$5$rounds=05000$salt$", 43),
        ("$5$rounds=$salt$", 43),
        ("$5$rounds=5000$", 43),
        ("$6$rounds=999999999$salt$", 86),
        ("$6$rounds=99999999999999999999$salt$", 86),
        ("$6$rounds=5000$rounds=5000$salt$", 86),
        ("$6$", 86),
        ("$2b$11$", 53),
        ("$2b$31$", 53),
        ("$2b$03$", 53),
        ("$2b$5$", 53),
        ("$2$05$", 53),
        ("$y$j9T$salt$", 43),
        ("$gy$j9T$salt$", 43),
        ("$7$CU..../....salt$", 43),
        ("$9$x$", 43),
        ("$apr1$salt$", 22),
        ("_J9..salt", 11),
        ("$", 12),
    ] {
        assert!(!is_read(&(begin.to_owned() + &hash(length))), "{begin}");
    }
    let six = format!("$6$x${}", hash(86));
    assert!(read("AUTH", &format!("Größe (1):u:{six}")).is_ok());
    for (text, part) in [
        (String::new(), ""),
        ("realm:user".to_owned(), ""),
        ("r:u:p:q".to_owned(), ""),
        (format!(":user:{six}"), "realm"),
        (format!("a\"b:u:{six}"), "realm"),
        (format!("-m reg .*:u:{six}"), "realm"),
        (format!("${{HOME}}:u:{six}"), "realm"),
        (format!("a%[env(X)]:u:{six}"), "realm"),
        (format!("a\\:u:{six}"), "realm"),
        (format!("r:u v:{six}"), "user"),
        (format!("r::{six}"), "user"),
        ("r:u:secret".to_owned(), "password"),
        (format!("r:u:{six} #"), "password"),
        ("r:u:$6$".to_owned(), "password"),
        ("r:u:$HOME".to_owned(), "password"),
    ] {
        assert_eq!(read("AUTH", &text), Err(part), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_the_form_and_without_secrets() {
    let told = |name: &str, text: &str| {
        let label = format!("HAPROXY_0_{name}");
        let settings = Settings::from([(label.into(), text.into())]);
        let (_, warnings) = parse(&settings, &AppId::new("/a"), 0, Values::Typed);
        let told = &warnings[0];
        (told.found.clone(), told.expected.clone())
    };
    let (found, expected) = told("VHOST", "a.test,b c");
    assert_eq!(found, "`b c` in `a.test,b c`");
    assert!(
        expected.starts_with("host names parted by commas"),
        "{expected}"
    );
    assert!(
        expected.ends_with("such as `web.example.com,www.example.com`"),
        "{expected}"
    );
    let (found, _) = told("AUTH", "realm:user:secret");
    assert_eq!(
        found,
        "3 parts, of which the password is wrong (not shown, since one is a password)"
    );
    for (password, kind) in [
        (
            "$6$rounds=999999999$salt$geheim",
            "`$6$` with 999999999 rounds and a last part of 6",
        ),
        ("$6$rounds=geheim$salt$geheim", "`$6$` and a last part of 6"),
        ("$2b$16$geheim", "`$2b$` with cost 16 and a last part of 6"),
        ("$y$geheim$salt$geheim", "`$y$` and a last part of 6"),
    ] {
        let (found, expected) = told("AUTH", &format!("realm:user:{password}"));
        let told = format!(
            "3 parts, of which the password is wrong (not shown, since one is a password: {kind} \
             characters)"
        );
        assert_eq!(found, told);
        assert!(
            expected.contains("`$6$` of 1000 to 20000 rounds"),
            "{expected}"
        );
    }
    for password in ["$geheim$x", "$", "$6"] {
        let (found, _) = told("AUTH", &format!("realm:user:{password}"));
        assert!(!found.contains("geheim"), "{found}");
    }
    assert_eq!(told("PORT", "80a").0, "`80a`");
}
