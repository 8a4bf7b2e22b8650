//! Maps: what a running process has in them, and how it gets what their files say.
//!
//! In come the texts of files that are installed; out goes which of them were changed in the process.
//! A map becomes another in one step, so that each lookup finds all of the old one or all of the new
//! one; where several change, rows that go do so last.

use std::collections::BTreeSet;

use tracing::debug;

use super::converge::Refusal;
use super::fallback::Fallback;
use crate::apply::maps::{proxies, rows, widen};
use crate::haproxy::{Payload, Session, Version};

/// Versions of a map that are made beside the one that counts.
pub(super) const FIRST: Version = Version::new(2, 4);

/// A map as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapText<'a> {
    /// By which HAProxy knows it: the path in `haproxy.cfg`.
    pub path: String,
    /// Of the whole file.
    pub text: &'a str,
    /// It is another one than before; else it is only looked at, as far as that can be done.
    pub has_changed: bool,
}

/// A map of which the process has something else.
struct Differing<'m> {
    path: &'m str,
    present: String,
    wanted: String,
}

/// Whether it can stand in a command as it is.
pub(super) fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.,:+=@%~".contains(&byte);
    path.starts_with('/') && path.bytes().all(is_plain)
}

/// Brings those of `maps` of which the process has something else to what their files say, and gives
/// their paths. `cfg` is what it runs, and `room` how large a payload may be.
///
/// That each backend they name is there follows from the structure, which is the same, and from those
/// that were added before.
pub(super) async fn bring(
    session: &mut Session,
    maps: &[MapText<'_>],
    cfg: &str,
    room: usize,
) -> Result<Vec<String>, Fallback> {
    let mut differing = Vec::new();
    for map in maps {
        match map.compare(session, room).await {
            Ok(Some(found)) => differing.push(found),
            Ok(None) => (),
            // Templates may use one in another way than ours do, or not at all.
            Err(Fallback::Map(why)) if !map.has_changed => debug!("not looked at: {why}"),
            Err(error) => return Err(error),
        }
    }
    if differing.len() > 1 {
        // Who looks up in one after the other must not find the way gone in between.
        let proxies = proxies(cfg.as_bytes());
        for map in &mut differing {
            let wide = map.wide(&proxies);
            map.become_of(session, &wide, room).await?;
        }
    }
    // What leads into other maps comes behind these by its name (`suffix2domain.map`).
    for map in differing.iter_mut().rev() {
        let wanted = map.wanted.clone();
        map.become_of(session, &wanted, room).await?;
    }
    // What it has now counts, not what it answered.
    for map in &differing {
        if present(session, map.path).await? != map.wanted {
            return Err(refused(map.path, "all was told, and it has other rows"));
        }
    }
    Ok(differing.iter().map(|map| map.path.to_owned()).collect())
}

impl MapText<'_> {
    async fn compare(
        &self,
        session: &mut Session,
        room: usize,
    ) -> Result<Option<Differing<'_>>, Fallback> {
        let wanted = normal(&self.path, self.text, room)?;
        let present = present(session, &self.path).await?;
        Ok((present != wanted).then_some(Differing {
            path: &self.path,
            present,
            wanted,
        }))
    }
}

impl Differing<'_> {
    /// With the rows of both.
    fn wide(&self, proxies: &BTreeSet<&[u8]>) -> String {
        let wide = widen(self.present.as_bytes(), self.wanted.as_bytes(), proxies);
        String::from_utf8_lossy(&wide).into_owned()
    }

    async fn become_of(
        &mut self,
        session: &mut Session,
        rows: &str,
        room: usize,
    ) -> Result<(), Fallback> {
        if self.present != rows {
            replace(session, self.path, rows, room).await?;
            rows.clone_into(&mut self.present);
        }
        Ok(())
    }
}

/// Its rows as HAProxy reads them, a key and a value each; `Err` where a command would read others.
fn normal(path: &str, text: &str, room: usize) -> Result<String, Fallback> {
    if !is_plain_path(path) {
        return Err(refused(path, "the path cannot stand in a command"));
    }
    let mut all = String::with_capacity(text.len());
    for row in rows(text.as_bytes()) {
        let row = String::from_utf8_lossy(row);
        let words: Vec<&str> = row.split_ascii_whitespace().collect();
        let &[key, value] = words.as_slice() else {
            let why = format!("a row is not a key with a value: `{}`", row.escape_debug());
            return Err(refused(path, &why));
        };
        if key.len() + value.len() + 2 > room {
            return Err(refused(path, "a row is longer than HAProxy has room for"));
        }
        all.push_str(key);
        all.push(' ');
        all.push_str(value);
        all.push('\n');
    }
    Ok(all)
}

/// What the process has, in the order in which it looks.
async fn present(session: &mut Session, path: &str) -> Result<String, Fallback> {
    let reply = session.ask(&format!("show map {path}")).await?;
    let mut all = String::with_capacity(reply.len());
    for line in reply.lines() {
        // An address in its memory comes first.
        match line.split_once(' ') {
            Some((address, row)) if address.starts_with("0x") => {
                all.push_str(row);
                all.push('\n');
            }
            // It knows no such map, or does not let us ask.
            _ => return Err(surprise(path, "show map", &reply)),
        }
    }
    Ok(all)
}

/// Has the process look up in `rows` from now on.
async fn replace(
    session: &mut Session,
    path: &str,
    rows: &str,
    room: usize,
) -> Result<(), Fallback> {
    let reply = session.ask(&format!("prepare map {path}")).await?;
    let version = reply.strip_prefix("New version created: ");
    let version = version.and_then(|text| text.parse::<u32>().ok());
    let Some(version) = version else {
        return Err(surprise(path, "prepare map", &reply));
    };
    for payload in payloads(rows, room) {
        let command = format!("add map @{version} {path}");
        let reply = session.give(&command, &payload).await?;
        if !reply.is_empty() {
            return Err(surprise(path, "add map", &reply));
        }
    }
    let reply = session
        .ask(&format!("commit map @{version} {path}"))
        .await?;
    if !reply.is_empty() {
        return Err(surprise(path, "commit map", &reply));
    }
    debug!("`{path}` has version {version} with {} bytes", rows.len());
    Ok(())
}

/// Rows, as many as there is room for each time.
fn payloads(rows: &str, room: usize) -> Vec<Payload> {
    let mut all = Vec::new();
    let mut begin = 0;
    let mut end = 0;
    for row in rows.split_inclusive('\n') {
        if end > begin && end + row.len() - begin > room {
            all.push(Payload::of(&rows[begin..end]));
            begin = end;
        }
        end += row.len();
    }
    if end > begin {
        all.push(Payload::of(&rows[begin..end]));
    }
    all
}

fn refused(path: &str, why: &str) -> Fallback {
    Fallback::Map(Refusal {
        subject: format!("`{}`", path.escape_debug()),
        why: why.to_owned(),
    })
}

fn surprise(path: &str, command: &str, reply: &str) -> Fallback {
    let reply: String = reply.trim().chars().take(200).collect();
    let why = format!("`{command}` was answered with `{}`", reply.escape_debug());
    refused(path, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1000;

    #[test]
    fn rows_are_those_that_a_process_reads_from_the_file() {
        let text = "# note\n\n a.test\tA \r\n/x#y;\\z   B\n";
        assert_eq!(normal("/m", text, ROOM).unwrap(), "a.test A\n/x#y;\\z B\n");
        assert_eq!(normal("/m", "", ROOM).unwrap(), "");
        for (path, text, why) in [
            ("/m", "a\n", "not a key with a value: `a`"),
            ("/m", "a b c\n", "not a key with a value: `a b c`"),
            ("/m;n", "a b\n", "the path cannot stand in a command"),
            ("m", "a b\n", "the path cannot stand in a command"),
        ] {
            let error = normal(path, text, ROOM).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        let long = format!("{} A\n", "k".repeat(ROOM));
        let error = normal("/m", &long, ROOM).unwrap_err().to_string();
        assert!(
            error.contains("longer than HAProxy has room for"),
            "{error}"
        );
    }

    #[test]
    fn no_payload_is_larger_than_there_is_room_for() {
        let rows: String = (0..500).map(|n| format!("host-{n}.test A\n")).collect();
        let all = payloads(&rows, ROOM);
        assert!(all.len() > 5);
        assert!(all.iter().all(|payload| payload.size() <= ROOM));
        let sum: usize = all.iter().map(Payload::size).sum();
        assert_eq!(sum, rows.len());
        assert!(payloads("", ROOM).is_empty());
    }
}
