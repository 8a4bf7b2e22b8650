//! Lists of users, as far as their ends have to meet, and their passwords cost HAProxy time.
//!
//! HAProxy looks for groups of users and users of groups once it has read all of a file, and refuses it
//! for the first list in which one is missing, without a line. So many bad lists cost many checks.

use super::Line;
use super::password::is_quick;

/// A user or group that a list names and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `group` or `user`.
    pub kind: &'static str,
    /// The one that is missing.
    pub name: String,
    /// Who names it: a user or a group.
    pub of: String,
}

/// More passwords in a list of users, and in all of one app, than any needs: HAProxy computes each when
/// it reads the file.
pub const MOST_PASSWORDS: usize = 50;

/// The passwords of a text that HAProxy computes, as it reads them.
pub fn passwords(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(|line| Line::of(line).words);
    let of_users = lines.filter(|words| words.first().is_some_and(|word| word == "user"));
    of_users.flat_map(|words| {
        let pairs = words.windows(2);
        let named = pairs.filter(|pair| pair[0] == "password");
        named.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    })
}

/// The first password of a text over which HAProxy takes too long.
#[must_use]
pub fn slow_password(text: &str) -> Option<String> {
    passwords(text).find(|password| !is_quick(password))
}

/// Users and groups of one list, and whom they name.
#[derive(Default)]
struct List {
    users: Vec<Entry>,
    groups: Vec<Entry>,
}

struct Entry {
    name: String,
    named: Vec<String>,
}

/// The first that is missing in the lists of a text.
#[must_use]
pub fn missing(text: &str) -> Option<Missing> {
    let mut list = List::default();
    for line in text.lines() {
        let words = Line::of(line).words;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["userlist", ..] => {
                if let Some(missing) = list.missing() {
                    return Some(missing);
                }
                list = List::default();
            }
            ["user", name, ref rest @ ..] => add(&mut list.users, name, rest, "groups"),
            ["group", name, ref rest @ ..] => add(&mut list.groups, name, rest, "users"),
            _ => (),
        }
    }
    list.missing()
}

/// One that has the name already is passed over; of several lists of names the last one counts.
fn add(all: &mut Vec<Entry>, name: &str, rest: &[&str], before: &str) {
    if all.iter().any(|known| known.name == name) {
        return;
    }
    let mut pairs = rest.windows(2).rev();
    let named = pairs.find(|pair| pair[0] == before).map(|pair| pair[1]);
    let named = named.into_iter().flat_map(|names| names.split(','));
    all.push(Entry {
        name: name.to_owned(),
        named: named
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    });
}

impl List {
    fn missing(&self) -> Option<Missing> {
        let of_users = first_missing(&self.users, &self.groups, "group");
        of_users.or_else(|| first_missing(&self.groups, &self.users, "user"))
    }
}

fn first_missing(from: &[Entry], among: &[Entry], kind: &'static str) -> Option<Missing> {
    from.iter().find_map(|entry| {
        let is_missing = |name: &&String| !among.iter().any(|known| known.name == **name);
        let name = entry.named.iter().find(is_missing)?;
        Some(Missing {
            kind,
            name: name.clone(),
            of: entry.name.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_however_they_are_written() {
        for (line, slow) in [
            ("user a password $5$rounds=5000$s$h", None),
            ("user a insecure-password $5$rounds=50000$s$h", None),
            ("# user a password $5$rounds=50000$s$h", None),
            ("user a password $5$rounds=50000$s$h", Some(())),
            ("user a password '$5$rounds=50000$s$h'", Some(())),
            (r"user a password $5$rounds\x3d50000$s$h", Some(())),
            (r#"user a password "\$5\$rounds=50000\$s\$h""#, Some(())),
            ("user a groups g password $2b$31$h", Some(())),
            ("'user' a password x password $2b$31$h", Some(())),
        ] {
            let found = slow_password(&format!("userlist u\n  {line}\n"));
            assert_eq!(found.map(|_| ()), slow, "{line}");
        }
    }

    /// As HAProxy 2.6 does.
    #[test]
    fn a_list_has_the_groups_of_its_users_and_the_users_of_its_groups() {
        for (text, expected) in [
            (
                "userlist u\n  user b insecure-password x groups g\n  group g\n",
                None,
            ),
            (
                "userlist u\n  group g users b\n  user b password x groups g\n",
                None,
            ),
            (
                "userlist u\n  user b groups g,,h\n  group g\n  group h\n",
                None,
            ),
            ("userlist u\n  group g users\n  group g users x\n", None),
            (
                "userlist u\n  # user b groups x\n  user b\n  user b groups x\n",
                None,
            ),
            ("userlist u\n  user b groups x groups g\n  group g\n", None),
            ("", None),
            (
                "userlist u\n  user b insecure-password x groups g,h\n  group g\n",
                Some(("group", "h", "b")),
            ),
            (
                "userlist u\n  group g users nobody,b\n  user b\n",
                Some(("user", "nobody", "g")),
            ),
            (
                "userlist u\n  user b groups g\nuserlist v\n  group g\n",
                Some(("group", "g", "b")),
            ),
            (
                "userlist u\n  user b groups 'g h'\n  group g\n",
                Some(("group", "g h", "b")),
            ),
        ] {
            let expected = expected.map(|(kind, name, of): (_, &str, &str)| Missing {
                kind,
                name: name.to_owned(),
                of: of.to_owned(),
            });
            assert_eq!(missing(text), expected, "{text}");
        }
    }
}
