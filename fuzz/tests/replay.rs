//! Runs the fuzz targets without a fuzzer: with every input of the corpora, then with mutations of these that are the same in every
//! run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use fuzz::{TARGETS, Target};

/// A generator of numbers that look random (Marsaglia, "Xorshift RNGs").
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// What mutations insert: what means something in one of the formats.
const TOKENS: [&str; 24] = [
    "\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\\u0000",
    "\u{85}",
    "\u{202e}",
    "null",
    "-1",
    "99999999999999999999",
    "*",
    "?",
    "!",
    ",",
    "%00",
    "&",
    "<",
    "\r\n",
    "\0",
];

fn mutate(input: &mut Vec<u8>, others: &[(String, Vec<u8>)], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        match numbers.below(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..(at + numbers.below(9)).min(input.len()))),
            2 => drop(input.splice(at..at, TOKENS[numbers.below(TOKENS.len())].bytes())),
            3 => {
                let part = input[at..(at + numbers.below(40)).min(input.len())].to_vec();
                drop(input.splice(at..at, part));
            }
            4 => {
                let other = &others[numbers.below(others.len())].1;
                input.truncate(at);
                input.extend_from_slice(&other[numbers.below(other.len() + 1)..]);
            }
            _ if at < input.len() => input[at] = u8::try_from(numbers.below(256)).unwrap(),
            _ => {}
        }
    }
}

/// Returns the inputs of a target, with their names.
fn inputs(directory: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(target);
    let Ok(entries) = fs::read_dir(&path) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

/// Names the input if the target panics.
struct Named<'a>(&'a str, &'a [u8]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(name, input) = self;
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failed-input");
            fs::write(&path, input).unwrap();
            eprintln!("{name}: the input is in {}", path.display());
        }
    }
}

fn replay(name: &str, mutations: usize) {
    let Target { run, .. } = *TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = inputs("corpus", name);
    assert!(!corpus.is_empty(), "a corpus for {name}");
    for (name, input) in corpus.iter().chain(&inputs("regressions", name)) {
        let _named = Named(name, input);
        run(input);
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..mutations {
        let (original, mut input) = corpus[numbers.below(corpus.len())].clone();
        mutate(&mut input, &corpus, &mut numbers);
        let _named = Named(&format!("a mutation of {original}"), &input);
        run(&input);
    }
}

macro_rules! replays {
    ($($name:ident: $mutations:literal,)+) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), $mutations);
        })+

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),+];
            assert_eq!(TARGETS.map(|target| target.name), replayed);
        }
    };
}

// So many that each takes a second or two.
replays! {
    cache_file: 2_000,
    command_line: 500,
    labels: 500,
    messages: 20_000,
    output_file: 5_000,
    patterns: 500,
    requests: 500,
    responses: 300,
}
