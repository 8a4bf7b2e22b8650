//! A turn for servers alone leaves the file that a whole one would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Result;
use haproxy_marathon_bridge::apply::reload::{ReloadError, Reloaded};
use haproxy_marathon_bridge::apply::validate::{CheckError, Verdict};
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Host, Installation, Try};
use haproxy_marathon_bridge::cluster::Snapshot;
use haproxy_marathon_bridge::cycle::{Changes, Source, Stages};
use haproxy_marathon_bridge::disk::{Digest, Disk as _, MemoryDisk};
use haproxy_marathon_bridge::haproxy::files::NamedFile;
use haproxy_marathon_bridge::haproxy::listen::Listener;
use haproxy_marathon_bridge::haproxy::{Dialect, Version};
use haproxy_marathon_bridge::marathon::{Answer, Cluster, apps};
use haproxy_marathon_bridge::state::{State, Time};
use serde_json::{Value, json};

use super::cluster::generate;
use super::program::{Dns, Flags, renderer, stages};
use super::random::Random;
use super::{certificate, for_every_seed};

const CFG: &str = "/etc/haproxy/haproxy.cfg";

/// So many changes follow each other.
const STEPS: usize = 6;

/// The cluster as it is, and what is new in it.
#[derive(Default)]
struct Told {
    now: Snapshot,
    changes: Option<Changes>,
    body: String,
}

impl Told {
    fn tell(&mut self, cluster: &Value) {
        self.body = cluster.to_string();
        let next = Snapshot::new(apps(&self.body).unwrap().0);
        let differing = next.apps().iter().filter_map(|app| {
            let before = self.now.get(&app.id)?;
            (before != app).then(|| (Arc::clone(before), Some(Arc::clone(app))))
        });
        self.changes = Some(Changes {
            apps: differing.collect(),
            warnings: Vec::new(),
            from: "the test".to_owned(),
        });
        self.now = next;
    }
}

impl Source for Told {
    async fn changes(&mut self) -> Option<Changes> {
        self.changes.take()
    }

    async fn fetch(&mut self) -> Result<Answer> {
        Ok(Answer {
            cluster: Cluster::Apps(self.now.clone()),
            warnings: Vec::new(),
            from: "the test".to_owned(),
            essence: Digest::of(self.body.as_bytes()),
            body: self.body.clone(),
        })
    }

    fn recognise(&mut self, _known: Option<Digest>) {}
}

/// Takes every file, and need not be told.
#[derive(Debug)]
struct Untold;

impl Balancer for Untold {
    async fn check(
        &self,
        _: &FileSet,
        _: &Installation,
        _: Option<Try>,
    ) -> Result<Verdict, CheckError> {
        Ok(Verdict::Accepted {
            warnings: Vec::new(),
        })
    }

    async fn reload(
        &self,
        _: &FileSet,
        _: &Installation,
        _: bool,
    ) -> Result<Reloaded, ReloadError> {
        Ok(Reloaded::NotAsked)
    }

    fn serves(&self, _: u32, _: &Installation) -> bool {
        false
    }

    fn running(&self, _: &Installation) -> Option<u32> {
        None
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn is_in_sight(&self) -> bool {
        false
    }

    fn still_serves(&self, _: u32, _: &FileSet, _: &Installation) -> bool {
        false
    }

    fn taken(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<u16> {
        BTreeSet::new()
    }

    fn holder(&self, _: u16) -> Option<String> {
        None
    }

    fn foreign(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<Listener> {
        BTreeSet::new()
    }

    fn unfit(&self, _: &BTreeSet<&NamedFile>, _: &[PathBuf]) -> BTreeMap<NamedFile, String> {
        BTreeMap::new()
    }

    fn starts(&self, _: bool) -> bool {
        false
    }
}

/// A host of its own.
struct Machine {
    disk: MemoryDisk,
    at: Installation,
    stages: Stages<Told, Dns>,
    memory: State,
}

impl Machine {
    fn new(flags: &Flags, certificate: &str) -> Self {
        let disk = MemoryDisk::new();
        for folder in ["/etc", "/etc/haproxy", "/state"] {
            disk.put_folder(Path::new(folder));
        }
        let renderer = renderer(flags.native, Dialect::of(Version::NEWEST));
        Self {
            disk,
            at: Installation::new(Path::new(CFG), Some(Path::new("/state"))),
            stages: stages(Told::default(), flags, certificate, renderer),
            memory: State::default(),
        }
    }

    /// Takes a turn; whether it was for servers alone.
    async fn turn(&mut self, may_be_light: bool) -> bool {
        let host = Host {
            disk: &self.disk,
            balancer: &Untold,
            at: &self.at,
        };
        let now = Time::at(SystemTime::UNIX_EPOCH);
        let Self { stages, memory, .. } = self;
        // What is held is not what this is about.
        stages.allow_removal = true;
        if may_be_light
            && let Some(report) = stages.servers_alone(&host, memory, now).await.unwrap()
        {
            stages.stand_on(&host, report).unwrap();
            return true;
        }
        let report = stages.turn(&host, memory, now, &mut |_| ()).await.unwrap();
        stages.stand_on(&host, report).unwrap();
        false
    }

    fn installed(&self) -> String {
        let content = self.disk.read(Path::new(CFG)).unwrap().unwrap();
        String::from_utf8(content).unwrap()
    }
}

/// Tasks come and go, and now and then something else changes.
fn change(cluster: &mut Value, random: &mut Random) {
    let apps = cluster["apps"].as_array_mut().unwrap();
    for _ in 0..=random.below(2) {
        let at = random.below(apps.len());
        let app = &mut apps[at];
        if random.percent(5) {
            app["labels"]["HAPROXY_0_VHOST"] = json!("other.example.com");
            continue;
        }
        let Some(tasks) = app["tasks"].as_array_mut() else {
            continue;
        };
        if tasks.is_empty() {
            continue;
        }
        let at = random.below(tasks.len());
        if random.percent(45) {
            tasks.remove(at);
            continue;
        }
        let mut task = tasks[at].clone();
        task["id"] = json!(format!("new.{}", random.below(1_000_000)));
        if let Some(ports) = task["ports"].as_array_mut() {
            for port in ports {
                *port = json!(20_000 + random.below(10_000));
            }
        }
        if random.percent(30) {
            tasks[at] = task;
        } else {
            tasks.push(task);
        }
    }
}

#[test]
fn servers_alone_come_to_the_file_of_a_whole_turn() {
    let light = std::sync::atomic::AtomicUsize::new(0);
    for_every_seed(|seed, _| {
        let mut random = Random::of_part(seed, 7);
        let flags = Flags::generate(&mut random);
        let cluster = generate(&mut random, &certificate(), flags.native);
        let mut cluster: Value = serde_json::from_str(&cluster.answer()).unwrap();
        let mut machines = [(); 2].map(|()| Machine::new(&flags, &certificate()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for step in 0..STEPS {
            if step > 0 {
                change(&mut cluster, &mut random);
            }
            let [one, other] = &mut machines;
            for machine in [&mut *one, &mut *other] {
                machine.stages.source.tell(&cluster);
            }
            let was_light = runtime.block_on(one.turn(step > 0));
            runtime.block_on(other.turn(false));
            light.fetch_add(was_light.into(), std::sync::atomic::Ordering::Relaxed);
            assert_eq!(
                one.installed(),
                other.installed(),
                "step {step}, {was_light}"
            );
        }
    });
    let light = light.into_inner();
    let is_one = std::env::var_os("HMB_TEST_SEED").is_some();
    assert!(
        is_one || light > 1_000,
        "only {light} turns were for servers alone"
    );
}
