//! Certificates: how a running process gets those that were renewed on the disk.
//!
//! In come the paths of files that hold something else now; out goes whether the process shows them.
//! Keys are among what it is given, so that nothing of that, nor of what it says to it, is shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing::debug;

use super::converge::Refusal;
use super::fallback::Fallback;
use super::maps::is_plain_path;
use crate::haproxy::certificates::{fingerprint, head_of, is_companion, with_companions};
use crate::haproxy::{Payload, Session, Version};

/// `set ssl cert`.
pub(super) const FIRST: Version = Version::new(2, 2);

/// A certificate with its key, as they lie there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// By which HAProxy knows it.
    path: String,
    own: Payload,
    /// Where it lies beside, under this name.
    key: Option<(String, Payload)>,
    fingerprint: String,
}

impl Renewed {
    /// What has to be told where these files hold something else.
    ///
    /// # Errors
    /// When one of them is nothing that HAProxy can be told of, or cannot be read.
    pub fn read(changed: &[PathBuf]) -> Result<Vec<Self>, Refusal> {
        let own = |path: &PathBuf| {
            if is_companion(path) && has_ending(path, "key") {
                path.with_extension("")
            } else {
                path.clone()
            }
        };
        let all: BTreeSet<PathBuf> = changed.iter().map(own).collect();
        all.iter().map(|path| Self::of(path)).collect()
    }

    fn of(path: &Path) -> Result<Self, Refusal> {
        let refuse = |why: &str| refusal(&path.display().to_string(), why);
        let name = path.to_str().filter(|name| is_plain_path(name));
        let name = name.ok_or_else(|| refuse("the path cannot stand in a command"))?;
        // What it was made of before would stay with the new one.
        let mut beside = with_companions(path).skip(2);
        let other = beside.find(|file| !has_ending(file, "key") && file.exists());
        if let Some(other) = other {
            let why = format!("HAProxy reads `{}` with it", other.display());
            return Err(refuse(&why));
        }
        let text = text_of(path).ok_or_else(|| refuse("it cannot be read as text"))?;
        let fingerprint = fingerprint(text.as_bytes());
        let fingerprint = fingerprint.ok_or_else(|| refuse("it holds no certificate"))?;
        let key = if text.contains("PRIVATE KEY-----") {
            None
        } else {
            let name = format!("{name}.key");
            let text = text_of(Path::new(&name));
            let text = text.ok_or_else(|| refuse("it holds no key, and none lies beside it"))?;
            Some((name, Payload::of(&text)))
        };
        Ok(Self {
            path: name.to_owned(),
            own: Payload::of(&text),
            key,
            fingerprint,
        })
    }

    /// What it consists of, in the order in which it can be told: a certificate without a key takes
    /// away the one of before.
    fn parts(&self) -> impl Iterator<Item = (&str, &Payload)> {
        let key = self.key.iter().map(|(name, key)| (name.as_str(), key));
        [(self.path.as_str(), &self.own)].into_iter().chain(key)
    }
}

/// Has the process show `renewed` from now on, and gives their paths. `room` is how large a payload
/// may be.
pub(super) async fn bring(
    session: &mut Session,
    renewed: &[Renewed],
    room: usize,
) -> Result<Vec<String>, Fallback> {
    if renewed.is_empty() {
        return Ok(Vec::new());
    }
    let listed = session.ask("show ssl cert").await?;
    for certificate in renewed {
        let path = certificate.path.as_str();
        if !listed.lines().any(|line| line == path) {
            return Err(refused(path, "it is none that the process has read"));
        }
        if certificate
            .parts()
            .any(|(_, payload)| payload.size() > room)
        {
            return Err(refused(path, "it is larger than HAProxy has room for"));
        }
    }
    for certificate in renewed {
        certificate.bring(session).await?;
    }
    Ok(renewed.iter().map(|one| one.path.clone()).collect())
}

impl Renewed {
    async fn bring(&self, session: &mut Session) -> Result<(), Fallback> {
        if let Err(error) = self.commit(session).await {
            // What was told counts for nothing; where nobody listens any more, it is over as well.
            let aborted = session.ask(&format!("abort ssl cert {}", self.path)).await;
            debug!("`{}` was given up: {}", self.path, aborted.is_ok());
            return Err(error);
        }
        let shown = session.ask(&format!("show ssl cert {}", self.path)).await?;
        let mut lines = shown.lines();
        let found = lines.find_map(|line| line.strip_prefix("SHA1 FingerPrint: "));
        if found == Some(self.fingerprint.as_str()) {
            return Ok(());
        }
        Err(refused(
            &self.path,
            "all was told, and another one is shown",
        ))
    }

    async fn commit(&self, session: &mut Session) -> Result<(), Fallback> {
        let path = &self.path;
        let mut word = "created";
        for (name, payload) in self.parts() {
            let reply = session
                .give(&format!("set ssl cert {name}"), payload)
                .await?;
            if reply != format!("Transaction {word} for certificate {path}!") {
                return Err(refused(name, "HAProxy does not take what it holds"));
            }
            word = "updated";
        }
        let reply = session.ask(&format!("commit ssl cert {path}")).await?;
        let dots = reply.strip_prefix("Committing ");
        let dots = dots.and_then(|rest| rest.strip_prefix(path.as_str()));
        let dots = dots.and_then(|rest| rest.strip_suffix("Success!"));
        if dots.is_none_or(|dots| dots.contains(|c| !".\n".contains(c))) {
            let why = format!(
                "`commit ssl cert` was answered with `{}`",
                reply.escape_debug()
            );
            return Err(refused(path, &why));
        }
        Ok(())
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|own| own == ending)
}

fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(head_of(path)?).ok()
}

fn refusal(path: &str, why: &str) -> Refusal {
    Refusal {
        subject: format!("`{}`", path.escape_debug()),
        why: why.to_owned(),
    }
}

fn refused(path: &str, why: &str) -> Fallback {
    Fallback::Certificate(refusal(path, why))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Made {
        certificate: String,
        key: String,
        fingerprint: String,
    }

    fn made() -> Made {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        Made {
            fingerprint: fingerprint(certificate.as_bytes()).unwrap(),
            certificate,
            key: made.signing_key.serialize_pem(),
        }
    }

    #[test]
    fn a_key_is_told_after_its_certificate_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let beside = folder.path().join("a.pem.key");
        let Made {
            certificate,
            key,
            fingerprint,
        } = made();
        assert_eq!(fingerprint.len(), 40);
        fs::write(&path, format!("{key}\n\n{certificate}")).unwrap();
        let [one] = &Renewed::read(std::slice::from_ref(&path)).unwrap()[..] else {
            panic!("one")
        };
        let name = path.to_str().unwrap();
        let whole = Payload::of(&format!("{key}{certificate}"));
        assert_eq!(one.parts().collect::<Vec<_>>(), [(name, &whole)]);
        assert_eq!(one.fingerprint, fingerprint);
        let shown = format!("{one:?}");
        assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");

        fs::write(&path, &certificate).unwrap();
        fs::write(&beside, &key).unwrap();
        // Both have changed, and they are one.
        let all = Renewed::read(&[beside.clone(), path.clone()]).unwrap();
        let [one] = &all[..] else { panic!("one") };
        let (own, key) = (Payload::of(&certificate), Payload::of(&key));
        let name_of_key = beside.to_str().unwrap();
        let want = [(name, &own), (name_of_key, &key)];
        assert_eq!(one.parts().collect::<Vec<_>>(), want);
    }

    #[test]
    fn what_cannot_be_told_is_refused_without_a_word_of_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let Made {
            certificate, key, ..
        } = made();
        let both = format!("{certificate}{key}");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let ocsp = file("o.pem", &both);
        file("o.pem.ocsp", "");
        for (path, why) in [
            (file("no.pem", "SECRET"), "it holds no certificate"),
            (file("only.pem", &certificate), "and none lies beside it"),
            (file("key.pem", &key), "it holds no certificate"),
            (file("a b.pem", &both), "cannot stand in a command"),
            (folder.path().join("gone.pem"), "it cannot be read"),
            (ocsp, "o.pem.ocsp` with it"),
        ] {
            let error = Renewed::read(std::slice::from_ref(&path)).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(why), "{path:?}: {error}");
            let mut lines = key.lines().chain(["SECRET"]);
            assert!(lines.all(|line| !error.contains(line)), "{error}");
        }
    }
}
