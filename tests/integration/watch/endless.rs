//! Files that have no end, or hide behind a dot, keep no watcher from its work; one that is kept from it
//! all the same does not count as well.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use haproxy_marathon_bridge::demo::free_ports;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{NEVER, Watcher};
use crate::access::secret;
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{count, swap_in};

/// Puts something without an end there.
type Put = fn(&Path);

fn pipe(path: &Path) {
    mkfifo(path, Mode::S_IRWXU).unwrap();
}

fn device(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

/// Of holes alone.
fn large(path: &Path) {
    File::create(path).unwrap().set_len(1 << 30).unwrap();
}

#[test]
fn what_has_no_end_is_named_and_tasks_are_followed_meanwhile() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let token = secret(host.root(), "token", "x\n");
    let extra = host.write("extra/a.cfg", "# mine\n");
    let head = host.path("templates/fragments/head.cfg.tera");
    let options = format!(
        "marathon = {:?}\nauth-token-file = {token:?}\nextra-config = {:?}\n",
        web.url(),
        extra.parent().unwrap()
    );
    let config = host.write("config.toml", &options);
    let words = [NEVER, &["--config", config.to_str().unwrap()]].concat();
    let mut watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let rows: [(&Path, Put, &str); 6] = [
        (&config, pipe, "it is a pipe"),
        (&config, large, "found 1073741824 bytes"),
        (Path::new(&token), device, "it is a device"),
        (&head, pipe, "it is a pipe"),
        (&extra, device, "it is a device"),
        (&extra, pipe, "it is a pipe"),
    ];
    for (path, endless, kind) in rows {
        let aside = host.path("aside");
        fs::rename(path, &aside).unwrap();
        endless(path);
        let mut said = watcher.says(kind);
        let last = &said[said.len() - 1];
        assert!(last.contains(path.to_str().unwrap()), "{last}");
        web.scale_up();
        said.extend(watcher.says("installed `"));
        assert!(host.installed().contains(&web.newest_address()));
        fs::rename(&aside, path).unwrap();
        wait_until("the end of it", || {
            said.extend(watcher.said());
            count(&said, "over: ") == count(&said, "Z error: ")
        });
    }
    fs::remove_file(&config).unwrap();
    pipe(&config);
    watcher.says("it is a pipe");
    watcher.send(Signal::SIGTERM);
    assert_eq!(watcher.ended().0.code(), Some(0));
    let refreshed = host.refresh::<&str>(&[], &words[2..]).expect(2);
    refreshed.says(&["cannot be read as the file of options: it is a pipe"]);
}

/// As Emacs and others leave them.
#[test]
fn hidden_files_beside_templates_and_sections_are_passed_over() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let extra = host.write("extra/a.cfg", "# one\n");
    let head = host.path("templates/fragments/head.cfg.tera");
    host.write("extra/.old.cfg", "nonsense\n");
    let lock = |beside: &Path, name: &str| {
        symlink("me@host.123:1", beside.with_file_name(name)).unwrap();
    };
    lock(&extra, ".#a.cfg");
    let folder = extra.parent().unwrap().to_str().unwrap();
    let words = [NEVER, &["--extra-config", folder]].concat();
    let watcher = Watcher::serving(&host, &web, &words);
    lock(&head, ".#head.cfg.tera");
    swap_in(&extra, "# two\n");
    watcher.says("installed `");
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text + "# three\n").unwrap();
    watcher.says("installed `");
    for part in ["# two", "# three"] {
        assert!(host.installed().contains(part));
    }
    // Others that lead nowhere are told of.
    lock(&extra, "b.cfg");
    let said = watcher.says("what was changed is not put to use");
    assert!(said[said.len() - 1].contains("b.cfg"), "{said:#?}");
}

#[test]
fn a_watcher_that_listens_and_does_not_answer_is_not_well() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    wait_until("a good status", || host.status().status.success());
    watcher.send(Signal::SIGSTOP);
    let told = host.status().expect(1);
    told.prints(&["haproxy.cfg: the watcher does not answer\n", "nothing came"]);
    watcher.send(Signal::SIGCONT);
    host.status().expect(0).prints(&["all is well"]);
}

/// As after one that HAProxy refuses.
#[test]
fn a_watcher_starts_with_a_template_that_cannot_be_read_and_waits_for_it() {
    let host = Host::new();
    let mut web = Web::start();
    host.refresh(&web.url(), &[]).expect(0);
    let before = host.installed();
    let listen = host.path("templates/listen.cfg.tera");
    let good = fs::read_to_string(&listen).unwrap();
    swap_in(&listen, &format!("{good}{{% if x"));
    let watcher = Watcher::of(&host, &web, NEVER);
    let mut said = watcher.says("nothing is applied until that is mended");
    let last = &said[said.len() - 1];
    assert!(last.contains("listen.cfg.tera"), "in one line: {said:#?}");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let told = host.status().expect(1);
    told.prints(&["something is wrong", "listen.cfg.tera"]);
    // HAProxy is looked after meanwhile.
    host.kill();
    said.extend(watcher.says("HAProxy had ended, and was brought to the files that it ran"));
    web.scale_up();
    assert_eq!(web.connect().ask(), "web-0");

    fs::remove_file(&listen).unwrap();
    device(&listen);
    said.extend(watcher.says("it is a device"));
    assert_eq!(host.installed(), before);
    swap_in(&listen, &good);
    said.extend(watcher.says("installed `"));
    assert!(host.installed().contains(&web.newest_address()));
    assert_eq!(count(&said, "Z error: "), 2, "{said:#?}");
    wait_until("a good status", || host.status().status.success());
}

/// Without it, the text of the program alone is what is wanted.
#[test]
fn a_watcher_that_waits_for_a_template_takes_a_turn_where_it_is_taken_away() {
    let host = Host::new();
    let web = Web::start();
    fs::remove_dir_all(host.path("templates")).unwrap();
    let broken = host.write("templates/listen.cfg.tera", "{% if x");
    let watcher = Watcher::of(&host, &web, &[NEVER, &["--reload", "none"]].concat());
    watcher.says("nothing is applied until that is mended");
    fs::remove_file(&broken).unwrap();
    watcher.says("installed `");
}
