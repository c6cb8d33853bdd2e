//! Which of the clusters that were asked for an ARN belongs to.

use std::collections::HashMap;

use super::names::{ClusterRef, cluster_name};

/// Values by cluster, found by the ARN that AWS uses.
#[derive(Clone, Debug, Default)]
pub struct ClusterIndex<'a, T>(HashMap<&'a str, (&'a ClusterRef, T)>);

impl<'a, T> ClusterIndex<'a, T> {
    /// Returns the cluster with this ARN, and its value. An ARN that was asked for comes before a name, since accounts
    /// and regions may have clusters of equal names.
    pub fn get(&self, cluster_arn: &str) -> Option<&(&'a ClusterRef, T)> {
        self.0.get(cluster_arn).or_else(|| self.0.get(cluster_name(cluster_arn)))
    }
}

impl<'a, T> FromIterator<(&'a ClusterRef, T)> for ClusterIndex<'a, T> {
    fn from_iter<I: IntoIterator<Item = (&'a ClusterRef, T)>>(clusters: I) -> Self {
        Self(clusters.into_iter().map(|(cluster, value)| (cluster.as_str(), (cluster, value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_clusters_of_equal_names() {
        let (ours, theirs) = ("arn:aws:ecs:eu-west-1:111:cluster/prod", "arn:aws:ecs:eu-west-1:222:cluster/prod");
        let asked = [ClusterRef::from("prod"), ClusterRef::from(theirs), ClusterRef::from("test")];
        let index: ClusterIndex<'_, usize> = asked.iter().zip(0..).collect();
        for (arn, expected) in [
            (ours, Some(0)),
            (theirs, Some(1)),
            ("arn:aws:ecs:eu-west-1:111:cluster/test", Some(2)),
            ("arn:aws:ecs:eu-west-1:111:cluster/prod-2", None),
        ] {
            assert_eq!(index.get(arn).map(|(_, value)| *value), expected, "{arn}");
        }
        let asked = [ClusterRef::from(theirs)];
        assert!(asked.iter().zip(0..).collect::<ClusterIndex<'_, usize>>().get(ours).is_none());
    }
}
