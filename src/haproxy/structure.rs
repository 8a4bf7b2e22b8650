//! The hash of a configuration's structure: what a reload is needed for.
//!
//! In comes the text of `haproxy.cfg`; out go 16 hex digits that stay the same while only servers
//! come and go, and backends that a HAProxy can be told of. It is written into `global` `description`, so that `show info` tells which
//! structure a process runs.

use super::addable::{addable_in, sections};
use super::global::section;

/// The hash of `config` without the `server` lines of its proxies, without backends that say nothing
/// but these ([`addable`](super::addable)), and without the `description` of `global`, which holds
/// this very hash. Maps lie in other files and do not count.
///
/// 64-bit FNV-1a, by hand: the hash is compared across runs and releases, and the standard
/// library's hasher promises no such thing.
#[must_use]
pub fn structure_hash(config: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut inside = "";
    let fixed = sections(config).filter(|section| addable_in(section).is_none());
    for line in fixed.flat_map(str::lines) {
        inside = section(line).unwrap_or(inside);
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if matches!(
            (inside, word),
            ("backend" | "listen", "server") | ("global", "description")
        ) {
            continue;
        }
        for byte in line.bytes().chain([b'\n']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "global\n  description old\n\nlisten a\n  bind :1\n  server x 1.1.1.1:1\n";

    #[test]
    fn servers_and_the_hash_itself_do_not_count() {
        let same = "global\n  description new\n\nlisten a\n  bind :1\n  server y 2.2.2.2:2\n  server z 3:3\n";
        assert_eq!(structure_hash(CONFIG), structure_hash(same));
        assert_eq!(
            structure_hash(CONFIG),
            structure_hash(&CONFIG.replace("  description old\n", ""))
        );
    }

    /// A process that was told of them says the same of itself as one that read the file.
    #[test]
    fn backends_that_take_all_from_a_profile_do_not_count() {
        let profiles = format!("{CONFIG}\ndefaults p\n  mode http\n");
        let one = "\nbackend b from p\n  server x h:1\n";
        let other = "\n# its own remark\nbackend c from p\n";
        let tail = "\n# extra\nlisten z\n  bind :3\n";
        let hash = structure_hash(&format!("{profiles}{tail}"));
        for backends in [
            one.to_owned(),
            format!("{one}{other}"),
            format!("{other}{one}"),
        ] {
            let config = format!("{profiles}{backends}{tail}");
            assert_eq!(structure_hash(&config), hash, "{config}");
            let own = config.replacen("from p\n", "from p\n  balance first\n", 1);
            assert_ne!(structure_hash(&own), hash, "{own}");
            let other_profile = config.replace("mode http", "mode tcp");
            assert_ne!(structure_hash(&other_profile), hash, "{other_profile}");
        }
    }

    #[test]
    fn everything_else_counts() {
        for (from, to) in [
            ("bind :1", "bind :2"),
            ("listen a", "listen b"),
            ("  server x", "  default-server x"),
            ("  server x", "  description x"),
            ("\n\n", "\n"),
            ("listen a", "peers a"),
        ] {
            let other = CONFIG.replacen(from, to, 1);
            assert_ne!(
                structure_hash(CONFIG),
                structure_hash(&other),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(structure_hash(""), "cbf29ce484222325");
        // FNV-1a of "a\n", computed by hand from the published constants.
        assert_eq!(structure_hash("a"), format!("{:016x}", fnv(b"a\n")));
        assert_eq!(structure_hash(CONFIG).len(), 16);
    }

    fn fnv(bytes: &[u8]) -> u128 {
        let step =
            |hash: u128, byte: &u8| ((hash ^ u128::from(*byte)) * 0x0100_0000_01b3) % (1 << 64);
        bytes.iter().fold(14_695_981_039_346_656_037, step)
    }
}
