//! Tells clusters apart, also those that have the same name in different accounts or regions.

use std::collections::HashMap;

use super::names::{ClusterRef, cluster_name};

/// The clusters of a refresh, for comparisons with cluster ARNs.
pub struct Clusters<'a> {
    /// By what they were asked for as.
    refs: HashMap<&'a str, &'a ClusterRef>,
    /// The number of clusters with each name.
    names: HashMap<&'a str, usize>,
}

impl<'a> Clusters<'a> {
    /// Returns an index of these clusters.
    pub fn new(clusters: impl IntoIterator<Item = &'a ClusterRef>) -> Self {
        let refs: HashMap<&str, &ClusterRef> =
            clusters.into_iter().map(|cluster| (cluster.as_str(), cluster)).collect();
        let mut names = HashMap::new();
        for cluster in refs.values() {
            *names.entry(cluster.name()).or_default() += 1;
        }
        Self { refs, names }
    }

    /// Returns the cluster that was asked for in exactly this way.
    pub fn get(&self, text: &str) -> Option<&'a ClusterRef> {
        self.refs.get(text).copied()
    }

    /// Returns the cluster with this ARN. A cluster that was asked for by name is meant only if no other was asked for
    /// by this very ARN.
    pub fn of_arn(&self, arn: &str) -> Option<&'a ClusterRef> {
        self.get(arn).or_else(|| self.get(cluster_name(arn)))
    }

    /// Returns the name to show: the short one, or where clusters share it, the one that the cluster was asked for as.
    pub fn display<'b>(&self, cluster: &'b ClusterRef) -> &'b str {
        if self.is_shared(cluster.name()) { cluster.as_str() } else { cluster.name() }
    }

    /// Returns the name to show for a cluster ARN.
    pub fn display_arn<'b>(&self, arn: &'b str) -> &'b str
    where
        'a: 'b,
    {
        match self.of_arn(arn) {
            Some(cluster) => self.display(cluster),
            // Another cluster, which has the name for itself.
            None if self.names.contains_key(cluster_name(arn)) => arn,
            None => cluster_name(arn),
        }
    }

    fn is_shared(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|clusters| *clusters > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod";
    const THEIRS: &str = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";

    #[test]
    fn clusters_of_the_same_name_are_told_apart() {
        let refs = [ClusterRef::from("prod"), ClusterRef::from(THEIRS), ClusterRef::from("other")];
        let clusters = Clusters::new(&refs);
        assert_eq!(clusters.of_arn(OURS), Some(&refs[0]));
        assert_eq!(clusters.of_arn(THEIRS), Some(&refs[1]));
        assert_eq!(refs.each_ref().map(|cluster| clusters.display(cluster)), ["prod", THEIRS, "other"]);
        assert_eq!([OURS, THEIRS].map(|arn| clusters.display_arn(arn)), ["prod", THEIRS]);
    }

    #[test]
    fn unique_names_are_shown_short() {
        let refs = [ClusterRef::from(THEIRS)];
        let clusters = Clusters::new(&refs);
        assert_eq!((clusters.display(&refs[0]), clusters.display_arn(THEIRS)), ("prod", "prod"));
        assert_eq!(clusters.display_arn(OURS), OURS, "another one");
        assert_eq!((clusters.of_arn(OURS), clusters.of_arn(THEIRS)), (None, Some(&refs[0])));
    }
}
