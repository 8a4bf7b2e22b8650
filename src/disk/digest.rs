use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// What stands for a content where two are compared: SHA-256, since app owners write parts of what
/// is compared, and two texts that collide would keep a change from being seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, content).as_ref());
        Self(bytes)
    }

    /// Equal for equal values, as far as their `Hash` tells them apart. Another compiler may give
    /// another one.
    #[must_use]
    pub fn of_value(value: &impl Hash) -> Self {
        let mut pieces = Pieces {
            digesting: Digesting::new(),
            small: Vec::with_capacity(2 * Pieces::ENOUGH),
        };
        value.hash(&mut pieces);
        pieces.digesting.add(&pieces.small);
        pieces.digesting.end()
    }

    /// The first `digits` hexadecimal digits, at most 64: enough for a name.
    #[must_use]
    pub fn short(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }
}

/// A digest of a content that comes in parts; where they were parted does not count.
pub struct Digesting(Context);

impl Digesting {
    /// Of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// The content goes on.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The content is complete.
    #[must_use]
    pub fn end(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Digesting {
    fn default() -> Self {
        Self::new()
    }
}

/// Collects what a value hashes, which comes in bits of a few bytes.
struct Pieces {
    digesting: Digesting,
    small: Vec<u8>,
}

impl Pieces {
    const ENOUGH: usize = 4096;
}

impl Hasher for Pieces {
    fn write(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
        if self.small.len() >= Self::ENOUGH {
            self.digesting.add(&self.small);
            self.small.clear();
        }
    }

    /// Nobody asks; the digest is what counts.
    fn finish(&self) -> u64 {
        0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            write!(text, "{byte:02x}")?;
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug)]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|NotADigest| de::Error::custom("expected 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_and_reads_back() {
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.short(8), "ba7816bf");
        let mut parts = Digesting::new();
        parts.add(b"a");
        parts.add(b"bc");
        assert_eq!(parts.end(), digest);
        for wrong in [
            "",
            "ba78",
            &text.replace('b', "g"),
            &text.replace("ba", "é"),
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_that_differ_anywhere_have_other_digests() {
        let value = |parts: &[&str]| Digest::of_value(&(1, parts));
        let long = "x".repeat(3 * Pieces::ENOUGH);
        let values = [
            value(&["ab", "c"]),
            value(&["a", "bc"]),
            value(&["abc"]),
            value(&[&long, "a"]),
            value(&[&long, "b"]),
        ];
        for (at, one) in values.iter().enumerate() {
            assert!(!values[..at].contains(one));
        }
        assert_eq!(value(&["ab", "c"]), values[0]);
    }
}
