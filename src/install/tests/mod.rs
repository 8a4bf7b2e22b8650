//! Installations on hosts that are made up, to which every command happens in the mind.

mod haproxy;
mod hosts;
mod installs;
mod packaged;
mod removes;
mod texts;
