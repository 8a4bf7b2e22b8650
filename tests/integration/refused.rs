//! Whoever HAProxy refuses is found in a few runs of it, among however many, named or not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Done, Test, haproxy};

/// What the program with a grudge refuses without naming it.
const POISON: &str = "poison";

const HEAD: &str = "global\n  stats socket /run/haproxy.sock expose-fd listeners\n\ndefaults\n  \
                    timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n";

/// Apps `/a0`, `/a1` … of which these say something else than that they have a host.
fn apps(count: usize, said: &dyn Fn(usize) -> Option<(&'static str, String)>) -> String {
    let app = |number: usize| {
        let mut labels = json!({
            "HAPROXY_GROUP": "x",
            "HAPROXY_0_VHOST": format!("h{number}.example.com"),
        });
        if let Some((label, text)) = said(number) {
            labels[label] = json!(text);
        }
        json!({
            "id": format!("/a{number}"),
            "labels": labels,
            "networks": [{"mode": "host"}],
            "portDefinitions": [{"port": 10000 + number}],
            "instances": 1,
            "tasks": [{
                "id": format!("a{number}.1"),
                "host": format!("10.0.{}.{}", number / 250, number % 250 + 1),
                "ports": [31000],
                "state": "TASK_RUNNING",
            }],
        })
    };
    let apps: Vec<Value> = (0..count).map(app).collect();
    json!({ "apps": apps }).to_string()
}

/// A host whose HAProxy counts how often it is asked, and does `grudge` where a file tells of the
/// poison.
fn host(grudge: &str) -> Test {
    let real = haproxy().display().to_string();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = -c ] || exec {real} \"$@\"\necho asked >> asked\n\
         grep -q {POISON} \"$3\" && {{ {grudge}; }}\nexec {real} \"$@\"\n"
    );
    let test = Test::new().file("grudge", script);
    let program = test.path().join("grudge");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let test = test.env("HMB_HAPROXY", program).env("HAPROXY_HEAD", HEAD);
    test.args([
        "marathon-lb",
        "-m=file:apps.json",
        "--group=x",
        "--dont-bind-http-https",
        "--haproxy-config=haproxy.cfg",
        "--command=true",
        "--syslog-socket=/dev/null",
        "--log-level=INFO",
    ])
}

/// HAProxy computes each password when it is asked: one of these would have it stand still for minutes.
#[test]
fn a_password_that_takes_minutes_is_refused_before_haproxy_is_asked() {
    let test = host("false");
    let apps = apps(31, &|number| {
        let auth = "realm:ann:$5$rounds=999999999$salt$hash".to_owned();
        (number == 7).then_some(("HAPROXY_0_AUTH", auth))
    });
    fs::write(test.path().join("apps.json"), apps).unwrap();
    test.run().expect(0).says(&[
        "app `/a7`: label `HAPROXY_0_AUTH`: found 3 parts, of which the password is wrong",
        "`$5$` with 999999999 rounds",
        "service port 10007 left out",
    ]);
    let cfg = test.cfg();
    assert_eq!(cfg.matches("\nbackend a").count(), 30);
    assert!(!cfg.contains("rounds"), "{cfg}");
}

const SAYS_NOTHING: &str = "echo '[ALERT] (1) : config : out of luck' >&2; exit 1";
const DIES: &str = "kill -SEGV $$";

/// A turn, and how often HAProxy was asked for it.
fn turn(test: &Test, apps: &str) -> (Done, usize) {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    let asked = test.path().join("asked");
    let _ = fs::remove_file(&asked);
    let done = test.run().expect(0);
    let asked = fs::read_to_string(asked).unwrap_or_default();
    (done, asked.lines().count())
}

fn served(test: &Test) -> Vec<usize> {
    let cfg = test.cfg();
    let names = cfg
        .lines()
        .filter_map(|line| line.strip_prefix("backend a"));
    let numbers = names.filter_map(|name| name.split('_').next()?.parse().ok());
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

fn all_but(count: usize, bad: &[usize]) -> Vec<usize> {
    (0..count).filter(|number| !bad.contains(number)).collect()
}

fn poisoned(bad: &[usize]) -> impl Fn(usize) -> Option<(&'static str, String)> {
    move |number| {
        let text = format!("  # {POISON} {number}\n");
        let label = "HAPROXY_0_BACKEND_HTTP_OPTIONS";
        bad.contains(&number).then_some((label, text))
    }
}

/// `HAPROXY_0_BALANCE` that no HAProxy knows.
fn unbalanced(bad: &[usize]) -> impl Fn(usize) -> Option<(&'static str, String)> {
    move |number| {
        let known = bad.contains(&number);
        known.then(|| ("HAPROXY_0_BALANCE", "fastest".to_owned()))
    }
}

#[test]
fn who_is_named_is_found_in_two_runs_however_many_there_are() {
    let test = host(SAYS_NOTHING);
    for bad in [&[7][..], &[1, 2, 30, 70, 99]] {
        let (done, asked) = turn(&test, &apps(100, &unbalanced(bad)));
        for number in bad {
            done.clone().says(&[&format!("app `/a{number}`: ")]);
        }
        assert_eq!(served(&test), all_but(100, bad));
        assert_eq!(asked, 2);
        fs::remove_dir_all(test.path().join("state")).unwrap();
        fs::remove_file(test.path().join("haproxy.cfg")).unwrap();
    }
}

/// Halves of thousands would be many runs, and each takes HAProxy seconds.
#[test]
fn of_thousands_few_runs_find_one_and_five_named_or_not() {
    let count = match std::env::var_os("HMB_TEST_ALL") {
        Some(_) => 5_000,
        None => 500,
    };
    let five = [7, 70, 100, 300, 499];
    for (bad, most) in [(&five[2..3], 3), (&five, 8)] {
        let test = host(SAYS_NOTHING);
        let (_, asked) = turn(&test, &apps(count, &unbalanced(bad)));
        assert_eq!(served(&test), all_but(count, bad));
        assert!(asked <= most, "{asked} runs for {bad:?} who are named");

        let test = host(SAYS_NOTHING);
        turn(&test, &apps(count, &|_| None));
        let (done, asked) = turn(&test, &apps(count, &poisoned(bad)));
        for number in bad {
            done.clone().says(&[&format!("app `/a{number}`: ")]);
        }
        assert_eq!(served(&test), all_but(count, &[]));
        assert!(asked <= most, "{asked} runs for {bad:?} who are not named");

        // Others say the same label with another value, and at the same time.
        let said = |number: usize| {
            let value = match number {
                _ if bad.contains(&number) => format!("{POISON}{number}"),
                100..140 => "leastconn".to_owned(),
                _ => return None,
            };
            Some(("HAPROXY_0_BALANCE", value))
        };
        let test = host(SAYS_NOTHING);
        turn(&test, &apps(count, &|_| None));
        let (_, asked) = turn(&test, &apps(count, &said));
        assert_eq!(served(&test), all_but(count, &[]));
        // What is left is new as well, and checked.
        assert!(
            asked <= most.max(4),
            "{asked} runs for {bad:?} beside others"
        );
    }
}

/// Some faults are told without a line or a section, and of some HAProxy dies.
#[test]
fn who_is_not_named_is_looked_for_among_those_who_say_something_new() {
    for (grudge, words) in [
        (SAYS_NOTHING, "out of luck"),
        (DIES, "died of it (SIGSEGV)"),
    ] {
        let test = host(grudge);
        turn(&test, &apps(40, &|_| None));
        let (done, asked) = turn(&test, &apps(40, &poisoned(&[7])));
        done.says(&[
            "app `/a7`: ",
            words,
            "service port 10007 is served as it was before",
        ]);
        assert_eq!(served(&test), all_but(40, &[]));
        assert_eq!(asked, 3, "what is left is installed already");
        // What was refused not long ago is not asked for again.
        let (_, asked) = turn(&test, &apps(41, &poisoned(&[7])));
        assert_eq!((asked, served(&test).len()), (1, 41));

        let bad = [3, 7, 20, 21, 39];
        let (done, asked) = turn(&test, &apps(41, &poisoned(&bad)));
        for number in [3, 20, 21, 39] {
            done.clone().says(&[&format!("app `/a{number}`: ")]);
        }
        assert_eq!(served(&test), all_but(41, &[]));
        assert!(asked <= 8, "{asked}");
    }
}

/// It was short of memory or time, and not of anything that an app says.
#[test]
fn what_is_accepted_when_it_is_asked_again_is_nobodys_fault() {
    for (says, words) in [
        ("exit 1", "without a reason that can be read"),
        (
            "echo '[ALERT]    (4711) : config : Out of memory error.' >&2; exit 1",
            "Out of memory error",
        ),
    ] {
        let test = host(&format!("[ -e short ] && {{ rm short; {says}; }}"));
        turn(&test, &apps(40, &|_| None));
        fs::write(test.path().join("short"), "").unwrap();
        let (done, asked) = turn(&test, &apps(41, &poisoned(&[40])));
        assert!(!done.stderr.contains("app `/a40`"), "{done:#?}");
        done.says(&["so that nobody is blamed", words]);
        assert_eq!(served(&test), all_but(41, &[]));
        assert_eq!(asked, 2, "refused, and accepted");
    }
}

/// One label has HAProxy wait for what never comes. It takes more than a minute to find out.
#[test]
fn whom_haproxy_comes_to_no_end_with_is_found_too() {
    if std::env::var_os("HMB_TEST_ALL").is_none() {
        return;
    }
    let test = host("exec sleep 1000");
    turn(&test, &apps(40, &|_| None));
    let (done, asked) = turn(&test, &apps(40, &poisoned(&[7, 21])));
    for number in [7, 21] {
        done.clone().says(&[
            &format!("app `/a{number}`: "),
            "without naming it: `haproxy -c` did not end within 1m",
            "is served as it was before",
        ]);
    }
    assert_eq!(served(&test), all_but(40, &[]));
    assert!(asked <= 8, "{asked}");
}

/// Nobody knows there what was served before: those are tried first who say what few others do. To be
/// refused for nothing would cost an app its service.
#[test]
fn on_a_new_host_few_runs_find_one_and_five_of_thousands_who_are_not_named() {
    let count = match std::env::var_os("HMB_TEST_ALL") {
        Some(_) => 5_000,
        None => 500,
    };
    let five = [7, 70, 100, 300, 499];
    for (bad, most) in [(&five[2..3], 3), (&five, 8)] {
        // Many write texts of their own, which are alike.
        let said = |number: usize| {
            let usual = format!("  # weight {number}\n");
            let usual = ("HAPROXY_0_BACKEND_HTTP_OPTIONS", usual);
            poisoned(bad)(number).or_else(|| number.is_multiple_of(3).then_some(usual))
        };
        let test = host(SAYS_NOTHING);
        let (done, asked) = turn(&test, &apps(count, &said));
        for number in bad {
            done.clone().says(&[&format!("app `/a{number}`: ")]);
        }
        assert_eq!(served(&test), all_but(count, bad));
        assert_eq!(done.stderr.matches("left out").count(), bad.len());
        assert!(asked <= most, "{asked} runs for {bad:?}");
    }
}

/// HAProxy names one of them at a time, so that it is not asked.
#[test]
fn however_many_lists_of_users_are_bad_they_go_alone() {
    let bad = [2, 17, 31, 40, 50, 60, 70, 80, 90, 99];
    let said = |number: usize| {
        let list = format!(
            "userlist user_{{backend}}\n  user a{number} insecure-password x groups nowhere\n"
        );
        bad.contains(&number)
            .then_some(("HAPROXY_0_USERLIST_HEAD", list))
    };
    let with_users = |apps: String| {
        let mut apps: Value = serde_json::from_str(&apps).unwrap();
        for number in bad {
            let labels = &mut apps["apps"][number]["labels"];
            labels["HAPROXY_0_AUTH"] = json!("realm:ali:rlR4XJ1i8.hsE");
        }
        apps.to_string()
    };
    let test = host("true");
    let (done, asked) = turn(&test, &with_users(apps(100, &said)));
    for number in bad {
        done.clone().says(&[&format!(
            "app `/a{number}`: label `HAPROXY_0_USERLIST_HEAD`: found the group `nowhere` of \
             `a{number}`, which the list does not have, expected a list that has all users and \
             groups that it names; service port {} left out",
            10000 + number
        )]);
    }
    assert_eq!(served(&test), all_but(100, &bad));
    assert_eq!(asked, 1);
}

#[test]
fn on_a_new_host_everybody_is_suspected() {
    let test = host(SAYS_NOTHING);
    let (done, asked) = turn(&test, &apps(40, &poisoned(&[31])));
    done.says(&["app `/a31`: ", "service port 10031 left out"]);
    assert_eq!(served(&test), all_but(40, &[31]));
    assert!(asked <= 10, "{asked}");
}

/// A file that most of them name is gone: what they said before names it too.
#[test]
fn what_is_refused_of_most_at_once_leaves_all_as_it_is() {
    let test = host("true").file("sorry.http", "HTTP/1.0 503 Sorry\r\n\r\n");
    let sorry = test.path().join("sorry.http");
    let said_of_it = format!("  errorfile 503 {}\n", sorry.display());
    let said = |number: usize| {
        let label = "HAPROXY_0_BACKEND_HTTP_OPTIONS";
        (number < 6).then(|| (label, said_of_it.clone()))
    };
    turn(&test, &apps(8, &said));
    assert_eq!(served(&test), all_but(8, &[]));
    let whole = fs::read(&sorry).unwrap();
    fs::remove_file(&sorry).unwrap();
    fs::write(test.path().join("apps.json"), apps(9, &said)).unwrap();
    // That command line ends well whatever came of the turn.
    let done = test.run().expect(0);
    done.says(&["sorry.http", "stays as it is"]);
    assert_eq!(served(&test), all_but(8, &[]));
    fs::write(&sorry, whole).unwrap();
    turn(&test, &apps(9, &said));
    assert_eq!(served(&test), all_but(9, &[]));
}

/// Nor does the last one go.
#[test]
fn what_is_refused_of_all_leaves_all_as_it_is_however_few_they_are() {
    let test = host("true").file("sorry.http", "HTTP/1.0 503 Sorry\r\n\r\n");
    let sorry = test.path().join("sorry.http");
    let label = "HAPROXY_0_BACKEND_HTTP_OPTIONS";
    let said_of_it = format!("  errorfile 503 {}\n", sorry.display());
    let said = |_| Some((label, said_of_it.clone()));
    turn(&test, &apps(2, &said));
    fs::remove_file(&sorry).unwrap();
    let (done, _) = turn(&test, &apps(2, &said).replace("31000", "31001"));
    done.says(&["sorry.http", "stays as it is"]);
    assert_eq!(served(&test), all_but(2, &[]));
}

/// Nobody is taken out for what is nobody's.
#[test]
fn a_frame_that_is_refused_costs_one_search_and_no_app() {
    let test = host("true");
    turn(&test, &apps(5, &|_| None));
    let before = test.cfg();
    let head = format!("{HEAD}  # {POISON}\n");
    let test = test.env("HAPROXY_HEAD", head);
    let grudge = fs::read_to_string(test.path().join("grudge")).unwrap();
    fs::write(
        test.path().join("grudge"),
        grudge.replace("{ true; }", "{ exit 1; }"),
    )
    .unwrap();
    let (_, asked) = turn(&test, &apps(6, &|_| None));
    assert_eq!(test.cfg(), before);
    assert!(asked <= 3, "{asked}");
}

/// So does whoever only looks: what he is told is what a turn comes to, and nothing is written.
#[test]
fn check_finds_who_would_be_left_out_though_haproxy_does_not_name_him() {
    let test = host(SAYS_NOTHING);
    let words = [
        "check",
        "--marathon=file:apps.json",
        "--haproxy-config=haproxy.cfg",
    ];
    let check = |bad: Option<usize>| {
        let path = (
            "HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH",
            format!("/{POISON}"),
        );
        let said = |number| (bad == Some(number)).then(|| path.clone());
        fs::write(test.path().join("apps.json"), apps(40, &said)).unwrap();
        test.call(words)
    };
    check(None)
        .expect(0)
        .prints(&["accepts", "40 service ports"]);
    let done = check(Some(7)).expect(1);
    let done = done.prints(&["accepts", "39 service ports", "; 1 warning"]);
    done.says(&[
        "app `/a7`: service port 10007: found what `haproxy -c` refuses: something, without naming it",
        "out of luck, expected a section that it accepts; service port 10007 left out",
    ]);
    assert!(!test.path().join("haproxy.cfg").exists());
    assert!(!test.path().join("state").exists());
}
