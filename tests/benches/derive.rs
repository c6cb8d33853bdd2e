//! Benchmarks the part of a refresh without I/O: from a snapshot to target groups, from target groups to the bytes of
//! the file, and, as at a start, from the file back to target groups.
//!
//! `cargo test` runs each benchmark once, in small worlds only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]

#[path = "../golden/snapshot.rs"]
mod snapshot;
mod world;

use criterion::{BenchmarkId, Criterion, Throughput};
use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::config::Config;
use ecs_discovery::file_sd::{Format, parse, render};
use ecs_discovery::targets::derive;
use world::Shape;

fn main() {
    let is_benchmark = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[usize] = if is_benchmark { &[100, 1_000, 10_000, 100_000] } else { &[100, 1_000] };
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    for &tasks in sizes {
        measure(&mut criterion, tasks);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, tasks: usize) {
    let Config { aws, rules, .. } = default_config();
    let snapshot = snapshot::of(&world::of(Shape::usual(tasks)), &aws);
    let derived = derive(&snapshot, &rules);
    assert_eq!(derived.groups.len(), tasks, "each task has a target");
    let file = render(&derived.groups, Format::Yaml);
    assert_eq!(parse(&file, Format::Yaml).as_ref(), Ok(&*derived.groups));

    let mut group = criterion.benchmark_group("tasks");
    group.throughput(Throughput::Elements(tasks as u64));
    group.bench_function(BenchmarkId::new("derive", tasks), |bencher| {
        bencher.iter_with_large_drop(|| derive(&snapshot, &rules));
    });
    group.bench_function(BenchmarkId::new("render", tasks), |bencher| {
        bencher.iter_with_large_drop(|| render(&derived.groups, Format::Yaml));
    });
    group.bench_function(BenchmarkId::new("parse", tasks), |bencher| {
        bencher.iter_with_large_drop(|| parse(&file, Format::Yaml));
    });
    group.finish();
}

/// Returns the configuration without flags.
fn default_config() -> Config {
    let Ok(Parsed::Run(config)) = cli::parse([], |_| None) else {
        panic!("no flag is required");
    };
    *config
}
