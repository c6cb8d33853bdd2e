//! The simulated AWS as a program.
fn main() {}
