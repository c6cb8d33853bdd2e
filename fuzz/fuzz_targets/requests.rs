//! See `fuzz::requests`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::requests::run(data));

#[cfg(not(fuzzing))]
fn main() {}
