//! A consumer that does what it is told misses nothing, whatever the streams do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;

/// What happens to the cluster and its streams, one after the other.
#[derive(Clone, Debug)]
enum Happening {
    /// An app changes, and whoever is attached is told.
    Change(u8),
    /// The stream ends in good order.
    End,
    /// The stream stays open and says nothing more, not even a heartbeat.
    FallSilent,
    /// Part of an event is sent, then the stream ends.
    Cut,
    /// Nothing, for so many tenths of a second.
    Wait(u64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => (0_u8..5).prop_map(Happening::Change),
        1 => Just(Happening::End),
        1 => Just(Happening::FallSilent),
        1 => Just(Happening::Cut),
        6 => (0_u64..100).prop_map(Happening::Wait),
    ];
    proptest::collection::vec(one, 0..60)
}

type Versions = BTreeMap<AppId, u32>;

#[derive(Default)]
struct World {
    apps: Versions,
    /// The reader that is attached.
    reader: Option<mpsc::UnboundedSender<String>>,
    /// Readers that are connected in name only.
    silent: Vec<mpsc::UnboundedSender<String>>,
}

impl World {
    fn say(&mut self, text: &str) {
        if let Some(reader) = &self.reader {
            // A reader that gave up is noticed by nobody.
            let _ = reader.send(text.to_owned());
        }
    }

    fn change(&mut self, app: u8) {
        let id = AppId::new(&format!("/{app}"));
        let data = format!("{{\"appId\": \"{id}\"}}");
        *self.apps.entry(id).or_default() += 1;
        self.say(&format!("event: status_update_event\ndata: {data}\n\n"));
    }
}

/// Nodes that attach a reader a while after they have answered.
struct Late {
    world: Arc<Mutex<World>>,
    attach_after: Duration,
}

struct Heard(mpsc::UnboundedReceiver<String>);

impl Stream for Heard {
    async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + Send>, Fault> {
        Ok(self.0.recv().await)
    }
}

impl Nodes for Late {
    type Stream = Heard;

    fn count(&self) -> usize {
        2
    }

    fn shown(&self, index: usize) -> String {
        format!("n{index}")
    }

    async fn open(&self, _: usize) -> Result<Heard, Fault> {
        let (says, heard) = mpsc::unbounded_channel();
        let (world, after) = (Arc::clone(&self.world), self.attach_after);
        tokio::spawn(async move {
            sleep(after).await;
            let mut world = world.lock().unwrap();
            world.reader = Some(says);
            world.say("event: event_stream_attached\ndata: {}\n\n");
        });
        Ok(Heard(heard))
    }
}

/// Does what it is told, each fetch taking its time.
async fn consume(
    mut follower: Follower,
    world: Arc<Mutex<World>>,
    seen: Arc<Mutex<Versions>>,
    takes: Duration,
) {
    loop {
        match follower.next().await {
            Told::Lost(_) => (),
            Told::Attached { .. } | Told::Doubt(_) => {
                let all = world.lock().unwrap().apps.clone();
                sleep(takes).await;
                *seen.lock().unwrap() = all;
            }
            Told::Touched(apps) => {
                let one = |id: &AppId| Some((id.clone(), *world.lock().unwrap().apps.get(id)?));
                let fetched: Vec<_> = apps.iter().filter_map(one).collect();
                sleep(takes).await;
                seen.lock().unwrap().extend(fetched);
            }
        }
    }
}

async fn live(
    happenings: Vec<Happening>,
    attach_after: Duration,
    takes: Duration,
) -> (Versions, Versions) {
    let world: Arc<Mutex<World>> = Arc::default();
    let seen: Arc<Mutex<Versions>> = Arc::default();
    let nodes = Late {
        world: Arc::clone(&world),
        attach_after,
    };
    let follower = Follower::over(nodes, &pace());
    tokio::spawn(consume(
        follower,
        Arc::clone(&world),
        Arc::clone(&seen),
        takes,
    ));
    let beating = Arc::clone(&world);
    tokio::spawn(async move {
        loop {
            sleep(secs(10)).await;
            beating.lock().unwrap().say("\r\n");
        }
    });
    for happening in happenings {
        match happening {
            Happening::Change(app) => world.lock().unwrap().change(app),
            Happening::End => world.lock().unwrap().reader = None,
            Happening::FallSilent => {
                let mut world = world.lock().unwrap();
                let reader = world.reader.take();
                world.silent.extend(reader);
            }
            Happening::Cut => {
                let mut world = world.lock().unwrap();
                world.say("event: status_update_event\ndata: {\"appI");
                world.reader = None;
            }
            Happening::Wait(tenths) => sleep(Duration::from_millis(100 * tenths)).await,
        }
    }
    // Longer than any silence, pause and fetch.
    sleep(secs(1000)).await;
    let apps = world.lock().unwrap().apps.clone();
    let seen = seen.lock().unwrap().clone();
    (apps, seen)
}

proptest! {
    #[test]
    fn no_gap_stays_unfilled(
        happenings in happenings(),
        // Also later than the attachment is assumed.
        attach_after in 0_u64..40,
        takes in 0_u64..30,
    ) {
        let tenths = |n| Duration::from_millis(100 * n);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (apps, seen) = runtime.block_on(live(happenings, tenths(attach_after), tenths(takes)));
        prop_assert_eq!(apps, seen);
    }
}
