//! `install` and `uninstall`: in trees that become systems, and in a root of their own, which is a copy
//! of this system's.

mod booted;
mod container;
mod cron;
mod doctor;
mod found_there;
mod ill;
mod package;
mod private_root;
mod tree;
mod units;

/// Those by which `docs/unprivileged.md` has it run as a user of its own, as they stand there, a line each.
fn commands_of_the_document() -> String {
    let document = include_str!("../../../docs/unprivileged.md");
    let block = document.split("```console\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let commands = block.lines();
    commands
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
        .collect()
}
