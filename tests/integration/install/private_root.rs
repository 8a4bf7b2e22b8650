//! A root of its own: this system as it is, or a clean tree of one, with a layer over it that takes
//! every change and is gone with the processes that lived in it. It has its own processes, and a network
//! of its own, so that ports are free.
//!
//! It needs root, or a kernel that lets users be root in a namespace. Where there is neither, the tests
//! that want one say so and are over; with `HMB_TEST_ALL=1` they fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Done, haproxy};

/// Makes the layer, and runs what is to be run in it. The program lies at /opt/bridge. A clean tree has
/// devices of its own, since whatever starts a system there makes more of them.
const ENTER: &str = r#"
mount -t tmpfs none "$PLACE"
cd "$PLACE"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$PLACE/upper,workdir=$PLACE/work" root
mount -t proc proc root/proc
if [ "$TREE" = / ]; then
    mount --rbind /dev root/dev
else
    mount -t tmpfs -o mode=755 none root/dev
    mkdir root/dev/pts root/dev/shm
    for node in null zero full random urandom tty; do
        : > root/dev/$node
        mount --bind /dev/$node root/dev/$node
    done
    ln -s /proc/self/fd root/dev/fd
    ln -s pts/ptmx root/dev/ptmx
    mount -t devpts -o newinstance,ptmxmode=666 none root/dev/pts
    mount -t tmpfs none root/run
fi
mkdir -p root/opt
while read -r name file; do
    : > "root/opt/$name"
    mount --bind "$file" "root/opt/$name"
done << END
$FILES
END
printf '%s' "$SCRIPT" > root/opt/script
rm -rf root/etc/haproxy-marathon-bridge root/var/lib/haproxy-marathon-bridge \
    root/etc/systemd/system/haproxy-marathon-bridge* root/etc/cron.d/haproxy-marathon-bridge
mount -t tmpfs none root/srv
command -v ip > /dev/null && ip link set lo up
if [ "$TREE" != / ]; then
    # systemd gives services roots of their own, which nobody can in a root that chroot made.
    mkdir root/before
    pivot_root root root/before
    cd /
    umount -l before
    rmdir before
    exec /bin/sh -eu /opt/script
fi
exec chroot root /bin/sh -eu /opt/script
"#;

/// What a script printed, by the headings `== NAME` that it printed before.
#[derive(Debug)]
pub(super) struct Told {
    parts: BTreeMap<String, String>,
}

impl Told {
    #[track_caller]
    pub(super) fn part(&self, name: &str) -> &str {
        let part = self.parts.get(name);
        part.unwrap_or_else(|| panic!("nothing was told of `{name}`: {self:#?}"))
    }

    /// Asserts that all of this stands in a part.
    #[track_caller]
    pub(super) fn says(&self, name: &str, texts: &[&str]) {
        let part = self.part(name);
        for text in texts {
            assert!(part.contains(text), "`{text}` is not in `{name}`:\n{part}");
        }
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--net", "--fork", "--kill-child"]);
    if !nix::unistd::Uid::effective().is_root() {
        command.arg("--map-root-user");
    }
    command.env_clear().env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command
}

/// Runs `script` in a root of its own; `None` where there can be none.
pub(super) fn run(script: &str) -> Option<Told> {
    run_in(Path::new("/"), &[], script)
}

/// The same in a copy of `tree`, with these files in `/opt` under these names.
pub(super) fn run_in(tree: &Path, files: &[(&str, &Path)], script: &str) -> Option<Told> {
    haproxy();
    let place = TempDir::new().unwrap();
    let mut probe = unshare();
    probe
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(place.path());
    if !probe.output().is_ok_and(|done| done.status.success()) {
        assert!(
            std::env::var_os("HMB_TEST_ALL").is_none(),
            "there can be no root of its own here: it needs root, or namespaces for users"
        );
        eprintln!("not tested: there can be no root of its own here");
        return None;
    }
    let program = [(
        "bridge",
        Path::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge")),
    )];
    let real = |path: &Path| fs::canonicalize(path).unwrap();
    let lines = program.iter().chain(files);
    let lines: Vec<String> = lines
        .map(|(name, path)| format!("{name} {}", real(path).display()))
        .collect();
    let mut command = unshare();
    command
        .args(["/bin/sh", "-euc", ENTER])
        .env("PLACE", place.path())
        .env("TREE", real(tree))
        .env("FILES", lines.join("\n"))
        .env("SCRIPT", script);
    let done = Done::of(command);
    assert!(done.status.success(), "{}\n{}", done.stdout, done.stderr);
    let parts = format!("\n{}", done.stdout);
    let parts = parts.split("\n== ").skip(1).map(|part| {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        (name.to_owned(), text.trim_end().to_owned())
    });
    Some(Told {
        parts: parts.collect(),
    })
}

/// What `make test-packages` made, by the name of its variable; `None` in other runs of the tests.
pub(super) fn made(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// A saved answer of Marathon with one app on this service port.
pub(super) fn apps(port: u16) -> String {
    format!(
        r#"{{"apps": [{{"id": "/web", "ports": [{port}], "tasks": [{{"host": "127.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}}]}}]}}"#
    )
}
