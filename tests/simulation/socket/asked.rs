//! What is wanted of one HAProxy: a few sections of each kind, whose tasks come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use haproxy_marathon_bridge::apply::FileSet;
use haproxy_marathon_bridge::haproxy::structure_hash;
use haproxy_marathon_bridge::proxy::native::slot_of;

use crate::random::Random;

/// The map beside the file.
pub(super) const MAP: &str = "hosts.map";

/// How servers of a section can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They are added and taken away.
    Added,
    /// They are in slots.
    Slots,
    /// They cannot be told of at all.
    Fixed,
    /// As `Added`, and the section can come and go itself.
    Profiled,
}

#[derive(Clone, Debug)]
struct Task {
    number: u32,
    weight: u16,
    rests: bool,
}

#[derive(Clone, Debug)]
struct Section {
    kind: Kind,
    is_checked: bool,
    tasks: Vec<Task>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    sections: BTreeMap<String, Section>,
    /// Hosts without a section of their own, to make the map large.
    others: usize,
    structure: u32,
    spares: usize,
    next: u32,
}

impl Asked {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut asked = Self {
            sections: BTreeMap::new(),
            others: 0,
            structure: 0,
            spares: random.pick(&[0, 0, 1, 2]),
            next: 1,
        };
        let kinds = [Kind::Added, Kind::Slots, Kind::Fixed, Kind::Profiled];
        for (name, own) in ["a", "b", "c", "d"].into_iter().zip(kinds) {
            // Who cannot be told of at all costs a reload each time.
            if own == Kind::Added || random.percent(60) {
                asked.come(name, own, random);
            }
        }
        asked
    }

    fn come(&mut self, name: &str, kind: Kind, random: &mut Random) {
        let section = Section {
            kind,
            is_checked: random.percent(60),
            tasks: Vec::new(),
        };
        self.sections.insert(name.to_owned(), section);
        for _ in 0..=random.below(4) {
            self.start(name);
        }
    }

    fn start(&mut self, name: &str) {
        let number = self.next;
        self.next += 1;
        if let Some(section) = self.sections.get_mut(name) {
            section.tasks.push(Task {
                number,
                weight: 1,
                rests: false,
            });
        }
    }

    /// Something becomes another thing, in words.
    pub(super) fn change(&mut self, random: &mut Random) -> String {
        let names: Vec<&String> = self.sections.keys().collect();
        let name = names[random.below(names.len())].clone();
        match random.below(100) {
            0..35 => {
                self.start(&name);
                format!("a task of {name} starts")
            }
            35..60 => {
                let section = self.sections.get_mut(&name).expect("it is one of them");
                if section.tasks.len() > 1 {
                    let gone = random.below(section.tasks.len());
                    section.tasks.remove(gone);
                }
                format!("a task of {name} ends")
            }
            60..68 => {
                let section = self.sections.get_mut(&name).expect("it is one of them");
                let many = section.tasks.len();
                section.tasks.clear();
                for _ in 0..many {
                    self.start(&name);
                }
                format!("all tasks of {name} are replaced")
            }
            68..76 => {
                let section = self.sections.get_mut(&name).expect("it is one of them");
                let place = random.below(section.tasks.len());
                let task = &mut section.tasks[place];
                if random.percent(50) {
                    task.weight = random.pick(&[1, 5, 100]);
                } else {
                    task.rests = !task.rests;
                }
                format!("{task:?} of {name}")
            }
            76..84 => {
                let name = format!("n{}", random.below(4));
                if self.sections.remove(&name).is_none() {
                    self.come(&name, Kind::Profiled, random);
                }
                format!("{name} comes or goes")
            }
            84..90 => {
                self.others = random.pick(&[0, 1, 2, 900]);
                format!("{} other hosts", self.others)
            }
            _ => {
                self.structure += 1;
                format!("structure {}", self.structure)
            }
        }
    }

    /// As it is written by whoever finds `installed`, which alone says who is in which slot.
    pub(super) fn files(&self, installed: Option<&str>) -> FileSet {
        let mut cfg = format!(
            "global\n  description 0\ndefaults\n  mode http\nfrontend web\n  bind 127.0.0.1:80\n  \
             maxconn {}\n  use_backend %[req.hdr(host),map(/simulated/haproxy/{MAP})]\n",
            1_000 + self.structure
        );
        let mut rows = String::new();
        // HAProxy has what follows a profile in a section of its own.
        let mut profiled = String::from("defaults p\n  mode http\n  balance roundrobin\n");
        for (name, section) in &self.sections {
            let _ = writeln!(rows, "{name}.test {name}");
            let (text, balance) = match section.kind {
                Kind::Profiled => (&mut profiled, ""),
                Kind::Added => (&mut cfg, "  balance roundrobin\n"),
                Kind::Slots | Kind::Fixed => (&mut cfg, "  balance static-rr\n"),
            };
            let from = if section.kind == Kind::Profiled {
                " from p"
            } else {
                ""
            };
            let _ = write!(text, "backend {name}{from}\n{balance}");
            let lines = match section.kind {
                Kind::Slots => section.in_slots(&slots_in(name, installed)),
                Kind::Added | Kind::Fixed | Kind::Profiled => section.lines(),
            };
            for line in lines {
                let _ = writeln!(text, "  server {line}");
            }
        }
        for host in 0..self.others {
            let _ = writeln!(rows, "other-host-number-{host}.test a");
        }
        for spare in 1..=self.spares {
            let _ = writeln!(profiled, "backend spare-p-{spare} from p");
        }
        cfg.push_str(&profiled);
        let hash = structure_hash(&cfg);
        FileSet {
            cfg: cfg.replace("description 0", &format!("description {hash}")),
            maps: BTreeMap::from([(MAP.to_owned(), rows)]),
        }
    }

    /// Where tasks of a section serve that are to get requests; `None` for one that is not wanted.
    pub(super) fn served(&self, name: &str) -> Option<(Kind, BTreeSet<(String, u16)>)> {
        let section = self.sections.get(name)?;
        let tasks = section.tasks.iter().filter(|task| !task.rests);
        Some((section.kind, tasks.map(Task::place).collect()))
    }
}

impl Task {
    fn place(&self) -> (String, u16) {
        let port = 31_000 + u16::try_from(self.number).expect("there are few");
        ("10.0.0.1".to_owned(), port)
    }

    fn words(&self) -> String {
        let weight = match self.weight {
            1 => String::new(),
            weight => format!(" weight {weight}"),
        };
        format!("{weight}{}", if self.rests { " disabled" } else { "" })
    }
}

impl Section {
    fn check(&self) -> &'static str {
        if self.is_checked {
            " check inter 2s"
        } else {
            ""
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |task: &Task| {
            let ((address, port), number) = (task.place(), task.number);
            let (check, words) = (self.check(), task.words());
            format!("t{number} {address}:{port} id {number}{check}{words}")
        };
        self.tasks.iter().map(line).collect()
    }

    /// Who stays keeps his slot. Others take free ones, and those that are left where enough stay.
    fn in_slots(&self, before: &BTreeMap<u32, Option<(String, u16)>>) -> Vec<String> {
        let mut seats: BTreeMap<u32, Option<&Task>> = BTreeMap::new();
        let mut coming: Vec<&Task> = Vec::new();
        for task in &self.tasks {
            let place = Some(task.place());
            match before.iter().find(|(_, seat)| **seat == place) {
                Some((slot, _)) => drop(seats.insert(*slot, Some(task))),
                None => coming.push(task),
            }
        }
        let stays = seats.len();
        let left = before.keys().filter(|slot| !seats.contains_key(slot));
        let (free, left): (Vec<u32>, Vec<u32>) = left.partition(|slot| before[slot].is_none());
        let mut usable = free.clone();
        if 2 * stays >= self.tasks.len() {
            usable.extend(&left);
        }
        let lacks_any = coming.len() > usable.len();
        let mut usable = usable.into_iter();
        let mut next = before.keys().next_back().map_or(1, |last| last + 1);
        for task in coming {
            let slot = usable.next().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            seats.insert(slot, Some(task));
        }
        for slot in free.into_iter().chain(left) {
            seats.entry(slot).or_default();
        }
        if lacks_any {
            seats.insert(next, None);
        }
        let line = |(slot, task): (u32, Option<&Task>)| {
            let check = self.check();
            match task {
                None => format!("slot_{slot} 127.0.0.1:1 id {slot}{check} disabled"),
                Some(task) => {
                    let ((address, port), words) = (task.place(), task.words());
                    format!("slot_{slot} {address}:{port} id {slot}{check}{words}")
                }
            }
        };
        seats.into_iter().map(line).collect()
    }
}

fn slots_in(name: &str, installed: Option<&str>) -> BTreeMap<u32, Option<(String, u16)>> {
    let title = format!("backend {name}");
    let lines = installed.unwrap_or_default().lines();
    let lines = lines.skip_while(|line| *line != title).skip(1);
    let lines = lines.take_while(|line| line.starts_with(' '));
    let slots = lines.filter_map(slot_of);
    slots
        .map(|(slot, seat)| (slot, seat.map(|(address, port)| (address.into(), port))))
        .collect()
}
