//! `watch`, with the built-in Marathon and the real HAProxy.
//!
//! What it has to survive, and the tests that show it:
//!
//! | fault | test |
//! |---|---|
//! | another leader, all masters gone | `answers::leaders_may_change_and_all_be_gone`, `survives::a_marathon_that_goes_and_comes_back_is_told_once_each` |
//! | a standby | `answers::a_standby_alone_will_do` |
//! | 401, 302 in circles, 500, 503, a page of HTML, a reset | `answers::refusals_are_outlived`, `edits::another_password_ends_a_refusal` |
//! | no head, half a body, a cut body, a trickle | `answers::answers_that_do_not_come_to_an_end_are_outlived` |
//! | garbage | `answers::answers_that_make_no_sense_are_outlived` |
//! | a stream that is half open, or that never says a thing | `answers::a_stream_that_is_half_open_is_given_up`, `answers::a_stream_on_which_nothing_ever_comes_is_told_once_and_asked_around`, and beside `marathon::events::follow` |
//! | an event of a gigabyte | `answers::an_event_of_a_gigabyte_costs_no_memory` |
//! | clock jumps | `hosts::the_clock_may_jump_either_way` |
//! | DNS gone | `names::names_may_be_gone_for_a_while` |
//! | the disk full | `hosts::a_full_disk_is_told_of_once_and_made_up_for` |
//! | HAProxy missing | `hosts::a_haproxy_that_is_gone_is_awaited` |
//! | HAProxy refusing | `hosts::a_haproxy_that_refuses_all_is_told_of_once`, `hosts::a_program_that_is_put_right_is_noticed` |
//! | HAProxy refusing without a name | `suspected`, `refused` |
//! | a reload that fails | `survives::a_reload_that_failed_is_tried_again_by_itself` |
//! | a template, an option or a certificate that is broken | `broken`, `edits` |

mod answers;
mod asked;
mod broken;
mod callbacks;
mod container;
mod edits;
mod follows;
mod full_disk;
mod haproxy;
mod hosts;
mod load;
mod marathon_lb;
mod names;
mod operators;
mod ready;
pub(crate) mod servers;
mod several;
mod signals;
mod streams;
mod survives;
mod suspected;
mod systemd;
mod unanswered;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Host, SOON, Web, wait_until};

/// A watcher at work. It ends with its test.
struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watcher {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Of `web`.
    fn of(host: &Host, web: &Web, more: &[&str]) -> Self {
        Self::start(host.watch_command(&web.url(), more))
    }

    /// The same, once it serves.
    fn serving(host: &Host, web: &Web, more: &[&str]) -> Self {
        let watcher = Self::of(host, web, more);
        watcher.says("installed `");
        watcher
    }

    /// What it says until it says this; that is the last line.
    #[track_caller]
    fn says(&self, part: &str) -> Vec<String> {
        self.says_within(part, SOON)
    }

    #[track_caller]
    fn says_within(&self, part: &str, limit: Duration) -> Vec<String> {
        let until = Instant::now() + limit;
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(until - Instant::now().min(until)) {
                Ok(line) => {
                    let is_it = line.contains(part);
                    said.push(line);
                    if is_it {
                        return said;
                    }
                }
                Err(error) => panic!("`{part}` was not said ({error}): {said:#?}"),
            }
        }
    }

    /// What it has said and nobody has heard yet.
    fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// How it ends, and its last words.
    fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        wait_until("the end of the watcher", || {
            self.child.try_wait().unwrap().is_some()
        });
        let mut words = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => words.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("its log stays open"),
            }
        }
        (self.child.wait().unwrap(), words)
    }
}

/// Every fetch of the whole cluster so far.
fn fetches(web: &Web) -> u64 {
    web.marathon.requests("/v2/apps")
}
