//! An explanation for a person on a terminal.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt::Write;

use super::explanation::Explanation;
use super::rows::{Row, Verdict};
use crate::inventory::Scope;
use crate::printable::escape;

const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Whether to use terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For terminals.
    Always,
    /// For pipes and files.
    Never,
}

/// Renders an explanation as aligned text: clusters, in them services, in them containers with the misconfigured
/// ones first. The summary comes last, where a terminal shows it.
pub fn text(explanation: &Explanation, colour: Colour) -> String {
    let mut page = Page { text: String::new(), colour };
    let rows = explanation.rows.iter().map(Cells::of).collect::<Vec<_>>();
    let widths = [0, 1, 2].map(|column| rows.iter().map(|row| row.cells[column].chars().count()).max().unwrap_or(0));
    let (mut cluster, mut group) = (None, None);
    for Cells { row, cells } in &rows {
        if cluster != Some((&row.scope, &row.cluster)) {
            if cluster.is_some() {
                page.text.push('\n');
            }
            page.line("cluster ", BOLD, &row.cluster, &in_scope(row.scope.as_ref()));
            (cluster, group) = (Some((&row.scope, &row.cluster)), None);
        }
        if group != Some(&row.group) {
            let name = if row.group.is_empty() { "(no group)" } else { &row.group };
            page.line("  ", PLAIN, name, "");
            group = Some(&row.group);
        }
        let mut rest = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            // Writing to memory cannot fail.
            let _ = write!(rest, "  {cell:width$}");
        }
        let _ = write!(rest, "  {}", row.verdict.details());
        if !row.variables.is_empty() {
            let _ = write!(rest, " (from the environment: {})", row.variables.join(", "));
        }
        page.line("    ", colour_of(&row.verdict), &format!("{:13}", row.verdict.word()), &rest);
    }
    if !rows.is_empty() {
        page.text.push('\n');
    }
    summary(&mut page, explanation);
    page.text
}

/// The aligned cells of a row: container, definition, task. They are escaped before their width is measured.
struct Cells<'a> {
    row: &'a Row,
    cells: [Cow<'a, str>; 3],
}

impl<'a> Cells<'a> {
    fn of(row: &'a Row) -> Self {
        let container = if row.container.is_empty() { "-" } else { &row.container };
        Self { row, cells: [container, &row.definition, &row.task].map(escape) }
    }
}

/// The text so far. Every line passes through [`line`](Self::line), which escapes it.
struct Page {
    text: String,
    colour: Colour,
}

impl Page {
    fn line(&mut self, indent: &str, colour: &str, painted: &str, rest: &str) {
        let (painted, rest) = (escape(painted), escape(rest));
        let _ = match self.colour {
            Colour::Always if !colour.is_empty() => writeln!(self.text, "{indent}{colour}{painted}{RESET}{rest}"),
            _ => writeln!(self.text, "{indent}{painted}{rest}"),
        };
    }
}

fn colour_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Misconfigured(_) | Verdict::Unknown { .. } => YELLOW,
        Verdict::Target(_) => GREEN,
        Verdict::Skipped(_) => DIM,
    }
}

fn summary(page: &mut Page, explanation: &Explanation) {
    let (targets, clusters) = (count(explanation.targets, "target"), count(explanation.clusters.len(), "cluster"));
    let skipped: usize = explanation.skipped.values().sum();
    page.line("", BOLD, &format!("{targets} in {clusters}, {skipped} skipped"), "");
    let mut reasons: Vec<_> = explanation.skipped.iter().collect();
    reasons.sort_by_key(|(code, count)| (Reverse(**count), **code));
    for (code, count) in reasons {
        page.line("", PLAIN, &format!("  {count:5}  {code}"), "");
    }
    for cluster in explanation.clusters.iter().filter(|cluster| !cluster.complete) {
        let scope = in_scope(cluster.scope.as_ref());
        page.line("", YELLOW, &format!("cluster {}{scope} could not be read completely", cluster.name), "");
    }
    for failure in &explanation.failures {
        page.line("", YELLOW, &format!("failed: {failure}"), "");
    }
}

fn in_scope(scope: Option<&Scope>) -> String {
    scope.map(|scope| format!(" in {scope}")).unwrap_or_default()
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
