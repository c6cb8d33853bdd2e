//! Patterns of clusters: names, ARNs, and globs of either.

use std::fmt;

use super::glob::{Glob, Symbol, has_wildcards};
use super::names::{ClusterRef, cluster_name};
use super::scope::Scope;

/// The length of a cluster's name ("CreateCluster" in the ECS API reference).
const LONGEST_NAME: usize = 255;

/// The digits of an account's ID.
const ACCOUNT_DIGITS: usize = 12;

/// The colons in the ARN of a cluster, whose name has none.
const COLONS: usize = 5;

/// A name, an ARN, or a glob of either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Glob);

impl Pattern {
    /// Parses a pattern, and fails with what is wrong with it. An exact name is valid whatever it contains: AWS says
    /// whether there is such a cluster.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let pattern = Self(text.into());
        if text.is_empty() {
            Err("empty item")
        } else if text.starts_with("arn:") && pattern.is_exact() && !is_cluster_arn(text) {
            Err("expected arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME")
        } else if pattern.is_arn() && text.matches(':').count() > COLONS {
            Err("too many colons for arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME")
        } else if !pattern.is_exact() && !pattern.is_arn() && !can_be_name(text) {
            Err("expected letters, digits, -, _, * and ?, of which names and globs of names consist")
        } else {
            Ok(pattern)
        }
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns whether this is a name or an ARN, and not a glob.
    pub fn is_exact(&self) -> bool {
        self.0.is_exact()
    }

    /// Returns whether this is an ARN or a glob of ARNs. Names have no colons.
    pub fn is_arn(&self) -> bool {
        if self.is_exact() { self.as_str().starts_with("arn:") } else { self.as_str().contains(':') }
    }

    /// Returns whether the cluster with this ARN matches.
    pub fn matches(&self, arn: &str) -> bool {
        self.0.matches(if self.is_arn() { arn } else { cluster_name(arn) })
    }

    /// Returns the region, if the pattern has one without wildcards.
    pub(super) fn region(&self) -> Option<&str> {
        self.field(3)
    }

    /// Returns the account, if the pattern has one without wildcards.
    pub(super) fn account(&self) -> Option<&str> {
        self.field(4)
    }

    /// Returns a field of the ARN, if it has no wildcards and cannot be part of another field.
    fn field(&self, field: usize) -> Option<&str> {
        let fields: Vec<&str> = self.as_str().split(':').collect();
        // With all colons of an ARN, a `*` cannot stand for another one. Otherwise the first one may.
        let aligned = fields.len() == COLONS + 1
            || (fields.len() > field + 1 && !fields[..field].iter().any(|field| field.contains('*')));
        let text = fields.get(field).filter(|text| self.is_arn() && aligned && !has_wildcards(text));
        text.copied().filter(|text| !text.is_empty())
    }

    /// Returns whether a cluster in the scope can match.
    pub fn can_match(&self, scope: &Scope) -> bool {
        if !self.is_arn() {
            return true;
        }
        if self.is_exact() {
            // The partition is left to AWS, which may have new ones.
            let same_account = scope.account.as_deref().is_none_or(|account| self.account() == Some(account));
            return same_account && self.region() == Some(&scope.region);
        }
        self.0.after(before_name(scope, Symbol::AnyDigit)).into_iter().any(can_be_name)
    }

    /// Returns whether every cluster in the scope matches.
    pub(super) fn matches_all(&self, scope: &Scope) -> bool {
        self.matches_all_if(scope, Symbol::EveryDigit)
    }

    fn matches_all_if(&self, scope: &Scope, unknown: Symbol) -> bool {
        if self.is_arn() {
            self.0.after(before_name(scope, unknown)).into_iter().any(matches_all_names)
        } else {
            matches_all_names(self.as_str())
        }
    }

    /// Returns whether a cluster that is asked for in the scope matches, whatever the account if that is unknown.
    pub fn matches_ref(&self, cluster: &ClusterRef, scope: &Scope) -> bool {
        self.matches_ref_if(cluster, scope, Symbol::EveryDigit)
    }

    /// Returns whether a cluster that is asked for in the scope can match.
    pub fn can_match_ref(&self, cluster: &ClusterRef, scope: &Scope) -> bool {
        if self.is_exact() && self.is_arn() && !cluster.is_arn() {
            return self.can_match(scope) && cluster_name(self.as_str()) == cluster.name();
        }
        self.matches_ref_if(cluster, scope, Symbol::AnyDigit)
    }

    fn matches_ref_if(&self, cluster: &ClusterRef, scope: &Scope, unknown: Symbol) -> bool {
        if cluster.is_arn() || !self.is_arn() {
            return self.matches(cluster.as_str());
        }
        let arn = before_name(scope, unknown).chain(cluster.name().chars().map(Symbol::Is));
        self.0.after(arn).contains(&"")
    }

    /// Returns whether it depends on the unknown account of the scope which of its clusters can match.
    pub(super) fn depends_on_account(&self, scope: &Scope) -> bool {
        let after = |unknown| self.0.after(before_name(scope, unknown));
        self.is_arn() && after(Symbol::AnyDigit) != after(Symbol::EveryDigit)
    }

    /// Returns whether it depends on the unknown account of the scope whether all its clusters, or the one that is asked
    /// for, match.
    pub(super) fn covers_by_account(&self, scope: &Scope, cluster: Option<&ClusterRef>) -> bool {
        let covers = |unknown| match cluster {
            Some(cluster) => self.matches_ref_if(cluster, scope, unknown),
            None => self.matches_all_if(scope, unknown),
        };
        covers(Symbol::AnyDigit) != covers(Symbol::EveryDigit)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns what the ARN of every cluster in the scope begins with. `unknown` stands for a digit of an unknown account.
fn before_name(scope: &Scope, unknown: Symbol) -> impl Iterator<Item = Symbol> {
    let known = |text: &str| text.chars().map(Symbol::Is).collect::<Vec<_>>();
    let account = scope.account.as_deref().map_or_else(|| vec![unknown; ACCOUNT_DIGITS], known);
    let region = known(&format!("arn:{}:ecs:{}:", scope.partition(), scope.region));
    region.into_iter().chain(account).chain(known(":cluster/"))
}

fn is_cluster_arn(arn: &str) -> bool {
    let fields: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "ecs", region, account, resource] = fields[..] else { return false };
    let name = resource.strip_prefix("cluster/").unwrap_or_default();
    [partition, region, account, name].iter().all(|field| !field.is_empty() && !field.contains(char::is_whitespace))
}

/// Returns whether a glob can match a name.
fn can_be_name(glob: &str) -> bool {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "-_*?".contains(character);
    let required = glob.chars().filter(|character| *character != '*').count();
    !glob.is_empty() && glob.chars().all(is_allowed) && required <= LONGEST_NAME
}

/// Returns whether a glob matches every name, which is never empty.
fn matches_all_names(glob: &str) -> bool {
    glob.contains('*') && !glob.contains(|character| !"*?".contains(character)) && glob.matches('?').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn scope(region: &str, account: Option<&str>) -> Scope {
        Scope { region: region.into(), account: account.map(Into::into) }
    }

    const ONE: Option<&str> = Some("111111111111");

    #[test]
    fn arn_matches_in_its_own_region_and_account() {
        let (west, north) = (scope("eu-west-1", ONE), scope("eu-north-1", ONE));
        let other = scope("eu-west-1", Some("222222222222"));
        let unknown = scope("eu-west-1", None);
        let china = scope("cn-north-1", ONE);
        for (text, expected) in [
            ("arn:aws:ecs:eu-west-1:111111111111:cluster/a", [true, false, false, true, false]),
            ("arn:aws:ecs:*:111111111111:cluster/*", [true, true, false, true, false]),
            ("arn:aws:ecs:eu-*:*:cluster/web-?", [true, true, true, true, false]),
            ("arn:*", [true; 5]),
            ("arn:*:cluster/web", [true; 5]),
            ("*:222222222222:cluster/*", [false, false, true, true, false]),
            ("arn:aws:ecs:eu-west-1:*", [true, false, true, true, false]),
            ("arn:aws:ecs:eu-west-?:????????????:cluster/*", [true, false, true, true, false]),
            ("arn:aws:ecs:*:???:cluster/*", [false; 5]),
            ("arn:aws:ecs:*:*:service/*", [false; 5]),
            ("arn:aws:ecs:*:*:cluster/?*", [true, true, true, true, false]),
            ("web-*", [true; 5]),
        ] {
            let matches = [&west, &north, &other, &unknown, &china].map(|scope| pattern(text).can_match(scope));
            assert_eq!(matches, expected, "{text}");
        }
    }

    #[test]
    fn glob_that_needs_an_empty_or_impossible_name_matches_nowhere() {
        let scope = scope("eu-west-1", ONE);
        for text in ["arn:aws:ecs:*:*:cluster/?/*", "arn:aws:ecs:*:*:cluster/"] {
            let glob = Pattern(text.into());
            assert!(!glob.can_match(&scope), "{text}");
        }
        assert!(!Pattern(("*:cluster/".to_owned() + &"?".repeat(256)).as_str().into()).can_match(&scope));
    }

    #[test]
    fn region_and_account_are_known_where_they_have_no_wildcards() {
        for (text, region, account) in [
            ("arn:aws:ecs:eu-west-1:111111111111:cluster/a", Some("eu-west-1"), ONE),
            ("arn:*:ecs:eu-west-1:*:cluster/a", Some("eu-west-1"), None),
            ("arn:aws:ecs:eu-west-1:*", Some("eu-west-1"), None),
            ("arn:aws:ecs:eu-west-*", None, None),
            ("arn:aws:ecs:eu-*:111111111111:cluster/*", None, ONE),
            ("arn:aws:ecs:eu-west-1*:cluster/*", None, None),
            ("arn:*:eu-west-1:*:cluster/web", None, None),
            ("arn:*", None, None),
            ("web-*", None, None),
        ] {
            assert_eq!((pattern(text).region(), pattern(text).account()), (region, account), "{text}");
        }
    }

    #[test]
    fn account_counts_where_the_pattern_has_digits_of_it() {
        let unknown = scope("us-east-1", None);
        for (text, expected) in [
            ("arn:aws:ecs:us-east-1:111111111111:cluster/*", true),
            ("arn:aws:ecs:*1111:cluster/*", true),
            ("arn:aws:ecs:*:1*:cluster/*", true),
            ("arn:aws:ecs:us-east-1:*:cluster/a-1", false),
            ("arn:aws:ecs:us-*-1:????????????:cluster/*", false),
            ("arn:aws:ecs:eu-west-1:111111111111:cluster/*", false),
            ("arn:*", false),
            ("web-1*", false),
        ] {
            assert_eq!(pattern(text).depends_on_account(&unknown), expected, "{text}");
        }
    }

    #[test]
    fn some_patterns_match_all_clusters_of_a_scope() {
        let (known, unknown) = (scope("eu-west-1", ONE), scope("eu-west-1", None));
        for (text, in_known, in_unknown) in [
            ("*", true, true),
            ("?*", true, true),
            ("??*", false, false),
            ("a*", false, false),
            ("arn:aws:ecs:eu-west-1:*:cluster/*", true, true),
            ("arn:aws:ecs:*:111111111111:*", true, false),
            ("arn:aws:ecs:*:222222222222:*", false, false),
        ] {
            let matches = (pattern(text).matches_all(&known), pattern(text).matches_all(&unknown));
            assert_eq!(matches, (in_known, in_unknown), "{text}");
        }
    }

    #[test]
    fn invalid_patterns() {
        for (text, reason) in [
            ("", "empty item"),
            ("arn:aws:ecs:eu-west-1:1:service/a", "expected arn:PARTITION:ecs"),
            ("arn:aws:ecs:eu-west-1:cluster/a", "expected arn:PARTITION:ecs"),
            ("arn:aws:ecs:eu-west-1:1:cluster/", "expected arn:PARTITION:ecs"),
            ("arn:aws:ecs:*:*:cluster/a:b", "too many colons"),
            ("web *", "expected letters, digits"),
            ("a/*", "expected letters, digits"),
            (&("*".to_owned() + &"a".repeat(256)), "expected letters, digits"),
        ] {
            assert!(Pattern::parse(text).is_err_and(|error| error.contains(reason)), "{text}");
        }
        assert!(Pattern::parse("exact names are left to AWS").is_ok());
    }
}
