//! The status page: the last refresh, why each container is or is not a target, and the flags in force.

use std::fmt::Write;
use std::time::SystemTime;

use crate::explain::{Explanation, Row, Verdict, explain};
use crate::printable;
use crate::status::Status;

/// The largest number of containers that are shown; `-explain` shows all.
const MOST_ROWS: usize = 2_000;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid #d8dee4;overflow-wrap:break-word}\
th{white-space:nowrap}code{font-size:.9em}small{color:#57606a}.verdict{white-space:nowrap;font-weight:600}\
.said,td:nth-child(2):last-child{overflow-wrap:anywhere}.said{min-width:18rem}\
.target,.good{color:#116329}.misconfigured,.unknown,.failed{color:#953800}.skipped{color:#57606a}.state{font-size:1.1rem;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}small{color:#8b949e}\
.target,.good{color:#7ee787}.misconfigured,.unknown,.failed{color:#ffa657}.skipped{color:#8b949e}a{color:#79c0ff}}";

/// Renders the page as HTML without scripts.
pub(super) fn page(status: &Status, flags: &[(&'static str, String)], telemetry_path: &str) -> String {
    let explanation = status.refresh.as_deref().map(explain);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>ecs-discovery</title><style>{STYLE}</style></head><body>\
         <h1>ecs-discovery {}</h1><p><a href=\"{}\">metrics</a> · <a href=\"/targets\">targets</a> · \
         <a href=\"/-/healthy\">healthy</a> · <a href=\"/-/ready\">ready</a></p>",
        env!("CARGO_PKG_VERSION"),
        escaped(telemetry_path),
    );
    summary(&mut html, status, explanation.as_ref());
    last_refresh(&mut html, status, explanation.as_ref());
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

fn summary(html: &mut String, status: &Status, explanation: Option<&Explanation>) {
    let targets = status.targets.as_ref().map_or("no targets known yet".into(), |known| match known.len() {
        1 => "1 target".to_owned(),
        number => format!("{number} targets"),
    });
    let last = status.refresh.as_deref();
    let (class, went) = match last {
        None => ("unknown", "the first refresh has not ended"),
        Some(refresh) if refresh.failed() => ("failed", "the last refresh had failures"),
        Some(_) => ("good", "the last refresh succeeded"),
    };
    let is_misconfigured = |row: &&Row| matches!(row.verdict, Verdict::Misconfigured(_));
    let misconfigured = explanation.map_or(0, |explanation| explanation.rows.iter().filter(is_misconfigured).count());
    let _ = write!(html, "<p class=\"state\">{targets} · <span class=\"{class}\">{went}</span>");
    if misconfigured > 0 {
        let _ = write!(html, " · <span class=\"misconfigured\">{misconfigured} misconfigured</span>");
    }
    html.push_str("</p>");
}

fn last_refresh(html: &mut String, status: &Status, explanation: Option<&Explanation>) {
    html.push_str("<h2>Last refresh</h2><table>");
    let mut line = |name: &str, value: &str| {
        let _ = write!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
    };
    line("started", &ago(status.last_refresh));
    line("last without failures", &ago(status.last_success));
    let Some(explanation) = explanation else {
        html.push_str("</table>");
        return;
    };
    let skipped: Vec<String> = explanation.skipped.iter().map(|(code, count)| format!("{code} {count}")).collect();
    line("skipped", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") }.as_str());
    for cluster in &explanation.clusters {
        let state =
            if cluster.complete { "read" } else { "<span class=\"failed\">could not be read completely</span>" };
        line("cluster", &format!("{}: {state}", escaped(&cluster.name)));
    }
    for failure in &explanation.failures {
        line("failed", &format!("<span class=\"failed\">{}</span>", escaped(failure)));
    }
    html.push_str("</table>");
}

fn containers(html: &mut String, explanation: &Explanation) {
    html.push_str(
        "<h2>Containers</h2><table><tr><th>cluster</th><th>service or group</th><th>container</th>\
         <th></th><th>target, or reason</th><th>task</th></tr>",
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
