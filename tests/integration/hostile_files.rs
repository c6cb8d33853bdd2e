//! Whatever is in the output file already, reading it takes little time and memory, and stops nobody.

use std::fs;
use std::time::{Duration, Instant};

use simaws::{Fault, FaultKind};

use crate::fixtures::fargate;
use crate::harness::{Scene, Signal, assert_takes_less_than, run_concurrently, text, wait_until};

const ONE: &str = "10.0.0.1:9102";

/// Far more than the program needs beside the file itself, in a debug build.
const MOST_MEMORY: u64 = 120 << 20;

/// No field of a log line is longer.
const LONGEST_FIELD: usize = 1 << 10;

fn small(name: &str) -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod").flag("-config.cache=off").write_to(name)
}

/// Returns the most memory that a program has had.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn repeated(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

/// A group with these texts in places where a document is parsed deeper.
fn group_of(label: &str) -> String {
    format!("- targets:\n  - a:1\n  labels:\n    cluster_arn: c\n    task_arn: {label}\n")
}

const MANY: usize = 20 << 20;
const SOME: usize = 4 << 20;

/// The name and the content of a file.
type Case = (&'static str, fn() -> String);

const HOSTILE: [Case; 25] = [
    ("brackets.yml", || repeated("[", MANY)),
    ("brackets_in_a_list.yml", || format!("- {}", repeated("[", MANY))),
    ("brackets_in_a_label.yml", || group_of(&repeated("[", MANY))),
    ("brackets_on_lines.yml", || group_of(&format!("\n{}", repeated("      [\n", MANY)))),
    ("brackets_after_a_comment.yml", || group_of(&format!("#\n{}", repeated("      [\n", MANY)))),
    ("braces.yml", || repeated("{a: ", MANY)),
    ("lists.yml", || repeated("- ", MANY)),
    ("keys.yml", || repeated("? ", MANY)),
    ("comments.yml", || format!("{}?", repeated("#\n", MANY))),
    ("documents.yml", || repeated("---\n", MANY)),
    ("scalar.yml", || repeated("x", SOME)),
    ("scalar_in_a_list.yml", || format!("- {}", repeated("x", SOME))),
    ("scalar_in_a_label.yml", || group_of(&repeated("x", SOME))),
    ("lines_in_a_label.yml", || group_of(&format!("|\n{}", repeated("      x\n", SOME)))),
    ("anchor.yml", || format!("- targets: &a [{}]\n", repeated("x,", SOME))),
    ("aliases.yml", || format!("- targets:\n  - &a {}\n{}", repeated("x", 500_000), repeated("  - *a\n", SOME))),
    ("laughs.yml", || {
        let laughs: String = (1..30).map(|n| format!("- &a{n} [*a{},*a{}]\n", n - 1, n - 1)).collect();
        format!("- &a0 [x,x]\n{laughs}")
    }),
    ("targets.yml", || format!("- targets:\n{}", repeated("  - x\n", MANY))),
    ("groups.yml", || repeated("- targets: []\n", MANY)),
    ("brackets.json", || repeated("[", MANY)),
    ("objects.json", || repeated("[{\"targets\":", MANY)),
    ("scalar.json", || format!("[\"{}\"]", repeated("x", SOME))),
    ("name.json", || format!("[{{\"{}\":1}}]", repeated("x", SOME))),
    ("targets.json", || format!("[{{\"targets\":[\"x\"{}]}}]", repeated(",\"x\"", MANY))),
    ("groups.json", || format!("[{{\"targets\":[]}}{}]", repeated(",{\"targets\":[]}", MANY))),
];

#[test]
fn hostile_file_is_rejected_cheaply_and_kept_until_a_full_success() {
    for cases in HOSTILE.chunks(4) {
        run_concurrently(cases, |(name, content)| {
            let mut scene = small(name);
            scene.write_file(content());
            scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
            scene.start();
            scene.wait_for_message("existing file not overwritten");
            let memory = peak_memory(scene.program().id());
            assert!(memory < MOST_MEMORY, "{name} took {} MB", memory >> 20);
            scene.wait_for_refreshes(1);
            for line in scene.log() {
                let fields = line.as_object().unwrap();
                let longest = fields.keys().map(|field| text(&line, field).len()).max().unwrap();
                assert!(longest <= LONGEST_FIELD, "{name}: a field of {longest} bytes");
            }
            scene.aws.clear_faults();
            scene.wait_for_message("targets written");
            scene.wait_for_targets(&[ONE]);
            scene.stop();
        });
    }
}

/// A file as large as for 100,000 targets takes a debug build many seconds to read.
#[test]
fn signal_stops_the_program_while_it_reads_a_large_file() {
    let group = |n: usize| {
        format!(
            "- targets:\n  - 10.0.0.1:{}\n  labels:\n    task_arn: arn:aws:ecs:us-east-1:123456789012:task/prod/{n}\n    \
             cluster_arn: arn:aws:ecs:us-east-1:123456789012:cluster/prod\n    filler: {}\n",
            n % 60_000 + 1,
            "x".repeat(300)
        )
    };
    let mut scene = small("ecs.yml");
    scene.write_file((0..150_000).map(group).collect::<String>());
    assert_takes_less_than(Duration::from_secs(2), || {
        scene.start();
        let process = scene.program().id();
        wait_until("the program handles signals", || handles_sigterm(process));
        let start = Instant::now();
        let exited = scene.send(Signal::TERM);
        let took = start.elapsed();
        assert_eq!(exited.code, Some(0), "{}", exited.stderr);
        assert_eq!(scene.aws.calls().total(), 0, "the file was still being read");
        took
    });
}

fn handles_sigterm(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (Signal::TERM.as_raw() - 1)) != 0
}
