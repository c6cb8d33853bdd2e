//! Draws the calls of a refresh over time, in text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use simaws::Span;

const COLUMNS: usize = 60;

/// Returns a line per operation: the number of calls, the start of the first and the end of the last one, the maximum
/// concurrency, and the mean concurrency in each sixtieth of the time (`.` below one, `+` for ten or more).
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
        "maximum",
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
            max_concurrency(&calls),
            drawn(&calls, start, end - start).trim_end(),
        );
    }
    text
}

fn max_concurrency(calls: &[&Span]) -> usize {
    let in_flight = |at: Instant| calls.iter().filter(|call| call.begun <= at && at < call.ended).count();
    calls.iter().map(|call| in_flight(call.begun)).max().unwrap_or(0)
}

fn drawn(calls: &[&Span], start: Instant, whole: Duration) -> String {
    let column = whole.as_secs_f64() / COLUMNS as f64;
    let mean = |n: usize| {
        let from = start + whole.mul_f64(n as f64 / COLUMNS as f64);
        let to = start + whole.mul_f64((n + 1) as f64 / COLUMNS as f64);
        let within = |call: &&Span| call.ended.min(to).saturating_duration_since(call.begun.max(from)).as_secs_f64();
        calls.iter().map(within).sum::<f64>() / column
    };
    (0..COLUMNS).map(|n| digit(mean(n))).collect()
}

/// Returns a mean concurrency as one character.
fn digit(mean: f64) -> char {
    match mean.round() {
        _ if mean <= 0.0 => ' ',
        whole if whole < 1.0 => '.',
        whole if whole > 9.0 => '+',
        whole => char::from_digit(whole as u32, 10).unwrap_or('+'),
    }
}
