//! What a publication learned, beginning with what needs attention: failures, incomplete clusters, misconfigured
//! containers.

use std::fmt::Write;

use super::containers::table;
use super::html::escaped;
use crate::explain::{Cluster, Explanation, Row, Verdict};

/// The largest number of clusters, of failures and of containers that are shown here; `-explain` shows all.
const MOST_LINES: usize = 100;

/// Renders what needs attention, and a summary of the rest.
pub(super) fn attention(html: &mut String, explanation: &Explanation) {
    let is_misconfigured = |row: &&Row| matches!(row.verdict, Verdict::Misconfigured(_));
    let misconfigured: Vec<&Row> = explanation.rows.iter().filter(is_misconfigured).collect();
    html.push_str("<h2>Last refresh</h2><table>");
    let mut lines = Lines(html);
    for failure in explanation.failures.iter().take(MOST_LINES) {
        lines.add("failed", &format!("<span class=\"failed\">{}</span>", escaped(failure)));
    }
    lines.more("failed", explanation.failures.len());
    if !misconfigured.is_empty() {
        lines.add("misconfigured", &format!("<span class=\"misconfigured\">{}</span>", misconfigured.len()));
    }
    let skipped: Vec<String> = explanation.skipped.iter().map(|(code, count)| format!("{code} {count}")).collect();
    lines.add("skipped", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") }.as_str());
    let (complete, incomplete): (Vec<_>, Vec<_>) = explanation.clusters.iter().partition(|cluster| cluster.complete);
    for cluster in incomplete.iter().chain(&complete).take(MOST_LINES) {
        let state =
            if cluster.complete { "read" } else { "<span class=\"failed\">could not be read completely</span>" };
        lines.add("cluster", &format!("{}: {state}", name(cluster)));
    }
    lines.more("cluster", explanation.clusters.len());
    html.push_str("</table>");
    if !misconfigured.is_empty() {
        html.push_str("<h2>Misconfigured</h2>");
        table(html, misconfigured.iter().take(MOST_LINES).copied());
        more(html, misconfigured.len());
    }
}

fn name(cluster: &Cluster) -> String {
    let scope = cluster.scope.as_ref().map(|scope| format!(" in {scope}")).unwrap_or_default();
    escaped(&(cluster.name.clone() + &scope))
}

fn more(html: &mut String, all: usize) {
    if all > MOST_LINES {
        let _ = write!(html, "<p>and {} more, below</p>", all - MOST_LINES);
    }
}

/// The lines of a table of names and values.
struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    fn add(&mut self, name: &str, value: &str) {
        let _ = write!(self.0, "<tr><th>{name}</th><td>{value}</td></tr>");
    }

    fn more(&mut self, name: &str, all: usize) {
        if all > MOST_LINES {
            self.add(name, &format!("and {} more: ecs-discovery -explain shows all", all - MOST_LINES));
        }
    }
}
