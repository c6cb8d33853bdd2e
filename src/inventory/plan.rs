//! Which scopes there are, and what to scan in each of them.

use super::identity::{Identity, RoleArn};
use super::names::{ClusterRef, cluster_name};
use super::pattern::Pattern;
use super::scope::{Scope, partition};
use super::selection::{InScope, Selection};
use super::strings::Shared;

/// What is asked for: identities × regions, and the clusters in these scopes.
#[derive(Clone, Copy, Debug)]
pub struct ScopeRequest<'a> {
    /// The identities; at least one, each once, and no two roles of one account.
    pub identities: &'a [Identity],
    /// The regions in which to look for names. Patterns of ARNs add others.
    pub regions: &'a [Shared],
    /// The clusters.
    pub selection: &'a Selection,
}

/// A scope, and what to scan in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Whose credentials to use.
    pub identity: Identity,
    /// The scope.
    pub scope: Scope,
    /// The clusters to scan; at least one, or a listing.
    pub clusters: InScope,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum PlanError {
    #[error(
        "invalid value {0:?} for -config.cluster: no account and region of -config.role-arn and -config.region can match"
    )]
    NoScope(String),
    #[error("invalid value for -config.cluster: every cluster is excluded")]
    Nothing,
    #[error("invalid value {role:?} for -config.role-arn: in partition {}, but region {region} is in {}", role.partition(), partition(region))]
    Partition { role: Box<RoleArn>, region: Shared },
    #[error("invalid value {role:?} for -config.role-arn: in account {}, as are the process's own credentials (self)", role.account())]
    SameAccount { role: Box<RoleArn> },
}

impl ScopeRequest<'_> {
    /// Returns the scopes in which clusters can match, in the order of identities and regions. `own` is the account of the
    /// process's own credentials, if known; otherwise it counts as different from those of all roles.
    pub fn plan(&self, own: Option<&str>) -> Result<Vec<Planned>, PlanError> {
        self.check(own)?;
        let scopes = self.scopes(own);
        let counts = |identity: &Identity, pattern: &Pattern| *identity != Identity::Own || !self.is_of_role(pattern);
        for pattern in self.selection.patterns() {
            let can_match =
                |(identity, scope): &(&Identity, Scope)| counts(identity, pattern) && pattern.can_match(scope);
            if !scopes.iter().any(can_match) {
                return Err(PlanError::NoScope(pattern.to_string()));
            }
        }
        let planned = scopes.into_iter().map(|(identity, scope)| {
            let clusters = self.selection.in_scope_if(&scope, |pattern| counts(identity, pattern));
            Planned { identity: identity.clone(), scope, clusters }
        });
        let planned: Vec<_> = planned.filter(|planned| !planned.clusters.is_empty()).collect();
        if planned.is_empty() { Err(PlanError::Nothing) } else { Ok(planned) }
    }

    /// Returns whether the plan depends on the account of the process's own credentials. It does not for exact ARNs of one
    /// account if these credentials are the only ones: where the account is another, AWS says so.
    pub fn needs_own_account(&self) -> bool {
        if !self.identities.contains(&Identity::Own) {
            return false;
        }
        let own: Vec<Scope> = self.regions().into_iter().map(|region| Scope { region, account: None }).collect();
        let include = self.selection.include.iter().filter(|pattern| pattern.is_arn() && !self.is_of_role(pattern));
        let (exact, globs): (Vec<&Pattern>, Vec<&Pattern>) = include.partition(|pattern| pattern.is_exact());
        let mut accounts: Vec<_> = exact.iter().filter_map(|pattern| pattern.account()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let assumed = if self.identities.len() == 1 { 1 } else { 0 };
        // A cluster that is given by name and by ARN is to be scanned once, but another account may have that name too.
        let has_name = |arn: &Pattern| {
            let name = cluster_name(arn.as_str());
            self.selection.include.iter().any(|pattern| pattern.as_str() == name)
        };
        accounts.len() > assumed
            || exact.iter().any(|arn| has_name(arn))
            || globs.iter().any(|pattern| own.iter().any(|scope| pattern.depends_on_account(scope)))
            || self
                .selection
                .exclude
                .iter()
                .any(|pattern| own.iter().any(|scope| self.excludes_by_account(pattern, scope)))
    }

    /// Returns whether it depends on the account of a scope what an exclusion leaves of it, other than of a listing, which
    /// has the account.
    fn excludes_by_account(&self, exclusion: &Pattern, scope: &Scope) -> bool {
        let names = self.selection.include.iter().filter(|pattern| pattern.is_exact() && !pattern.is_arn());
        let mut names = names.map(|name| ClusterRef::from(name.as_str()));
        !self.is_of_role(exclusion)
            && (exclusion.covers_by_account(scope, None)
                || names.any(|name| exclusion.covers_by_account(scope, Some(&name))))
    }

    /// Returns whether a pattern is of the account of a role, and thus not of the process's own.
    fn is_of_role(&self, pattern: &Pattern) -> bool {
        let mut accounts = self.identities.iter().filter_map(Identity::account);
        pattern.account().is_some_and(|account| accounts.any(|known| **known == *account))
    }

    fn check(&self, own: Option<&str>) -> Result<(), PlanError> {
        for role in self.identities.iter().filter_map(Identity::role) {
            if self.identities.contains(&Identity::Own) && own == Some(role.account()) {
                return Err(PlanError::SameAccount { role: Box::new(role.clone()) });
            }
            if let Some(region) = self.regions.iter().find(|region| partition(region) != role.partition()) {
                return Err(PlanError::Partition { role: Box::new(role.clone()), region: region.clone() });
            }
        }
        Ok(())
    }

    fn scopes(&self, own: Option<&str>) -> Vec<(&Identity, Scope)> {
        let regions = self.regions();
        let in_regions = |identity| {
            let account = Identity::account(identity).cloned().or_else(|| own.map(Shared::from));
            let scope = move |region: Shared| (identity, Scope { region, account: account.clone() });
            regions.clone().into_iter().map(scope)
        };
        let scopes = self.identities.iter().flat_map(in_regions);
        let works = |(identity, scope): &(&Identity, Scope)| {
            identity.role().is_none_or(|role| role.partition() == scope.partition())
        };
        scopes.filter(works).collect()
    }

    /// Returns the regions with those that patterns of ARNs add.
    fn regions(&self) -> Vec<Shared> {
        let mut regions: Vec<Shared> = self.regions.to_vec();
        for region in self.selection.include.iter().filter_map(Pattern::region) {
            if !regions.iter().any(|known| **known == *region) {
                regions.push(region.into());
            }
        }
        regions
    }
}

#[cfg(test)]
mod tests;
