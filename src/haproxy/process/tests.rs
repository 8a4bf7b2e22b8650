use std::os::unix::fs::symlink;

use super::*;

/// A `/proc` of our own making.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn add(&self, pid: u32, parent: u32, state: char, exe: &str, words: &[&str]) -> &Self {
        let folder = self.0.path().join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        let name = Path::new(exe).file_name().unwrap().to_str().unwrap();
        let name: String = name.chars().take(15).collect();
        let zeros = "0 ".repeat(17);
        fs::write(
            folder.join("stat"),
            format!("{pid} ({name}) {state} {parent} {zeros}{} 0 0", pid * 10),
        )
        .unwrap();
        fs::write(folder.join("cmdline"), words.join("\0") + "\0").unwrap();
        symlink(exe, folder.join("exe")).unwrap();
        symlink("/srv", folder.join("cwd")).unwrap();
        self
    }

    fn proc(&self) -> Proc {
        Proc::at(self.0.path())
    }
}

fn pids_of(processes: &[Process]) -> Vec<u32> {
    processes.iter().map(|process| process.pid).collect()
}

#[test]
fn pid_files_of_every_shape_are_read() {
    for (text, want) in [
        ("13803\n", vec![13803]),
        ("12\n13\n14\n", vec![12, 13, 14]),
        ("  7 8\t9\r\n\n", vec![7, 8, 9]),
        ("", vec![]),
        ("0\n-4 x 99999999999 5", vec![5]),
    ] {
        assert_eq!(pids(text), want, "{text:?}");
    }
}

#[test]
fn this_very_process_is_alive_and_not_haproxy() {
    let proc = Proc::default();
    let own = proc.process(std::process::id()).unwrap();
    assert!(proc.still_runs(&own));
    assert!(!own.is_haproxy());
    assert!(!proc.still_runs(&Process {
        started: own.started + 1,
        ..own
    }));
}

#[test]
fn the_dead_and_the_foreign_of_a_pid_file_are_left_out() {
    let fake = Fake::new();
    fake.add(10, 1, 'S', "/usr/sbin/haproxy", &["haproxy", "-f", "a.cfg"])
        .add(11, 1, 'Z', "/usr/sbin/haproxy", &[])
        .add(12, 1, 'S', "/usr/sbin/sshd", &["sshd"])
        .add(13, 1, 'S', "/usr/sbin/haproxy (deleted)", &["haproxy"]);
    let file = fake.0.path().join("pid");
    fs::write(&file, "10 11 12\n13 14\n").unwrap();
    assert_eq!(pids_of(&fake.proc().of_pid_file(&file)), [10, 13]);
    assert!(
        fake.proc()
            .of_pid_file(Path::new("/nowhere/pid"))
            .is_empty()
    );
    assert_eq!(fake.proc().process(10).unwrap().started, 100);
}

#[test]
fn names_of_other_programs_are_not_haproxys() {
    for (name, want) in [
        ("haproxy", true),
        ("haproxy-2.8", true),
        ("haproxy28", true),
        ("haproxy-systemd-wrapper", false),
        ("haproxy-marathon-bridge", false),
        ("haproxy-marath", false),
        ("sh", false),
    ] {
        assert_eq!(is_haproxys_name(name), want, "{name}");
    }
}

#[test]
fn roles_follow_from_flags_and_parents() {
    let fake = Fake::new();
    fake.add(
        10,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-D", "-f", "a"],
    )
    .add(
        20,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-Ws", "-f", "a"],
    )
    .add(
        21,
        20,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-Ws", "-f", "a"],
    )
    .add(
        30,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-f", "master-worker-inside"],
    )
    .add(
        31,
        30,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-f", "master-worker-inside"],
    )
    .add(
        40,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-Ds", "-f", "a"],
    )
    .add(
        41,
        40,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-Ds", "-f", "a"],
    );
    let proc = fake.proc();
    for (pid, want) in [
        (10, Role::Single),
        (20, Role::Master),
        (21, Role::Worker { master: 20 }),
        (30, Role::Master),
        (31, Role::Worker { master: 30 }),
        (40, Role::Single),
        (41, Role::Single),
    ] {
        assert_eq!(proc.role(&proc.process(pid).unwrap()), want, "{pid}");
    }
}

/// A start with `-D` that was stopped between its fork and its end.
#[test]
fn who_only_forked_is_no_master() {
    let fake = Fake::new();
    let config = |name: &str, text: &str| {
        let path = fake.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let plain = config("plain.cfg", "global\n  daemon\n  # master-worker\n");
    let keeps = config("master.cfg", "global\n  master-worker no-exit-on-failure\n");
    for (pid, parent, more) in [
        (10, 1, vec!["-f", &plain, "-sf", "5"]),
        (11, 10, vec!["-f", &plain, "-sf", "5"]),
        (20, 1, vec!["-f", &keeps]),
        (21, 20, vec!["-f", &keeps]),
        (30, 1, vec!["-W", "-f", &plain]),
        (31, 30, vec!["-W", "-f", &plain]),
        // What it reads nobody knows.
        (40, 1, vec!["-f", "/gone/a.cfg"]),
        (41, 40, vec!["-f", "/gone/a.cfg"]),
    ] {
        let words = [vec!["haproxy", "-D"], more].concat();
        fake.add(pid, parent, 'S', "/usr/sbin/haproxy", &words);
    }
    let proc = fake.proc();
    for (pid, want) in [
        (10, Role::Single),
        (11, Role::Single),
        (20, Role::Master),
        (21, Role::Worker { master: 20 }),
        (30, Role::Master),
        (31, Role::Worker { master: 30 }),
        (40, Role::Master),
        (41, Role::Worker { master: 40 }),
    ] {
        assert_eq!(proc.role(&proc.process(pid).unwrap()), want, "{pid}");
    }
}

#[test]
fn processes_are_found_by_the_file_they_were_started_with() {
    let fake = Fake::new();
    fake.add(
        10,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-f", "/srv/a.cfg"],
    )
    .add(
        11,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-D", "-f", "x", "-f", "a.cfg"],
    )
    .add(12, 1, 'S', "/usr/sbin/haproxy", &["haproxy", "-f", "/srv"])
    .add(
        13,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-p", "p", "--", "b.cfg", "a.cfg"],
    )
    .add(
        14,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-f", "/srv/b.cfg"],
    )
    .add(
        15,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-c", "-f", "/srv/a.cfg"],
    )
    .add(16, 1, 'S', "/usr/bin/vim", &["vim", "-f", "/srv/a.cfg"])
    .add(
        17,
        1,
        'S',
        "/usr/sbin/haproxy",
        &["haproxy", "-C", "/", "-f", "a.cfg"],
    );
    assert_eq!(
        pids_of(&fake.proc().using(Path::new("/srv/a.cfg"))),
        [10, 11, 12, 13]
    );
}

#[test]
fn the_masters_socket_is_read_from_its_arguments() {
    let read = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        Arguments::parse(&words, Path::new("/srv"))
    };
    let debian = read(&["-Ws", "-f", "/etc/a", "-p", "/run/p", "-S", "/run/m.sock"]);
    assert_eq!(debian.master_socket, Some("/run/m.sock".into()));
    assert!(debian.master_worker);
    let options = read(&["-W", "-S", "unix@m.sock,mode,660,level,admin", "-x", "-f"]);
    assert_eq!(options.master_socket, Some("/srv/m.sock".into()));
    assert!(options.configs.is_empty());
}
