//! Watches from outside: what a refresh did, said to whoever reads the logs.

mod logs;
mod report;

pub use logs::init;
pub use report::report;
