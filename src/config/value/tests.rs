use super::*;

#[test]
fn a_wait_is_in_seconds_or_has_a_unit_and_has_bounds() {
    for (text, wait_for) in [
        ("10s", Some(Duration::from_secs(10))),
        ("1m 30s", Some(Duration::from_secs(90))),
        ("250ms", Some(Duration::from_millis(250))),
        ("1h", Some(LONGEST_WAIT)),
        ("10", Some(Duration::from_secs(10))),
        ("3601", None),
        ("99999999999999999999999", None),
        ("1.5", None),
        ("0", None),
        ("0s", None),
        ("61m", None),
        ("-1s", None),
        ("", None),
    ] {
        assert_eq!(wait(text).ok(), wait_for, "{text}");
    }
}

#[test]
fn changes_are_gathered_between_two_times() {
    let ms = Duration::from_millis;
    for (text, times) in [
        ("100ms:2s", Some((ms(100), ms(2000)))),
        ("0s : 0s", Some((ms(0), ms(0)))),
        ("1s:1s", Some((ms(1000), ms(1000)))),
        ("2s:1s", None),
        ("1s:2h", None),
        ("1:2", Some((ms(1000), ms(2000)))),
        ("1s", None),
        (":", None),
    ] {
        assert_eq!(debounce(text).ok(), times, "{text}");
    }
}

#[test]
fn a_size_is_bytes_or_has_a_binary_unit() {
    for (text, bytes) in [
        ("1", Some(1)),
        ("256MiB", Some(256 << 20)),
        ("256 mib", Some(256 << 20)),
        ("4KiB", Some(4096)),
        ("2GiB", Some(2 << 30)),
        ("0", None),
        ("1MB", None),
        ("1.5GiB", None),
        ("-1", None),
        ("MiB", None),
        ("99999999999999999999", None),
        ("18446744073709551615KiB", None),
    ] {
        assert_eq!(size(text).ok(), bytes, "{text}");
    }
}

#[test]
fn a_version_is_two_numbers() {
    for (text, parsed) in [
        ("2.6", Some((2, 6))),
        ("1.10", Some((1, 10))),
        ("2", None),
        ("2.6.12", None),
        ("+2.6", None),
        ("2.", None),
        ("70000.1", None),
    ] {
        assert_eq!(version(text).ok(), parsed, "{text}");
    }
}

/// What `int()` of Python 3.11 says, as far as numbers go that matter.
#[test]
fn an_integer_is_what_python_takes_for_one() {
    for (text, number) in [
        ("10", Some(10)),
        ("-1", Some(-1)),
        ("+7", Some(7)),
        (" 8\n", Some(8)),
        ("007", Some(7)),
        ("1_000", Some(1000)),
        ("99999999999999999999", Some(i64::MAX)),
        ("", None),
        ("-", None),
        ("1__0", None),
        ("_1", None),
        ("1_", None),
        ("1.5", None),
        ("0x10", None),
        ("1 0", None),
        ("ten", None),
    ] {
        assert_eq!(integer(text), number, "{text:?}");
    }
}

#[test]
fn a_switch_is_one_of_the_usual_words() {
    for (text, is_on) in [
        ("true", Some(true)),
        ("Yes", Some(true)),
        ("on", Some(true)),
        ("1", Some(true)),
        ("FALSE", Some(false)),
        ("no", Some(false)),
        ("off", Some(false)),
        ("0", Some(false)),
        ("2", None),
        ("", None),
    ] {
        assert_eq!(switch(text).ok(), is_on, "{text}");
    }
}

#[test]
fn a_marathon_is_a_file_or_a_host_with_what_may_stand_around_it() {
    for right in [
        "leader.mesos:8080",
        "marathon",
        "http://m1",
        "https://m1:8443/",
        "HTTPS://m1",
        "http://m1:8080/a/path",
        "joe:p,w@m1:8080",
        "http://joe:p@w@m1",
        "10.0.0.1:8080",
        "[::1]:8080",
        "http://[fd00::1]",
        "file:apps.json",
        "file:/var/lib/an answer.json",
    ] {
        assert_eq!(marathon(right), Ok(()), "{right}");
    }
    for wrong in [
        "",
        "http://",
        "zk://a,b,c/marathon",
        "joe:p://w@m1:8080",
        "ftp://m1",
        "http:/m1",
        "http://a:8080,http://b:8080",
        "a:8080,b:8080",
        "m1:port",
        "m1:0",
        "m1:+80",
        "m1:70000",
        "http://m 1",
        "m1\n",
        "[::1:8080",
        "file:",
        "http://joe:pw@",
        "--group",
    ] {
        assert!(marathon(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_callback_is_a_whole_address_without_secrets() {
    for (text, is_right) in [
        ("http://10.0.0.5:8000", true),
        ("https://lb.example/hooks/", true),
        ("lb.example:8000", false),
        ("http://joe:pw@lb.example", false),
        ("http://lb.example/?a=b", false),
        ("http://", false),
        ("file:/etc/passwd", false),
    ] {
        assert_eq!(callback(text).is_ok(), is_right, "{text}");
    }
    for (text, is_right) in [
        ("10.0.0.5:8000", true),
        ("[::]:8000", true),
        ("10.0.0.5:0", false),
        ("lb.example:8000", false),
    ] {
        assert_eq!(socket_address(text).is_ok(), is_right, "{text}");
    }
}

#[test]
fn a_socket_has_a_path_that_a_line_of_haproxy_can_hold() {
    let long = format!("/{}", "a".repeat(107));
    for (text, path) in [
        ("", Some(None)),
        ("none", Some(None)),
        ("/run/a-b_c.sock", Some(Some("/run/a-b_c.sock".into()))),
        ("/run/a b", None),
        ("/run/a#b", None),
        ("/run/", None),
        (&long, None),
    ] {
        assert_eq!(socket_path(text).ok(), path, "{text}");
    }
}

#[test]
fn a_group_holds_no_separator() {
    for (text, is_right) in [
        ("external", true),
        ("*", true),
        ("", false),
        ("a,b", false),
        ("a b", false),
    ] {
        assert_eq!(group(text).is_ok(), is_right, "{text}");
    }
}
