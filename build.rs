//! Has the linker pack relative addresses (RELR): they are a fifteenth of the binary otherwise.
//!
//! Only where the program is sure to find a C library that reads them: its own, or that of the machine it is built on
//! and for, if it is glibc 2.36 or later (glibc's NEWS). An older one would refuse to start it. A linker that does not
//! know how warns, and goes on without.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if has_its_own_libc() || (is_for_this_machine() && glibc() >= Some((2, 36))) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn has_its_own_libc() -> bool {
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") && features.split(',').any(|one| one == "crt-static")
}

fn is_for_this_machine() -> bool {
    env::var_os("HOST") == env::var_os("TARGET")
}

/// The version of this machine's glibc, where that is its C library.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let (major, minor) = str::from_utf8(&said).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
