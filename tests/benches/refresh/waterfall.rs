//! When the calls of a refresh were under way, as a drawing in text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use simaws::Span;

const COLUMNS: usize = 60;

/// A line for each operation: how many calls, when the first began and the last ended, how many were under way at
/// once, and how many that were on average in each sixtieth of the time (`.` less than one, `+` ten or more).
pub(crate) fn waterfall(calls: &[Span]) -> String {
    let (Some(start), Some(end)) =
        (calls.iter().map(|call| call.begun).min(), calls.iter().map(|call| call.ended).max())
    else {
        return "no calls\n".into();
    };
    let mut operations: BTreeMap<(Instant, &str), Vec<&Span>> = BTreeMap::new();
    for call in calls {
        let first = calls.iter().filter(|other| other.operation == call.operation).map(|other| other.begun).min();
        operations.entry((first.unwrap_or(start), &call.operation)).or_default().push(call);
    }
    let span = (end - start).as_secs_f64();
    let mut text = format!(
        "{:<30} {:>5} {:>9} {:>8} {:>8} {:>7}  0 s{:>width$}\n",
        "operation",
        "calls",
        "throttled",
        "first",
        "last",
        "at once",
        format!("{span:.2} s"),
        width = COLUMNS - 3
    );
    for ((first, operation), calls) in operations {
        let last = calls.iter().map(|call| call.ended).max().unwrap_or(first);
        let throttled = calls.iter().filter(|call| call.throttled).count();
        let _ = writeln!(
            text,
            "{operation:<30} {:>5} {throttled:>9} {:>6.2} s {:>6.2} s {:>7}  {}",
            calls.len(),
            (first - start).as_secs_f64(),
            (last - start).as_secs_f64(),
            most_at_once(&calls),
            drawn(&calls, start, end - start).trim_end(),
        );
    }
    text
}

fn most_at_once(calls: &[&Span]) -> usize {
    let under_way = |at: Instant| calls.iter().filter(|call| call.begun <= at && at < call.ended).count();
    calls.iter().map(|call| under_way(call.begun)).max().unwrap_or(0)
}

fn drawn(calls: &[&Span], start: Instant, whole: Duration) -> String {
    let column = whole.as_secs_f64() / COLUMNS as f64;
    let mean = |n: usize| {
        let from = start + whole.mul_f64(n as f64 / COLUMNS as f64);
        let to = start + whole.mul_f64((n + 1) as f64 / COLUMNS as f64);
        let within = |call: &&Span| call.ended.min(to).saturating_duration_since(call.begun.max(from)).as_secs_f64();
        calls.iter().map(within).sum::<f64>() / column
    };
    (0..COLUMNS).map(|n| sign(mean(n))).collect()
}

/// How many calls are under way in one character.
fn sign(mean: f64) -> char {
    match mean.round() {
        _ if mean <= 0.0 => ' ',
        whole if whole < 1.0 => '.',
        whole if whole > 9.0 => '+',
        whole => char::from_digit(whole as u32, 10).unwrap_or('+'),
    }
}
