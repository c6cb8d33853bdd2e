//! Which targets a client asks for: values of one parameter are alternatives, different parameters narrow.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterRef, Pattern, Place, Scope, Task, arn_account, arn_region};

/// The largest number of values, and of bytes in each. Every cluster is compared with all of them, and a client must not
/// be able to make that take long.
const MOST_VALUES: usize = 200;
const LONGEST_VALUE: usize = 512;

/// What a value takes in memory apart from its text.
const VALUE_OVERHEAD: usize = 64;

/// The values of a parameter; `None` if it is not given.
type Values<T = String> = Option<BTreeSet<T>>;

/// A filter of targets. Filters that are equal but for order and repetition are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetFilter {
    clusters: Values<Pattern>,
    regions: Values,
    accounts: Values,
    services: Values,
    families: Values,
}

impl TargetFilter {
    /// Returns the filter of a query's parameters, without other parameters. Fails if there are too many values.
    pub fn of<'a>(parameters: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, &'static str> {
        let mut filter = Self::default();
        let mut count = 0;
        for (name, value) in parameters {
            let values = match &*name {
                "cluster" => {
                    let patterns = filter.clusters.get_or_insert_default();
                    // What cannot be a cluster matches none.
                    patterns.extend(Pattern::parse(&value));
                    None
                }
                "region" => Some(&mut filter.regions),
                "account" => Some(&mut filter.accounts),
                "service" => Some(&mut filter.services),
                "family" => Some(&mut filter.families),
                _ => continue,
            };
            count += 1;
            if count > MOST_VALUES || value.len() > LONGEST_VALUE {
                return Err("at most 200 values, of at most 512 bytes each\n");
            }
            if let Some(values) = values {
                values.get_or_insert_default().insert(value.into_owned());
            }
        }
        Ok(filter)
    }

    /// Returns whether every target is selected.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the parameters, sorted.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = [
            ("region", &self.regions),
            ("account", &self.accounts),
            ("service", &self.services),
            ("family", &self.families),
        ];
        let texts =
            texts.into_iter().flat_map(|(name, values)| values.iter().flatten().map(move |value| (name, &**value)));
        self.clusters.iter().flatten().map(|pattern| ("cluster", pattern.as_str())).chain(texts)
    }

    /// Returns the size in memory.
    pub fn size(&self) -> usize {
        self.parameters().map(|(_, value)| value.len() + VALUE_OVERHEAD).sum()
    }

    /// Returns the selected targets.
    pub fn select<'a>(&self, targets: &'a [TargetGroup]) -> impl Iterator<Item = &'a TargetGroup> {
        let mut clusters: HashMap<&str, bool> = HashMap::new();
        targets.iter().filter(move |group| {
            let label = |name| group.labels.get(name);
            let arn = label("cluster_arn").unwrap_or_default();
            self.selects_tasks(label("task_group"), label("task_name"))
                && *clusters.entry(arn).or_insert_with(|| self.selects_cluster(arn))
        })
    }

    /// Returns whether tasks in the cluster with this ARN are selected.
    fn selects_cluster(&self, arn: &str) -> bool {
        let matches = |patterns: &BTreeSet<Pattern>| patterns.iter().any(|pattern| pattern.matches(arn));
        contains(&self.regions, arn_region(arn))
            && contains(&self.accounts, arn_account(arn))
            && self.clusters.as_ref().is_none_or(matches)
    }

    /// Returns whether tasks of this group and family are selected.
    fn selects_tasks(&self, group: Option<&str>, family: Option<&str>) -> bool {
        let service = group.and_then(|group| group.strip_prefix("service:"));
        contains(&self.services, service) && contains(&self.families, family)
    }

    /// Returns whether everything in a place is selected, as far as that is known for certain.
    pub fn selects(&self, place: &Place) -> bool {
        let Place { scope, cluster, workload } = place;
        let matches = |patterns: &BTreeSet<Pattern>| {
            cluster.as_ref().is_some_and(|cluster| patterns.iter().any(|pattern| pattern.matches_ref(cluster, scope)))
        };
        let (group, family) = workload.as_ref().map(|tasks| (tasks.group.as_deref(), &*tasks.family)).unzip();
        contains(&self.regions, Some(&scope.region))
            && contains(&self.accounts, scope.account.as_deref())
            && self.clusters.as_ref().is_none_or(matches)
            && self.selects_tasks(group.flatten(), family)
    }

    /// Returns whether something in a cluster of the scope, or in one that is not known yet, can be selected.
    pub fn can_select(&self, scope: &Scope, cluster: Option<&ClusterRef>) -> bool {
        let Place { scope, cluster, .. } =
            cluster.map_or_else(|| Place::scope(scope), |cluster| Place::cluster(scope, cluster));
        let can_match = |pattern: &Pattern| match &cluster {
            Some(cluster) => pattern.can_match_ref(cluster, &scope),
            None => pattern.can_match(&scope),
        };
        contains(&self.regions, Some(&scope.region))
            && (scope.account.is_none() || contains(&self.accounts, scope.account.as_deref()))
            && self.clusters.as_ref().is_none_or(|patterns| patterns.iter().any(can_match))
    }

    /// Returns whether a task can be selected, in a cluster of which something can. Of a task that was not described, the
    /// group and the family are unknown.
    pub fn can_select_task(&self, task: Option<&Task>) -> bool {
        task.is_none_or(|task| self.selects_tasks(task.group.as_deref(), Some(task.definition.family())))
    }
}

/// Returns whether a value is among those that are asked for.
fn contains(values: &Values, value: Option<&str>) -> bool {
    values.as_ref().is_none_or(|values| value.is_some_and(|value| values.contains(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROD: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod";

    fn filter(query: &str) -> TargetFilter {
        TargetFilter::of(form_urlencoded::parse(query.as_bytes())).unwrap()
    }

    fn group(cluster: &str, group: &str, family: &str) -> TargetGroup {
        TargetGroup {
            targets: ["10.0.0.1:9102".into()].into(),
            labels: [("cluster_arn", cluster), ("task_group", group), ("task_name", family)].into_iter().collect(),
        }
    }

    #[test]
    fn values_are_alternatives_and_parameters_narrow() {
        let other = PROD.replace("111111111111", "222222222222").replace("eu-west-1", "us-east-1");
        let targets = [
            group(PROD, "service:web", "web"),
            group(PROD, "family:web", "web"),
            group(&other, "service:web", "shop"),
            group(&other.replace("/prod", "/test"), "service:api", "api"),
        ];
        for (query, expected) in [
            ("", &[0, 1, 2, 3][..]),
            ("x=y", &[0, 1, 2, 3]),
            ("cluster=prod", &[0, 1, 2]),
            ("cluster=pro?&region=us-east-1", &[2]),
            (&format!("cluster={PROD}"), &[0, 1]),
            ("cluster=arn:*:222222222222:*", &[2, 3]),
            ("account=222222222222&account=111111111111&service=web", &[0, 2]),
            ("service=web&service=api", &[0, 2, 3]),
            ("family=web", &[0, 1]),
            ("family=web&service=web", &[0]),
            ("cluster=", &[]),
            ("cluster=&cluster=test", &[3]),
            ("cluster=*+*", &[]),
            ("service=", &[]),
            ("region=US-EAST-1", &[]),
        ] {
            let filter = filter(query);
            let expected: Vec<_> = expected.iter().map(|n| &targets[*n]).collect();
            assert_eq!(filter.select(&targets).collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn order_and_repetition_do_not_count() {
        assert_eq!(filter("cluster=a&region=r&cluster=b"), filter("region=r&cluster=b&cluster=a&cluster=b&x=1"));
        assert!(filter("page=2").is_empty() && !filter("cluster=").is_empty());
    }

    #[test]
    fn values_are_limited() {
        let many = |count: usize| (0..count).map(|n| format!("service={n}&")).collect::<String>();
        let of = |query: &str| TargetFilter::of(form_urlencoded::parse(query.as_bytes()));
        assert!(of(&many(200)).is_ok() && of(&many(201)).is_err());
        assert!(of(&format!("family={}", "x".repeat(513))).is_err());
        assert!(filter(&many(200)).size() < 16 << 10);
    }

    #[test]
    fn cluster_of_an_unknown_account_can_be_selected() {
        let scope = |account: Option<&str>| Scope { region: "eu-west-1".into(), account: account.map(Into::into) };
        let (known, unknown) = (scope(Some("111111111111")), scope(None));
        for (query, in_known, in_unknown) in [
            (format!("cluster={PROD}"), true, true),
            ("account=222222222222".into(), false, true),
            ("cluster=arn:*:222222222222:cluster/prod".into(), false, true),
            ("cluster=pr*&service=web".into(), true, true),
            ("cluster=test".into(), false, false),
            ("region=us-east-1".into(), false, false),
        ] {
            let can = |scope: &Scope| filter(&query).can_select(scope, Some(&"prod".into()));
            assert_eq!((can(&known), can(&unknown)), (in_known, in_unknown), "{query}");
        }
        assert!(filter("cluster=test").can_select(&known, None), "a cluster that is not known yet");
        let seen = Place::cluster(&unknown, &"prod".into());
        assert!(filter("cluster=prod").selects(&seen) && !filter(&format!("cluster={PROD}")).selects(&seen));
    }
}
