//! Which clusters to scan.

use super::names::ClusterRef;
use super::pattern::Pattern;
use super::scope::Scope;

/// The clusters to scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The clusters that are selected; none for all.
    pub include: Vec<Pattern>,
    /// Those of them that are not.
    pub exclude: Vec<Pattern>,
}

/// The clusters to scan in one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InScope {
    /// Those that are known without ListClusters, each once.
    pub named: Vec<ClusterRef>,
    /// Which of the listed clusters to scan in addition; `None` to list none.
    pub listed: Option<Filter>,
}

/// Selects from the clusters that ListClusters lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Selection {
    /// Returns the clusters to scan in a scope. If its account is unknown, an ARN of any account counts as one of it.
    pub fn in_scope(&self, scope: &Scope) -> InScope {
        self.in_scope_if(scope, |_| true)
    }

    /// Returns the clusters to scan in a scope, but only those that are selected by the given patterns.
    pub(super) fn in_scope_if(&self, scope: &Scope, counts: impl Fn(&Pattern) -> bool) -> InScope {
        let in_scope = |pattern: &&Pattern| pattern.can_match(scope);
        let exclude: Vec<Pattern> = self.exclude.iter().filter(in_scope).cloned().collect();
        if exclude.iter().any(|pattern| pattern.matches_all(scope)) {
            return InScope::default();
        }
        let include = self.include.iter().filter(in_scope).filter(|pattern| counts(pattern));
        let (exact, globs): (Vec<&Pattern>, Vec<&Pattern>) = include.partition(|pattern| pattern.is_exact());
        let is_excluded = |cluster: &ClusterRef| exclude.iter().any(|pattern| pattern.matches_ref(cluster, scope));
        let exact = exact.into_iter().map(|pattern| ClusterRef::from(pattern.as_str()));
        let mut named = each_once(exact, scope);
        named.retain(|cluster| !is_excluded(cluster));
        let lists = self.include.is_empty() || !globs.is_empty();
        let include = globs.into_iter().cloned().collect();
        InScope { named, listed: lists.then_some(Filter { include, exclude }) }
    }

    /// Returns every pattern.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.include.iter().chain(&self.exclude)
    }

    /// Returns whether the regions of the clusters are not all known from the ARNs that select them.
    pub fn needs_regions(&self) -> bool {
        self.include.is_empty() || self.include.iter().any(|pattern| pattern.region().is_none())
    }
}

impl InScope {
    /// Returns whether there is nothing to scan.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.listed.is_none()
    }

    /// Returns whether the cluster with this ARN is to be scanned, if it exists in the scope.
    pub fn selects(&self, arn: &str) -> bool {
        let is_listed = || self.listed.as_ref().is_some_and(|filter| filter.selects(arn));
        self.named.iter().any(|named| named.matches(arn)) || is_listed()
    }

    /// Returns the clusters to scan, each once, given the ARNs of the listed ones.
    pub fn with_listed(&self, listed: impl IntoIterator<Item = ClusterRef>) -> Vec<ClusterRef> {
        let is_named = |arn: &ClusterRef| self.named.iter().any(|named| named.matches(arn.as_str()));
        let is_selected = |arn: &ClusterRef| self.listed.as_ref().is_some_and(|filter| filter.selects(arn.as_str()));
        let listed = listed.into_iter().filter(|arn| is_selected(arn) && !is_named(arn));
        self.named.iter().cloned().chain(listed).collect()
    }
}

impl Filter {
    /// Returns whether the cluster with this ARN is selected.
    pub fn selects(&self, arn: &str) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(arn);
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }
}

/// Drops clusters that come up again: in one account, a name and an ARN of that name are the same cluster. Prefers the ARN,
/// which is unique among all scopes.
fn each_once(clusters: impl Iterator<Item = ClusterRef>, scope: &Scope) -> Vec<ClusterRef> {
    let mut unique: Vec<ClusterRef> = Vec::new();
    for cluster in clusters {
        let is_same = |known: &ClusterRef| match scope.account {
            Some(_) => known.matches(cluster.as_str()) || cluster.matches(known.as_str()),
            None => *known == cluster,
        };
        match unique.iter_mut().find(|known| is_same(known)) {
            Some(known) if known.is_arn() => {}
            Some(known) => *known = cluster,
            None => unique.push(cluster),
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROD: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod";

    /// Parses items, of which those with `!` exclude.
    fn selection(items: &[&str]) -> Selection {
        let (exclude, include): (Vec<&str>, Vec<&str>) = items.iter().partition(|item| item.starts_with('!'));
        let patterns = |items: Vec<&str>| {
            items.into_iter().map(|item| Pattern::parse(item.trim_start_matches('!')).unwrap()).collect()
        };
        Selection { include: patterns(include), exclude: patterns(exclude) }
    }

    fn scope(account: Option<&str>) -> Scope {
        Scope { region: "eu-west-1".into(), account: account.map(Into::into) }
    }

    fn known() -> Scope {
        scope(Some("111111111111"))
    }

    fn arn(name: &str) -> String {
        format!("arn:aws:ecs:eu-west-1:111111111111:cluster/{name}")
    }

    /// Returns the names to scan, of which ListClusters lists `a`, `b`, `prod` and `web-1`.
    fn scanned(items: &[&str]) -> Vec<String> {
        let listed = ["a", "b", "prod", "web-1"].map(|name| ClusterRef::from(arn(name).as_str()));
        let clusters = selection(items).in_scope(&known()).with_listed(listed);
        clusters.iter().map(|cluster| cluster.name().to_owned()).collect()
    }

    #[test]
    fn exact_names_and_arns_need_no_listing() {
        for items in [&["prod", "b"][..], &[PROD, "b"], &["prod", "b", "!a", "!web-*"], &["b", "prod", PROD]] {
            let clusters = selection(items).in_scope(&known());
            assert!(clusters.listed.is_none() && clusters.named.len() == 2, "{items:?}");
        }
    }

    #[test]
    fn cluster_is_scanned_once_however_often_it_is_selected() {
        for items in [&["prod", PROD][..], &[PROD, "prod"], &["prod", PROD, "prod", "pr*", "arn:*/prod"]] {
            assert_eq!(scanned(items), ["prod"], "{items:?}");
            assert_eq!(selection(items).in_scope(&known()).named, [PROD.into()], "{items:?}");
            assert_eq!(
                selection(items).in_scope(&scope(None)).named.len(),
                2,
                "{items:?}: the ARN may be of any account"
            );
        }
    }

    #[test]
    fn globs_select_and_exclusions_drop_listed_clusters() {
        assert_eq!(scanned(&[]), ["a", "b", "prod", "web-1"]);
        assert_eq!(scanned(&["?"]), ["a", "b"]);
        assert_eq!(scanned(&["!?"]), ["prod", "web-1"], "only exclusions: all but these");
        assert_eq!(scanned(&["*", "!web-*", &format!("!{PROD}")]), ["a", "b"]);
        assert_eq!(scanned(&["arn:aws:ecs:eu-*:*:cluster/web-?", "b"]), ["b", "web-1"]);
        assert_eq!(scanned(&["unlisted", "a*"]), ["unlisted", "a"]);
    }

    #[test]
    fn exclusions_drop_named_clusters() {
        for exclusion in ["!prod", "!p*", &format!("!{PROD}"), "!arn:*:cluster/p*"] {
            assert!(selection(&["prod", exclusion]).in_scope(&known()).is_empty(), "{exclusion}");
            assert!(selection(&[PROD, exclusion]).in_scope(&known()).is_empty(), "{exclusion}");
        }
        let of_account = selection(&["prod", &format!("!{PROD}")]).in_scope(&scope(None));
        assert_eq!(of_account.named, ["prod".into()], "the account is unknown");
        assert!(selection(&["prod", "!arn:*:cluster/p*"]).in_scope(&scope(None)).is_empty(), "in any account");
    }

    #[test]
    fn scope_without_a_match_is_empty() {
        for items in [
            &["arn:aws:ecs:eu-west-1:222222222222:cluster/*"][..],
            &["arn:aws:ecs:us-east-1:111111111111:cluster/a"],
            &["!*"],
            &["web-*", "!arn:aws:ecs:*:111111111111:*"],
        ] {
            assert!(selection(items).in_scope(&known()).is_empty(), "{items:?}");
        }
    }

    #[test]
    fn regions_are_needed_unless_every_arn_has_one() {
        for (items, expected) in [
            (&[PROD][..], false),
            (&[PROD, "arn:aws:ecs:eu-west-1:*:cluster/*", "!a"], false),
            (&[PROD, "a"], true),
            (&["arn:aws:ecs:eu-*:*:cluster/a"], true),
            (&["!arn:aws:ecs:eu-west-1:*:cluster/a"], true),
            (&[], true),
        ] {
            assert_eq!(selection(items).needs_regions(), expected, "{items:?}");
        }
    }

    proptest! {
        /// What is scanned is what the items say of each cluster by itself.
        #[test]
        fn scans_what_the_items_say(items in proptest::collection::vec("!?(arn:\\*)?[ab*?]{1,3}", 0..4)) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let selection = selection(&items);
            let names = ["a", "b", "ab", "ba", "bab", "aaa"];
            let listed = names.map(|name| ClusterRef::from(arn(name).as_str()));
            let clusters = selection.in_scope(&known()).with_listed(listed.clone());
            let matches = |patterns: &[Pattern], cluster: &ClusterRef| {
                patterns.iter().any(|pattern| pattern.matches(cluster.as_str()))
            };
            for cluster in &listed {
                let included = selection.include.is_empty() || matches(&selection.include, cluster);
                let expected = usize::from(included && !matches(&selection.exclude, cluster));
                let scanned = clusters.iter().filter(|scanned| scanned.matches(cluster.as_str())).count();
                prop_assert_eq!(scanned, expected, "{}", cluster);
            }
        }
    }
}
