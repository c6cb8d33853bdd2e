//! The page that a person looks at: what runs here, how the last refresh went, and why what is a target.

use std::fmt::Write;
use std::time::SystemTime;

use crate::explain::{Explanation, Row, Verdict, explain};
use crate::telemetry::Board;

/// How many containers are shown; `-explain` shows all.
const MOST_ROWS: usize = 2_000;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}\
code{font-size:.9em}.target{color:#116329}.mend,.unknown,.failed{color:#953800}.skipped{color:#57606a}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}\
.target{color:#7ee787}.mend,.unknown,.failed{color:#ffa657}.skipped{color:#8b949e}a{color:#79c0ff}}";

/// The page as HTML, which needs no script.
pub(super) fn page(board: &Board, flags: &[(&'static str, String)], telemetry_path: &str) -> String {
    let explanation = board.last.as_deref().map(explain);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>ecs-discovery</title><style>{STYLE}</style></head><body>\
         <h1>ecs-discovery {}</h1><p><a href=\"{}\">metrics</a> · <a href=\"/targets\">targets</a> · \
         <a href=\"/-/healthy\">healthy</a> · <a href=\"/-/ready\">ready</a></p>",
        env!("CARGO_PKG_VERSION"),
        escaped(telemetry_path),
    );
    last_refresh(&mut html, board, explanation.as_ref());
    if let Some(explanation) = &explanation {
        containers(&mut html, explanation);
    }
    html.push_str("<h2>Flags in force</h2><table>");
    for (name, value) in flags {
        let _ = write!(html, "<tr><td><code>-{name}</code></td><td><code>{}</code></td></tr>", escaped(value));
    }
    html.push_str("</table></body></html>\n");
    html
}

fn last_refresh(html: &mut String, board: &Board, explanation: Option<&Explanation>) {
    html.push_str("<h2>Last refresh</h2><table>");
    let mut line = |name: &str, value: &str| {
        let _ = write!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
    };
    line("began", &ago(board.attempted));
    line("last without a failure", &ago(board.succeeded));
    let known = board.targets.as_ref().map_or("none known yet".to_owned(), |targets| targets.len().to_string());
    line("targets", &known);
    let Some(explanation) = explanation else {
        html.push_str("</table>");
        return;
    };
    let skipped: Vec<String> = explanation.skipped.iter().map(|(code, count)| format!("{code} {count}")).collect();
    line("skipped", &skipped.join(", "));
    for (cluster, read) in &explanation.clusters {
        let state = if *read { "read" } else { "<span class=\"failed\">could not be read</span>" };
        line("cluster", &format!("{}: {state}", escaped(cluster)));
    }
    for failure in &explanation.failures {
        line("failed", &format!("<span class=\"failed\">{}</span>", escaped(failure)));
    }
    html.push_str("</table>");
}

fn containers(html: &mut String, explanation: &Explanation) {
    html.push_str(
        "<h2>Containers</h2><table><tr><th>cluster</th><th>service or group</th><th>container</th>\
         <th>task</th><th></th><th>target, or why not</th></tr>",
    );
    for row in explanation.rows.iter().take(MOST_ROWS) {
        container(html, row);
    }
    html.push_str("</table>");
    let more = explanation.rows.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        let _ = write!(html, "<p>And {more} more: ecs-discovery -explain shows all.</p>");
    }
}

fn container(html: &mut String, row: &Row) {
    let (class, said) = match &row.verdict {
        Verdict::Mistake(reason) => ("mend", format!("{reason}: {}", reason.remedy())),
        Verdict::Unknown { failure, remedy } => ("unknown", format!("{failure}: {remedy}")),
        Verdict::Skipped(reason) => ("skipped", format!("{reason}: {}", reason.remedy())),
        Verdict::Target(target) => {
            let labels = [&target.scheme, &target.path, &target.job].into_iter().flatten();
            let labels: Vec<&str> = labels.map(String::as_str).collect();
            let stale = if target.stale { " (last known)" } else { "" };
            ("target", format!("{} {}{stale}", target.address, labels.join(" ")))
        }
    };
    let cells = [&row.cluster, &row.group, &row.container, &format!("{} ({})", row.task, row.definition)];
    html.push_str("<tr>");
    for cell in cells {
        let _ = write!(html, "<td>{}</td>", escaped(cell));
    }
    let _ = write!(html, "<td class=\"{class}\">{class}</td><td class=\"{class}\">{}</td></tr>", escaped(&said));
}

fn ago(time: Option<SystemTime>) -> String {
    match time.map(|time| time.elapsed().unwrap_or_default().as_secs()) {
        Some(seconds) => format!("{seconds} s ago"),
        None => "never".into(),
    }
}

/// Docker labels and names are other people's text.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
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
