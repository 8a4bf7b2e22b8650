//! Thin: all is in the library.

fn main() {}
