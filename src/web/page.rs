//! The status page: the last refresh, why each container is or is not a target, and the flags in force.

use std::fmt::Write;
use std::time::SystemTime;

use crate::explain::{Explanation, Row, Verdict, explain};
use crate::printable;
use crate::publish::Publication;
use crate::status::Status;

/// The number of containers on a page.
const ROWS: usize = 500;

/// The largest number of clusters, and of failures, that are shown; `-explain` shows all.
const MOST_LINES: usize = 100;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid #d8dee4;overflow-wrap:break-word}\
th{white-space:nowrap}code{font-size:.9em}small{color:#57606a}.verdict{white-space:nowrap;font-weight:600}\
.said,td:nth-child(2):last-child{overflow-wrap:anywhere}.said{min-width:18rem}\
.target,.good{color:#116329}.misconfigured,.unknown,.failed{color:#953800}.skipped{color:#57606a}.state{font-size:1.1rem;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}small{color:#8b949e}\
.target,.good{color:#7ee787}.misconfigured,.unknown,.failed{color:#ffa657}.skipped{color:#8b949e}a{color:#79c0ff}}";

/// Returns the number of the page that a query asks for, if there is such a page. Pages count from 1.
pub(super) fn number(query: Option<&str>, publication: Option<&Publication>) -> Option<usize> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, number)) = pairs.find(|(name, _)| name == "page") else { return Some(1) };
    let rows = publication.map_or(0, |publication| {
        let refreshes = publication.refreshes.iter();
        let others = refreshes.map(|refresh| refresh.derived.skipped.len() + refresh.derived.unknown.len());
        publication.targets.len() + others.sum::<usize>()
    });
    number.parse().ok().filter(|number| (1..=pages(rows)).contains(number))
}

fn pages(rows: usize) -> usize {
    rows.div_ceil(ROWS).max(1)
}

/// Renders the start of the page, which changes between refreshes. Everything here takes no longer with more targets.
pub(super) fn start(status: &Status, telemetry_path: &str) -> String {
    let targets = status.targets.as_ref().map_or("no targets known yet".into(), |known| match known.len() {
        1 => "1 target".to_owned(),
        number => format!("{number} targets"),
    });
    let (class, went) = match status.publication.as_deref() {
        None => ("unknown", "the first refresh has not ended"),
        Some(publication) if publication.failed() => ("failed", "the last refresh had failures"),
        Some(_) => ("good", "the last refresh succeeded"),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>ecs-discovery</title><style>{STYLE}</style></head><body>\
         <h1>ecs-discovery {}</h1><p><a href=\"{}\">metrics</a> · <a href=\"/targets\">targets</a> · \
         <a href=\"/-/healthy\">healthy</a> · <a href=\"/-/ready\">ready</a></p>\
         <p class=\"state\">{targets} · <span class=\"{class}\">{went}</span></p>\
         <p>Last refresh started: {} · last refresh without failures: {}</p>",
        env!("CARGO_PKG_VERSION"),
        escaped(telemetry_path),
        ago(status.last_refresh),
        ago(status.last_success),
    )
}

/// Renders the rest of the page: a publication, this page of its containers, and the flags in force.
pub(super) fn rest(publication: Option<&Publication>, flags: &[(&'static str, String)], page: usize) -> String {
    let mut html = String::new();
    if let Some(explanation) = publication.map(explain) {
        last_refresh(&mut html, &explanation);
        containers(&mut html, explanation, page);
    }
    html.push_str("<h2>Flags in force</h2><table>");
    for (name, value) in flags {
        let _ = write!(html, "<tr><td><code>-{name}</code></td><td><code>{}</code></td></tr>", escaped(value));
    }
    html.push_str("</table></body></html>\n");
    html
}

fn last_refresh(html: &mut String, explanation: &Explanation) {
    html.push_str("<h2>Last refresh</h2><table>");
    let mut line = |name: &str, value: &str| {
        let _ = write!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
    };
    let misconfigured = explanation.rows.iter().filter(|row| matches!(row.verdict, Verdict::Misconfigured(_))).count();
    if misconfigured > 0 {
        line("misconfigured", &format!("<span class=\"misconfigured\">{misconfigured}</span>"));
    }
    let skipped: Vec<String> = explanation.skipped.iter().map(|(code, count)| format!("{code} {count}")).collect();
    line("skipped", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") }.as_str());
    let (complete, incomplete): (Vec<_>, Vec<_>) = explanation.clusters.iter().partition(|cluster| cluster.complete);
    for cluster in incomplete.iter().chain(&complete).take(MOST_LINES) {
        let state =
            if cluster.complete { "read" } else { "<span class=\"failed\">could not be read completely</span>" };
        line("cluster", &format!("{}: {state}", escaped(&cluster.name)));
    }
    more(&mut line, "cluster", explanation.clusters.len());
    for failure in explanation.failures.iter().take(MOST_LINES) {
        line("failed", &format!("<span class=\"failed\">{}</span>", escaped(failure)));
    }
    more(&mut line, "failed", explanation.failures.len());
    html.push_str("</table>");
}

fn more(line: &mut impl FnMut(&str, &str), name: &str, all: usize) {
    if all > MOST_LINES {
        line(name, &format!("and {} more: ecs-discovery -explain shows all", all - MOST_LINES));
    }
}

fn containers(html: &mut String, explanation: Explanation, page: usize) {
    let mut rows = explanation.rows;
    let pages = pages(rows.len());
    html.push_str("<h2>Containers</h2>");
    if pages > 1 {
        // On the first page, where they are seen.
        rows.sort_by_key(|row| !matches!(row.verdict, Verdict::Misconfigured(_) | Verdict::Unknown { .. }));
        links(html, page, pages);
    }
    html.push_str(
        "<table><tr><th>cluster</th><th>service or group</th><th>container</th>\
         <th></th><th>target, or reason</th><th>task</th></tr>",
    );
    for row in rows.iter().skip((page - 1) * ROWS).take(ROWS) {
        container(html, row);
    }
    html.push_str("</table>");
}

fn links(html: &mut String, page: usize, pages: usize) {
    let _ = write!(html, "<p>Page {page} of {pages}");
    for (text, number) in [("previous", page - 1), ("next", page + 1)] {
        if (1..=pages).contains(&number) {
            let _ = write!(html, " · <a href=\"/?page={number}\">{text}</a>");
        }
    }
    html.push_str(" · ecs-discovery -explain shows all</p>");
}

fn container(html: &mut String, row: &Row) {
    let class = row.verdict.word();
    html.push_str("<tr>");
    for cell in [&row.cluster, &row.group, &row.container] {
        let _ = write!(html, "<td>{}</td>", escaped(cell));
    }
    let _ = write!(
        html,
        "<td class=\"verdict {class}\">{class}</td><td class=\"said {class}\">{}</td>\
         <td>{}<br><small><code>{}</code></small></td></tr>",
        escaped(&row.verdict.details()),
        escaped(&row.definition),
        escaped(&row.task),
    );
}

fn ago(time: Option<SystemTime>) -> String {
    match time.map(|time| time.elapsed().unwrap_or_default().as_secs()) {
        Some(seconds) if seconds >= 7_200 => format!("{} h {} min ago", seconds / 3_600, seconds / 60 % 60),
        Some(seconds) if seconds >= 120 => format!("{} min ago", seconds / 60),
        Some(seconds) => format!("{seconds} s ago"),
        None => "never".into(),
    }
}

/// Escapes text for HTML: docker labels and names are untrusted.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable::escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
