//! SELinux, as far as it keeps HAProxy from the tasks.

use std::path::Path;

use super::host::Look;

/// What lets it go to every port.
pub const MEND: &str = "setsebool -P haproxy_connect_any 1";

/// What people should know of it.
pub const SAYS: &str = "SELinux is enforced here, and lets HAProxy listen on few ports and reach few: \
                        `haproxy_connect_any` is off";

/// Whether it is enforced, and lets HAProxy listen on and reach the ports of its own policy alone.
#[must_use]
pub fn confines_haproxy(look: &dyn Look) -> bool {
    let first = |path: &str| {
        let found = look.file(Path::new(path)).ok().flatten()?;
        found.content.first().copied()
    };
    // The first of two is the one that counts now.
    first("/sys/fs/selinux/enforce") == Some(b'1')
        && first("/sys/fs/selinux/booleans/haproxy_connect_any") == Some(b'0')
}
