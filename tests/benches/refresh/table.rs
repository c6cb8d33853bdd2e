//! The figures as a table, beside those of the original program and our limits.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::measure::{Measured, Round, Scenario};
use crate::program::Outcome;
use crate::world::Shape;

/// Our limits for twenty scopes of 5,000 tasks.
const ORGANISATION: [(Figure, &str); 5] = [
    (Figure::Throttled, "0"),
    (Figure::SteadyWall, "5 s"),
    (Figure::Peak, "250 MB"),
    (Figure::Flat, "the same"),
    (Figure::File, "60 MB"),
];

/// The figures of the original program in the same worlds, and our limits: tasks, figure, original, limit.
const KNOWN: [(usize, Figure, &str, &str); 17] = [
    (10_000, Figure::SteadyCalls, "812", "115"),
    (10_000, Figure::ChangedCalls, "812", "118"),
    (10_000, Figure::Throttled, "about 100", "0"),
    (10_000, Figure::SteadyWall, "35 s", "4 s"),
    (10_000, Figure::FirstWall, "35.8 s", "29 s"),
    (10_000, Figure::RestartWall, "35.8 s", "8 s"),
    (10_000, Figure::SteadyCpu, "2.1–3.0 s", "0.21–0.30 s"),
    (10_000, Figure::Peak, "218–272 MB", "40 MB"),
    (10_000, Figure::Flat, "", "the same"),
    (10_000, Figure::Binary, "10.5 MB", "6 MB"),
    (1_000, Figure::SteadyCalls, "95", ""),
    (1_000, Figure::ChangedCalls, "95", ""),
    (1_000, Figure::SteadyWall, "2.4 s", ""),
    (1_000, Figure::Peak, "31 MB", ""),
    (100, Figure::SteadyCalls, "20", ""),
    (100, Figure::ChangedCalls, "20", ""),
    (100, Figure::Peak, "14 MB", "12 MB"),
];

#[derive(Clone, Copy, PartialEq)]
enum Figure {
    SteadyCalls,
    ChangedCalls,
    Throttled,
    SteadyWall,
    FirstWall,
    RestartWall,
    SteadyCpu,
    FirstCpu,
    Peak,
    Flat,
    File,
    Binary,
}

impl Figure {
    const ALL: [(Self, &str); 12] = [
        (Self::SteadyCalls, "calls of a steady refresh, maximum"),
        (Self::ChangedCalls, "calls of a refresh after 1 % of the tasks changed"),
        (Self::Throttled, "calls throttled in steady state"),
        (Self::SteadyWall, "steady refresh, wall, median and maximum"),
        (Self::FirstWall, "first refresh, wall"),
        (Self::RestartWall, "first refresh after a restart on the same volume, wall"),
        (Self::SteadyCpu, "CPU of a steady refresh"),
        (Self::FirstCpu, "CPU of the first refresh"),
        (Self::Peak, "peak memory"),
        (Self::Flat, "memory after a quarter of the refreshes and after all"),
        (Self::File, "file"),
        (Self::Binary, "binary"),
    ];

    fn of(self, measured: &Measured, binary: u64) -> String {
        let Measured { first, steady, changed, restarted, file } = measured;
        let most_calls = |rounds: &[Round]| rounds.iter().map(|round| round.calls.len()).max().unwrap_or(0);
        let mut walls: Vec<Duration> = steady.iter().map(|round| round.took).collect();
        walls.sort_unstable();
        let wall = |at: usize| walls.get(at).copied().unwrap_or_default();
        let cpu = steady.iter().map(|round| round.cpu).sum::<Duration>() / u32::try_from(steady.len()).unwrap_or(1);
        let last = steady.last().unwrap_or(first);
        match self {
            Self::SteadyCalls => most_calls(steady).to_string(),
            Self::ChangedCalls => changed.calls.len().to_string(),
            Self::Throttled => steady.iter().map(Round::throttled).sum::<usize>().to_string(),
            Self::SteadyWall => {
                format!("{} and {}", seconds(wall(walls.len() / 2)), seconds(wall(walls.len().saturating_sub(1))))
            }
            Self::FirstWall => seconds(first.took),
            Self::RestartWall => seconds(restarted.took),
            Self::SteadyCpu => seconds(cpu),
            Self::FirstCpu => seconds(first.cpu),
            Self::Peak => {
                format!("{} ({} after a restart)", megabytes(changed.peak.max(last.peak)), megabytes(restarted.peak))
            }
            Self::Flat => {
                let quarter = steady.get(steady.len() / 4).unwrap_or(first);
                format!("{} and {}", megabytes(quarter.resident), megabytes(last.resident))
            }
            Self::File => megabytes(*file),
            Self::Binary => megabytes(binary),
        }
    }
}

/// Returns the table in Markdown, and the API calls.
pub(crate) fn table(scenario: &Scenario, measured: &Measured) -> Outcome<String> {
    let binary = std::fs::metadata(&scenario.binary)?.len();
    let Shape { tasks, definitions, clusters, tenths_on_ec2, scopes, .. } = scenario.shape;
    let profile = scenario.binary.parent().and_then(Path::file_name).unwrap_or_default();
    let mut text = format!(
        "{scopes} scopes with {tasks} tasks, {definitions} task definitions and {clusters} clusters each, {tenths_on_ec2} tenths on \
         EC2, {} refreshes, \
         one every {:?}, AWS {} ms away, profile {}{}\n\n",
        scenario.refreshes,
        scenario.interval,
        scenario.latency.as_millis(),
        profile.display(),
        scenario.flags.iter().map(|flag| format!(", {flag}")).collect::<String>(),
    );
    text.push_str("| | original | our limit | measured |\n|---|---|---|---|\n");
    for (figure, name) in Figure::ALL {
        let (original, target) = known(scenario.shape, figure);
        let _ = writeln!(text, "| {name} | {original} | {target} | {} |", figure.of(measured, binary));
    }
    let most = measured.steady.iter().max_by_key(|round| round.calls.len());
    let rounds = [Some(&measured.first), most, Some(&measured.changed), Some(&measured.restarted)];
    text.push('\n');
    for (name, round) in ["first", "steady", "after a change", "after a restart"].iter().zip(rounds) {
        let _ = writeln!(text, "{name}: {}", round.map(counts).unwrap_or_default());
    }
    Ok(text)
}

/// Returns the figure of the original program and our limit, if there are any.
fn known(shape: Shape, figure: Figure) -> (&'static str, &'static str) {
    if shape == Shape::organisation(20, 5000) {
        let limit = ORGANISATION.iter().find(|(known, _)| *known == figure);
        return limit.map_or(("", ""), |(_, limit)| ("", *limit));
    }
    let known = KNOWN.iter().find(|(size, known, ..)| shape == Shape::usual(*size) && *known == figure);
    known.map_or(("", ""), |(_, _, original, limit)| (*original, *limit))
}

fn counts(round: &Round) -> String {
    let counts: Vec<String> = round.counts().iter().map(|(operation, count)| format!("{count} {operation}")).collect();
    counts.join(", ")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
