//! See `fuzz::command_line`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::command_line::run(data));

#[cfg(not(fuzzing))]
fn main() {}
