//! What a few sections have to do with the rest of a file: so much of it that these can be told without
//! reading all of it.

use super::mark_of;
use crate::haproxy::opens_section;

/// What stands before the sections of a file, and what stands for its structure. Changes of servers
/// leave both as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    head: String,
    /// As HAProxy tells it in `description`.
    pub(crate) structure: String,
}

impl Frame {
    /// `None` where HAProxy does not tell what it runs, or `defaults` stand among the sections: which
    /// of them count is then a matter of the whole file.
    #[must_use]
    pub fn of(cfg: &str) -> Option<Self> {
        let structure = mark_of(cfg)?;
        let mut head = None;
        let mut at = 0;
        for line in cfg.split_inclusive('\n') {
            let word = line.split_ascii_whitespace().next().unwrap_or_default();
            if opens_section(word) {
                let is_proxy = matches!(word, "frontend" | "listen" | "backend");
                if head.is_none() && is_proxy {
                    head = Some(cfg[..at].to_owned());
                } else if head.is_some() && word == "defaults" {
                    return None;
                }
            }
            at += line.len();
        }
        head.map(|head| Self { head, structure })
    }

    /// A file that has these sections alone.
    #[must_use]
    pub fn around(&self, sections: &str) -> String {
        format!("{}{sections}", self.head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::structure_hash;

    fn marked(body: &str) -> String {
        let hash = structure_hash(&format!("global\n{body}"));
        format!("global\n  description {hash}\n{body}")
    }

    #[test]
    fn it_is_what_stands_before_the_first_section() {
        let body =
            "defaults\n  mode http\nlisten stats\n  bind :1\nbackend a\n  server x 1.1.1.1:1\n";
        let cfg = marked(body);
        let frame = Frame::of(&cfg).unwrap();
        assert_eq!(Some(&frame.structure), mark_of(&cfg).as_ref());
        let around = frame.around("backend a\n");
        assert!(
            around.ends_with("defaults\n  mode http\nbackend a\n"),
            "{around}"
        );
        assert!(around.starts_with("global\n  description "), "{around}");
    }

    #[test]
    fn there_is_none_where_the_whole_file_counts() {
        let cases = [
            marked("defaults\nbackend a\ndefaults\nbackend b\n"),
            marked("defaults\n"),
            "global\n  description other\ndefaults\nbackend a\n".to_owned(),
        ];
        for cfg in cases {
            assert_eq!(Frame::of(&cfg), None, "{cfg}");
        }
    }
}
