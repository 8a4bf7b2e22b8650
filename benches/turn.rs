//! How long a turn takes.

fn main() {}
