//! What an operator has to know of an installation beside what it does.

use super::hosts::{DEBIAN, Mind, wish};
use crate::install::{Facts, HAPROXY, Wish, install};

#[test]
fn where_selinux_confines_haproxy_install_says_what_lets_it() {
    let says = |mind: &Mind| {
        let plan = install(&mind.facts(), &wish()).unwrap();
        let lets = "`setsebool -P haproxy_connect_any 1`";
        plan.notes.iter().any(|note| note.contains(lets))
    };
    let rocky = || Mind::systemd("ID=rocky\n").with("/usr/bin/dnf", "");
    let of = |enforce: &str, boolean: &str| {
        rocky()
            .with("/sys/fs/selinux/enforce", enforce)
            .with("/sys/fs/selinux/booleans/haproxy_connect_any", boolean)
    };
    assert!(says(&of("1", "0 0")));
    assert!(!says(&of("1", "1 1")));
    assert!(!says(&of("0", "0 0")));
    assert!(!says(&rocky()));
}

#[test]
fn in_a_tree_without_haproxy_it_is_told_that_it_may_serve_as_root() {
    let mind = Mind::bare(DEBIAN).with("/usr/lib/systemd/systemd", "");
    let notes = |mind: &Mind| {
        let facts = Facts::of(mind, true, "/x".as_ref(), HAPROXY.as_ref());
        let notes = install(&facts, &wish()).unwrap().notes;
        notes.iter().any(|note| note.contains("user.cfg"))
    };
    assert!(notes(&mind));
    let with_haproxy = mind
        .with("/usr/sbin/haproxy", "")
        .with("/lib/systemd/system/haproxy.service", "")
        .with("/etc/group", "haproxy:x:1:\n")
        .with("/etc/passwd", "haproxy:x:1:1::/:/bin/false\n");
    assert!(!notes(&with_haproxy));
}

#[test]
fn a_marathon_without_a_port_is_told_which_is_asked() {
    let notes = |host: &str| {
        let named = Wish {
            hosts: vec![host.to_owned()],
            ..wish()
        };
        let plan = install(&Mind::systemd(DEBIAN).facts(), &named).unwrap();
        plan.notes
            .iter()
            .any(|note| note.contains("port 80 is asked"))
    };
    assert!(notes("m1"));
    for host in ["m1:8080", "http://m1", "file:/srv/apps.json"] {
        assert!(!notes(host), "{host}");
    }
}
