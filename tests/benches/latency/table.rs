//! The figures as tables, beside those of the original program and our limits.

use std::fmt::Write;
use std::time::Duration;

use crate::first_start::PARTS;
use crate::measure::{Calls, Measured};
use crate::world::Shape;

/// Returns the table of the configurations in Markdown. `few` are those while 1 % of the tasks are replaced each minute,
/// if that was measured.
pub(crate) fn of_loads(shape: Shape, many: &[Measured], few: &[Measured]) -> String {
    let Shape { tasks, clusters, .. } = shape;
    let mut text = format!("{tasks} tasks in {clusters} clusters\n\n");
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    let cells = |of: &[Measured], cell: &dyn Fn(&Measured) -> String| of.iter().map(cell).collect();
    row("", cells(many, &|of| of.name.to_owned()));
    row("---", cells(many, &|_| "---".to_owned()));
    row("Fargate: runs → in the file, p50 / p99 / maximum", cells(many, &|of| percentiles(&of.fargate)));
    row("EC2: runs → in the file", cells(many, &|of| percentiles(&of.ec2)));
    row("is to stop → out of the file", cells(many, &|of| percentiles(&of.stopped)));
    let starts = many.first().map_or(0, |of| of.stopped.len());
    row(&format!("ECS calls per second during these {starts} starts"), cells(many, &|of| rate(of, "ecs:")));
    row("throttled calls", cells(many, &|of| of.all.throttled.to_string()));
    if !few.is_empty() {
        row("Fargate, while 1 % of the tasks are replaced each minute", cells(few, &|of| percentiles(&of.fargate)));
        row("EC2", cells(few, &|of| percentiles(&of.ec2)));
        row("ECS calls per second while 1 % of the tasks are replaced each minute", cells(few, &|of| rate(of, "ecs:")));
        row("SQS calls per second", cells(few, &|of| rate(of, "sqs:")));
    }
    for (load, measured) in [("many", many), ("few", few)] {
        for of in measured {
            let Calls { counts, seconds, .. } = &of.all;
            let _ = write!(text, "\n{load} starts, {}: {counts:?} in {seconds:.0} s", of.name);
        }
    }
    text
}

/// Returns the times of a first start in Markdown.
pub(crate) fn of_first_start(shape: Shape, times: &[Duration; 3]) -> String {
    let Shape { tasks, definitions, skewed, .. } = shape;
    let services = if skewed { "by Zipf's law" } else { "of equal size" };
    let times: Vec<String> = times.iter().map(|time| format!("{:.1} s", time.as_secs_f64())).collect();
    let parts = PARTS.map(|percent| format!("{percent} %"));
    format!(
        "First start, {tasks} tasks, {definitions} task definitions {services}: {} of the targets after {}",
        parts.join(" / "),
        times.join(" / ")
    )
}

fn rate(of: &Measured, service: &str) -> String {
    format!("{:.2}", of.while_creating.rate(service))
}

/// Returns the median, the 99th percentile and the maximum by the nearest rank.
fn percentiles(sorted: &[Duration]) -> String {
    let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).checked_sub(1);
    let at = |percent| rank(percent).map_or("–".to_owned(), |rank| format!("{:.1}", sorted[rank].as_secs_f64()));
    format!("{} / {} / {} s", at(50), at(99), at(100))
}
