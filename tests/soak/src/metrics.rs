//! The metrics of the program, and what they must say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::clients::get;
use crate::groups::Group;
use crate::history::{About, Violation};
use crate::oracle::Oracle;
use crate::setup::{ACCOUNTS, Scope};

/// The metrics of calls, with whose code label the number of series grows until each code has occurred.
const CALLS: &str = "ecs_discovery_aws_requests_total";

/// The code of an attempt that never left the program, because there were no credentials, and that of one which may not
/// have, because it was given up.
const NEVER_SENT: &str = "DispatchFailure";
const CANCELLED: &str = "Cancelled";

/// The metrics with a series for each cluster.
const OF_CLUSTERS: [&str; 2] = ["ecs_discovery_targets", "ecs_discovery_cluster_stale_seconds"];

/// The operations whose calls are counted: those to STS are made inside the SDK.
const COUNTED: [&str; 6] = [
    "ecs:ListClusters",
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeContainerInstances",
    "ec2:DescribeInstances",
];

type Labels = BTreeMap<String, String>;

/// A scrape.
pub(crate) struct Metrics(Vec<(String, Labels, f64)>);

impl Metrics {
    pub(crate) fn scrape(address: SocketAddr) -> Result<Self, Violation> {
        let failed = |why: String| Violation::general(format!("GET /metrics: {why}"));
        let response = get(address, "/metrics").map_err(|error| failed(error.to_string()))?;
        let lines = response.body.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| failed(format!("not a sample: {line}"))));
        Ok(Self(samples.collect::<Result<_, _>>()?))
    }

    /// Returns the number of series, without those that come and go with codes and clusters.
    pub(crate) fn series(&self) -> usize {
        let varies = |name: &str| name == CALLS || OF_CLUSTERS.contains(&name);
        self.0.iter().filter(|(name, ..)| !varies(name)).count()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.0.iter().filter(move |(of, ..)| of == name).map(|(_, labels, value)| (labels, *value))
    }

    /// Returns the number of writes of the file, with each result.
    pub(crate) fn writes(&self) -> u64 {
        self.named("ecs_discovery_file_writes_total").map(|(_, value)| value as u64).sum()
    }

    /// Checks the series of clusters against the targets of the file and the clusters that exist.
    pub(crate) fn check_clusters(
        &self,
        groups: &[Group],
        clusters: &BTreeSet<(Scope, &'static str)>,
    ) -> Result<(), Violation> {
        let mut expected: BTreeMap<[&str; 3], f64> =
            clusters.iter().map(|(scope, cluster)| ([scope.account(), scope.region(), cluster], 0.0)).collect();
        for group in groups {
            let arn: Vec<&str> = group.label("cluster_arn").split([':', '/']).collect();
            let [.., region, account, _, cluster] = arn.as_slice() else { continue };
            *expected.entry([account, region, cluster]).or_default() += 1.0;
        }
        for (metric, counts) in OF_CLUSTERS.into_iter().zip([true, false]) {
            let found = self.named(metric).map(|(labels, value)| {
                (["account_id", "region", "cluster"].map(|name| labels.get(name).map_or("", String::as_str)), value)
            });
            let found: BTreeMap<_, _> = found.collect();
            let expected: BTreeMap<_, _> =
                expected.iter().map(|(of, count)| (*of, if counts { *count } else { 0.0 })).collect();
            if found != expected {
                let what = format!("{metric} does not agree with the file: {found:?} instead of {expected:?}");
                return Err(Violation::general(what));
            }
        }
        Ok(())
    }

    /// Checks the counts of calls: at least those that must have been counted before the scrape, at most those that had
    /// begun after it.
    pub(crate) fn check_calls(
        &self,
        certain: &BTreeMap<(Scope, &'static str), u64>,
        oracle: &Oracle,
    ) -> Result<(), Violation> {
        for ((scope, operation), least) in certain {
            let most = oracle.possible(*scope, operation);
            // What the program knows of its own credentials does not include their account.
            let account = if scope.account() == ACCOUNTS[0] { "" } else { scope.account() };
            let (service, name) = operation.split_once(':').unwrap_or_default();
            let wanted =
                [("account_id", account), ("region", scope.region()), ("service", service), ("operation", name)];
            let is_wanted =
                |labels: &Labels| wanted.iter().all(|(name, value)| labels.get(*name).is_some_and(|is| is == value));
            let counted = |without: &[&str]| -> u64 {
                let has = |labels: &Labels| labels.get("code").is_none_or(|code| !without.contains(&code.as_str()));
                let all = self.named(CALLS).filter(|(labels, _)| is_wanted(labels) && has(labels));
                all.map(|(_, value)| value as u64).sum()
            };
            let (sent, all) = (counted(&[NEVER_SENT, CANCELLED]), counted(&[NEVER_SENT]));
            if all < *least || sent > most {
                let what =
                    format!("{CALLS} counts {sent} to {all} calls of {operation}, but there were {least} to {most}");
                return Err(Violation::new(About::scope(*scope), what));
            }
        }
        Ok(())
    }
}

/// Returns the number of calls that the program must have counted by now.
pub(crate) fn certain(oracle: &Oracle) -> BTreeMap<(Scope, &'static str), u64> {
    let scopes = oracle.refreshes.setup().scopes();
    let all = scopes.flat_map(|scope| COUNTED.map(|operation| (scope, operation)));
    all.map(|(scope, operation)| {
        ((scope, operation), oracle.refreshes.certain(scope).get(operation).copied().unwrap_or_default())
    })
    .collect()
}

/// Parses `NAME{LABEL="VALUE",…} NUMBER`. None of the simulated names needs an escape.
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, ""));
    let label = |label: &str| {
        let (name, value) = label.trim_start_matches(',').split_once("=\"")?;
        Some((name.to_owned(), value.to_owned()))
    };
    // Each label ends with its second quotation mark.
    let labels = labels.split_inclusive('"').collect::<Vec<_>>();
    let labels = labels.chunks(2).map(|pair| {
        let label_and_value = pair.concat();
        label(label_and_value.strip_suffix('"')?)
    });
    Some((name.to_owned(), labels.collect::<Option<_>>()?, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_a_name_labels_and_a_value() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Labels>()
        };
        assert_eq!(sample("a_total 3"), Some(("a_total".into(), labels(&[]), 3.0)));
        let two = sample(r#"a{b="c,d",e=""} 1.5"#);
        assert_eq!(two, Some(("a".into(), labels(&[("b", "c,d"), ("e", "")]), 1.5)));
        assert_eq!(sample("nonsense"), None);
    }
}
