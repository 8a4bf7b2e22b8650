//! `install` and `uninstall`: in trees that become systems, and in a root of their own, which is a copy
//! of this system's.

mod booted;
mod container;
mod cron;
mod doctor;
mod package;
mod private_root;
mod tree;
mod units;
