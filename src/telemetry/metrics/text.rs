//! Prometheus's older text format.

/// Converts OpenMetrics to the older text format, which names a counter with its suffix in comments too, and has
/// neither units nor an end mark.
pub(super) fn classic(openmetrics: &str) -> String {
    let lines: Vec<&str> = openmetrics.lines().collect();
    let counters: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(openmetrics.len() + 1024);
    for line in lines {
        let comment = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let name = comment.and_then(|rest| rest.split(' ').next());
        match name.filter(|name| counters.contains(name)) {
            _ if line == "# EOF" || line.starts_with("# UNIT ") => continue,
            Some(name) => text.push_str(&line.replacen(name, &format!("{name}_total"), 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_counters_with_their_suffix_in_the_classic_format() {
        let openmetrics = "# HELP p_tries Tries of p_tries.\n\
                           # TYPE p_tries counter\n\
                           p_tries_total{of=\"p_tries\"} 1\n\
                           # HELP p_tries_now Tries.\n\
                           # TYPE p_tries_now gauge\n\
                           # UNIT p_tries_now seconds\n\
                           p_tries_now 2.5\n\
                           # EOF\n";
        let expected = "# HELP p_tries_total Tries of p_tries.\n\
                        # TYPE p_tries_total counter\n\
                        p_tries_total{of=\"p_tries\"} 1\n\
                        # HELP p_tries_now Tries.\n\
                        # TYPE p_tries_now gauge\n\
                        p_tries_now 2.5\n";
        assert_eq!(classic(openmetrics), expected);
    }
}
