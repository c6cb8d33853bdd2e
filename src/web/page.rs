//! The page that a person looks at: what runs here, how the last refresh went, and why what is a target.

use std::fmt::Write;
use std::time::SystemTime;

use crate::explain::{Explanation, Row, Verdict, explain};
use crate::telemetry::Board;

/// How many containers are shown; `-explain` shows all.
const MOST_ROWS: usize = 2_000;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid #d8dee4;overflow-wrap:break-word}\
th{white-space:nowrap}code{font-size:.9em}small{color:#57606a}.verdict{white-space:nowrap;font-weight:600}\
.said,td:nth-child(2):last-child{overflow-wrap:anywhere}.said{min-width:18rem}\
.target,.good{color:#116329}.mend,.unknown,.failed{color:#953800}.skipped{color:#57606a}.state{font-size:1.1rem;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}small{color:#8b949e}\
.target,.good{color:#7ee787}.mend,.unknown,.failed{color:#ffa657}.skipped{color:#8b949e}a{color:#79c0ff}}";

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
    state(&mut html, board, explanation.as_ref());
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

/// What a person wants to know first.
fn state(html: &mut String, board: &Board, explanation: Option<&Explanation>) {
    let targets = board.targets.as_ref().map_or("no targets known yet".into(), |known| match known.len() {
        1 => "1 target".to_owned(),
        number => format!("{number} targets"),
    });
    let last = board.last.as_deref();
    let (class, went) = match last {
        None => ("unknown", "the first refresh has not ended"),
        Some(refresh) if refresh.failed() => ("failed", "the last refresh failed in part"),
        Some(_) => ("good", "the last refresh went well"),
    };
    let mend = |row: &&Row| matches!(row.verdict, Verdict::Mistake(_));
    let mistakes = explanation.map_or(0, |explanation| explanation.rows.iter().filter(mend).count());
    let _ = write!(html, "<p class=\"state\">{targets} · <span class=\"{class}\">{went}</span>");
    if mistakes > 0 {
        let _ = write!(html, " · <span class=\"mend\">{mistakes} to mend</span>");
    }
    html.push_str("</p>");
}

fn last_refresh(html: &mut String, board: &Board, explanation: Option<&Explanation>) {
    html.push_str("<h2>Last refresh</h2><table>");
    let mut line = |name: &str, value: &str| {
        let _ = write!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
    };
    line("began", &ago(board.attempted));
    line("last without a failure", &ago(board.succeeded));
    let Some(explanation) = explanation else {
        html.push_str("</table>");
        return;
    };
    let skipped: Vec<String> = explanation.skipped.iter().map(|(code, count)| format!("{code} {count}")).collect();
    line("skipped", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") }.as_str());
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
         <th></th><th>target, or why not</th><th>task</th></tr>",
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
            let labels = [("path", &target.path), ("scheme", &target.scheme), ("job", &target.job)];
            let mut said = target.address.clone();
            for (name, value) in labels {
                if let Some(value) = value {
                    let _ = write!(said, " {name}={value}");
                }
            }
            if target.stale {
                said.push_str(" (last known)");
            }
            ("target", said)
        }
    };
    html.push_str("<tr>");
    for cell in [&row.cluster, &row.group, &row.container] {
        let _ = write!(html, "<td>{}</td>", escaped(cell));
    }
    let _ = write!(
        html,
        "<td class=\"verdict {class}\">{class}</td><td class=\"said {class}\">{}</td>\
         <td>{}<br><small><code>{}</code></small></td></tr>",
        escaped(&said),
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
