//! What the owners of simulated apps say of them, as far as labels count.

use std::fmt::Write as _;

use crate::random::Random;

/// The group that is served.
pub(crate) const GROUP: &str = "web";

/// The ways to choose a server that the simulated HAProxy knows.
pub(crate) const BALANCES: [&str; 3] = ["roundrobin", "leastconn", "source"];

/// What nobody can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadLabel {
    /// HAProxy refuses it.
    Refused(&'static str),
    /// It never comes as far as that, since it would open a line.
    Unreadable,
}

impl BadLabel {
    const ALL: [Self; 3] = [
        Self::Refused("fastest"),
        Self::Refused("luckiest"),
        Self::Unreadable,
    ];

    fn balance(self) -> &'static str {
        match self {
            Self::Refused(word) => word,
            Self::Unreadable => "source\\n  server evil h:1",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) group: &'static str,
    vhost: Option<&'static str>,
    path: Option<&'static str>,
    pub(crate) balance: &'static str,
    pub(crate) bad: Option<BadLabel>,
}

impl Labels {
    pub(crate) fn new(random: &mut Random) -> Self {
        let vhosts = [
            None,
            Some("a.example.com"),
            Some("b.example.com"),
            Some("c.example.com,www.c.example.com"),
        ];
        Self {
            group: if random.percent(90) { GROUP } else { "intern" },
            vhost: random.pick(&vhosts),
            path: random.percent(25).then_some("/shop"),
            balance: random.pick(&BALANCES),
            bad: random.percent(8).then(|| random.pick(&BadLabel::ALL)),
        }
    }

    /// Nothing that anybody could refuse.
    pub(crate) fn good() -> Self {
        Self {
            group: GROUP,
            vhost: None,
            path: None,
            balance: BALANCES[0],
            bad: None,
        }
    }

    /// Says something else.
    pub(crate) fn change(&mut self, random: &mut Random) {
        match random.below(8) {
            0..=3 => self.bad = Some(random.pick(&BadLabel::ALL)),
            4 | 5 => self.bad = None,
            6 => self.balance = random.pick(&BALANCES),
            _ => *self = Self::new(random),
        }
    }

    /// As a member of an app.
    pub(crate) fn json(&self) -> String {
        let balance = self.bad.map_or(self.balance, BadLabel::balance);
        let group = self.group;
        let mut text =
            format!(r#""labels":{{"HAPROXY_GROUP":"{group}","HAPROXY_0_BALANCE":"{balance}""#);
        for (name, value) in [("VHOST", self.vhost), ("PATH", self.path)] {
            if let Some(value) = value {
                write!(text, r#","HAPROXY_0_{name}":"{value}""#).expect("a String takes all text");
            }
        }
        text.push_str("},");
        text
    }
}
