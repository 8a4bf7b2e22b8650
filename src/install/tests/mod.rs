//! Installations on hosts that are made up, to which every command happens in the mind.

mod called;
mod cron;
mod haproxy;
mod hosts;
mod installs;
mod notes;
mod packaged;
mod removes;
mod texts;
mod theirs;
