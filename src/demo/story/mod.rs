//! The demo: what the program does for a cluster, step by step, on a HAProxy that really serves.
//!
//! In come a [`Stage`], a [`Screen`], and one turn of the program as a closure, so that what is
//! shown is what runs in earnest; out goes what was seen, sentence by sentence. Everything that is
//! shown with a tick was checked, and the first thing that does not come true ends the story.

mod cast;
mod proof;
mod screen;
mod stage;
mod steps;
mod talk;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

pub use screen::{Screen, paint_of_standard_output};
pub use stage::Stage;

use super::marathon::Marathon;
use crate::cycle::Report;
use cast::{DemoApp, Kind, Traffic};

/// For everything that takes a moment when all is well.
const SOON: Duration = Duration::from_secs(10);

/// What is left of the story when it has ended well: it may go on running.
pub struct Play {
    marathon: Marathon,
    apps: Vec<DemoApp>,
    stats: Option<SocketAddr>,
}

/// Tells the whole story. `turn` is one turn of the program, with the configuration that the stage
/// was set for.
///
/// # Errors
/// The first thing that did not come true, and where.
pub async fn tell(
    stage: &Stage,
    screen: &mut Screen<'_>,
    marathon: Marathon,
    turn: impl AsyncFn() -> Result<Report>,
) -> Result<Play> {
    let mut story = Story {
        stage,
        screen,
        turn,
        web: DemoApp::start("/shop/web", Kind::Http, 2)?,
        orders: DemoApp::start("/shop/orders", Kind::Tcp, 2)?,
        play: Play {
            marathon,
            apps: Vec::new(),
            stats: None,
        },
        traffic: Vec::new(),
        shown: String::new(),
        processes: Vec::new(),
    };
    if let Err(error) = story.all_steps().await {
        let position = story.screen.position();
        // The error itself matters more than that nobody can read it here.
        let _ = story.screen.cross(format!("{error:#}"));
        return Err(error.context(format!("the demo failed {position}")));
    }
    Ok(story.end())
}

struct Story<'a, 'out, Turn> {
    stage: &'a Stage,
    screen: &'a mut Screen<'out>,
    turn: Turn,
    web: DemoApp,
    orders: DemoApp,
    play: Play,
    traffic: Vec<Traffic>,
    /// The file that HAProxy runs.
    shown: String,
    /// Every process of HAProxy that served, in this order.
    processes: Vec<u32>,
}

impl<Turn: AsyncFn() -> Result<Report>> Story<'_, '_, Turn> {
    async fn all_steps(&mut self) -> Result<()> {
        self.first_configuration().await?;
        self.pause().await?;
        self.scale_up().await?;
        self.pause().await?;
        self.a_task_leaves().await?;
        self.pause().await?;
        self.tasks_come_and_go().await?;
        self.pause().await?;
        self.a_new_app().await?;
        self.pause().await?;
        self.nothing_happens().await?;
        self.pause().await?;
        self.ending().await
    }

    fn end(self) -> Play {
        let mut play = self.play;
        play.apps.splice(0..0, [self.web, self.orders]);
        play
    }
}

impl Play {
    /// Says what can be done with what runs on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn invite(&self, stage: &Stage, screen: &mut Screen<'_>) -> io::Result<()> {
        for line in talk::invitation(self, stage) {
            screen.say(line)?;
        }
        Ok(())
    }
}
