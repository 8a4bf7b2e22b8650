use super::*;

const CFG: &str = "\
global
  maxconn 50000
  no strict-limits
  log /dev/log local0
  stats socket /run/a.sock mode 660 expose-fd listeners
defaults
  maxconn 10000
listen stats
  bind 127.0.0.1:9090
frontend a
  bind *:10000-10009,:::10000 v4v6
  bind abns@inner,*:11000 shards 2
backend a
  server s1 10.0.0.1:1 check inter 5s
  server s2 10.0.0.2:1
  server s3 10.0.0.2:1 agent-check agent-port 1 check
backend b
  default-server check
  server s1 10.0.0.1:1
  server s2 10.0.0.1:2 no-check
  server-template t 3-5 host:1
backend c
  server s1 10.0.0.1:1
";

fn allowance(limit: usize) -> Allowance {
    Allowance {
        of: Whose::Ours,
        limit,
        raised: None,
        threads: 4,
        is_strict: true,
        is_running: false,
    }
}

#[test]
fn listeners_and_checks_are_counted_as_haproxy_does() {
    let mut reading = Reading::default();
    let want = Opened {
        // The socket, the page, eleven places and two twice.
        listeners: 1 + 1 + 11 + 4,
        checks: 3 + 4,
    };
    assert_eq!(reading.read(CFG), want);
    // Part by part it comes to the same.
    let mut reading = Reading::default();
    let files = CFG
        .split_inclusive('\n')
        .map(|part| reading.read(part).files());
    assert_eq!(files.sum::<usize>(), want.files());
    assert_eq!(reading.global.maxconn, Some(50000), "that of `global`");
}

#[test]
fn what_defaults_say_of_checks_holds_until_the_next_says_otherwise() {
    const SERVER: &str = "  server s 10.0.0.1:1\n";
    let of = |text: &str| {
        let text = text.replace("SERVER\n", SERVER);
        Reading::default().read(&text).checks
    };
    for (text, want) in [
        (
            "backend a\n default-server check\n default-server inter 5s\nSERVER\n",
            1,
        ),
        (
            "backend a\n default-server check\n default-server no-check\nSERVER\n",
            0,
        ),
        (
            "defaults\n default-server check\nbackend a\nSERVER\nbackend b\nSERVER\n",
            2,
        ),
        (
            "defaults\n default-server check\ndefaults\n mode tcp\nbackend a\nSERVER\n",
            0,
        ),
        (
            "defaults x\n default-server check\ndefaults y\nbackend a from x\nSERVER\n",
            1,
        ),
        (
            "defaults x\n default-server check\ndefaults y from x\nbackend a\nSERVER\n",
            1,
        ),
        (
            "backend a\n default-server agent-check\nSERVER\n server t x:1 no-agent-check\n",
            1,
        ),
        (
            "backend a\n server-template t 5 host:1 check agent-check\n",
            10,
        ),
        ("backend a\n server-template t 2-5 host:1 check\n", 4),
    ] {
        assert_eq!(of(text), want, "{text}");
    }
}

/// Whatever stands in a file is counted, and HAProxy has the word on it.
#[test]
fn numbers_without_end_are_many_and_no_more() {
    const MOST: usize = usize::MAX;
    let text = format!(
        "global\n maxconn {MOST}\n nbthread {MOST}\n log a local0\nfrontend a\n bind *:0-{MOST}\n \
         bind *:1 shards {MOST}\n bind *:2\nbackend b\n server-template t {MOST} host:1 check\n"
    );
    let mut reading = Reading::default();
    let files = reading.read(&text).files();
    assert_eq!(reading.needed(files, &allowance(1024)), MOST);
    assert_eq!(taking_over(files), MOST);
}

#[test]
fn what_is_needed_has_room_for_connections() {
    let of = |global: &str| {
        let mut reading = Reading::default();
        reading.read(&format!("global\n  {global}\n"));
        reading.needed(5, &allowance(1024))
    };
    let rest = 10 + 5 + 4 * 3;
    for (global, want) in [
        ("daemon", rest + 200),
        ("maxconn 40", rest + 80),
        // As HAProxy itself wants them, or does not start.
        ("maxconn 5000", rest + 10_000),
        ("no strict-limits\n maxconn 5000", rest + 200),
        ("nbthread 1", rest - 9 + 200),
        ("log /dev/log local0\n log 10.0.0.1 local1", rest + 8 + 200),
    ] {
        assert_eq!(of(global), want, "{global}");
    }
}

#[test]
fn the_lowest_limit_counts_that_haproxy_cannot_raise() {
    for (global, raised, want) in [
        ("daemon", None, (1024, Bound::Limit)),
        ("ulimit-n 500", None, (500, Bound::Global)),
        ("ulimit-n 5000", None, (1024, Bound::Limit)),
        ("ulimit-n 5000", Some(9000), (5000, Bound::Global)),
        ("fd-hard-limit 700", None, (700, Bound::Global)),
        ("maxconn 50000", Some(9000), (9000, Bound::Limit)),
        ("daemon", Some(9000), (1024, Bound::Limit)),
    ] {
        let mut reading = Reading::default();
        reading.read(&format!("global\n  {global}\n"));
        let allowance = Allowance {
            raised,
            ..allowance(1024)
        };
        assert_eq!(reading.most(&allowance), want, "{global} {raised:?}");
    }
}

#[test]
fn a_process_is_read_as_the_kernel_shows_it() {
    let limits = "\
Limit                     Soft Limit           Hard Limit           Units     
Max processes             127                  127                  processes 
Max open files            1024                 4096                 files     
";
    assert_eq!(hard_limit(limits), Some(4096));
    let free = limits.replace("4096 ", "unlimited");
    assert_eq!(hard_limit(&free), Some(usize::MAX));
    assert_eq!(hard_limit(""), None);
    let status =
        "CapPrm:\t0\nCapEff:\t0000000001000000\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3,8\n";
    assert!(may_raise(status));
    assert!(!may_raise("CapEff:\t000001fffeffffff\n"));
    assert_eq!(cpus(status), Some(5));
    assert_eq!(cpus("Cpus_allowed_list:\tx\n"), None);
    let own = Proc::default().allowance(None).unwrap();
    assert!(own.limit > 0 && own.threads > 0, "{own:?}");
}
