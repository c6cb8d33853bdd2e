//! An explanation for a person on a terminal.

use std::fmt::Write;

use super::{Explanation, Row, Target, Verdict};

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The explanation as aligned text, coloured where asked for: clusters, in them services, in them the
/// containers with something to mend first; a summary at the end, where a terminal shows it.
pub fn text(explanation: &Explanation, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = String::new();
    let (mut cluster, mut group) = (None, None);
    let width =
        |cell: fn(&Row) -> String| explanation.rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0);
    let (containers, definitions, tasks) =
        (width(container), width(|row| row.definition.clone()), width(|row| row.task.clone()));
    for row in &explanation.rows {
        if cluster != Some(&row.cluster) {
            let blank = if cluster.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{blank}cluster {}", paint.with(BOLD, &row.cluster));
            (cluster, group) = (Some(&row.cluster), None);
        }
        if group != Some(&row.group) {
            let name = if row.group.is_empty() { "(no group)" } else { &row.group };
            let _ = writeln!(text, "  {name}");
            group = Some(&row.group);
        }
        let (mark, colour, said) = verdict(&row.verdict);
        let _ = writeln!(
            text,
            "    {}  {:containers$}  {:definitions$}  {:tasks$}  {said}",
            paint.with(colour, &format!("{mark:7}")),
            container(row),
            row.definition,
            row.task,
        );
    }
    if !explanation.rows.is_empty() {
        text.push('\n');
    }
    summary(&mut text, explanation, paint);
    text
}

fn container(row: &Row) -> String {
    if row.container.is_empty() { "-".into() } else { row.container.clone() }
}

fn verdict(verdict: &Verdict) -> (&'static str, &'static str, String) {
    match verdict {
        Verdict::Mistake(reason) => ("mend", YELLOW, format!("{reason}: {}", reason.remedy())),
        Verdict::Unknown { failure, remedy } => ("unknown", YELLOW, format!("{failure}: {remedy}")),
        Verdict::Target(target) => ("target", GREEN, described(target)),
        Verdict::Skipped(reason) => ("skipped", DIM, format!("{reason}: {}", reason.remedy())),
    }
}

fn described(target: &Target) -> String {
    let mut text = target.address.clone();
    for (name, value) in [("path", &target.path), ("scheme", &target.scheme), ("job", &target.job)] {
        if let Some(value) = value {
            // Docker labels are other people's text: no control characters onto a terminal.
            let _ = write!(text, " {name}={}", value.escape_debug());
        }
    }
    if target.stale {
        text.push_str(" (last known)");
    }
    text
}

fn summary(text: &mut String, explanation: &Explanation, paint: Paint) {
    let (read, unread): (Vec<_>, Vec<_>) = explanation.clusters.iter().partition(|(_, read)| *read);
    let skipped: usize = explanation.skipped.values().sum();
    let line =
        format!("{} in {}, {} skipped", count(explanation.targets, "target"), count(read.len(), "cluster"), skipped);
    let _ = writeln!(text, "{}", paint.with(BOLD, &line));
    let mut reasons: Vec<_> = explanation.skipped.iter().collect();
    reasons.sort_by_key(|(code, count)| (std::cmp::Reverse(**count), **code));
    for (code, count) in reasons {
        let _ = writeln!(text, "  {count:5}  {code}");
    }
    for (cluster, _) in unread {
        let _ = writeln!(text, "{}", paint.with(YELLOW, &format!("cluster {cluster} could not be read")));
    }
    for failure in &explanation.failures {
        let _ = writeln!(text, "{}", paint.with(YELLOW, &format!("failed: {failure}")));
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, colour: &str, text: &str) -> String {
        if self.0 { format!("{colour}{text}{RESET}") } else { text.to_owned() }
    }
}
