//! How a request for `/targets` is responded to.

use crate::filter::TargetFilter;
use crate::inventory::Place;
use crate::publish::Publication;
use crate::status::Status;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All targets, or some that are known.
    Targets,
    /// Targets of a place that has none.
    Empty,
    /// Targets that may exist but are not known.
    Unavailable(&'static str),
    /// Targets of a place that nobody has ever seen.
    NotFound,
}

const UNAVAILABLE: Asked = Asked::Unavailable("targets like these may exist, but are not known yet\n");

impl Asked {
    /// Returns what a filter asks for. A mistyped name must not remove targets, nor a failure before anything was known:
    /// an empty list is only for what the last refresh found empty, or no longer found.
    pub(super) fn of(status: &Status, filter: &TargetFilter) -> Self {
        let Some(targets) = &status.targets else { return Self::Unavailable("no targets are known yet\n") };
        if filter.is_empty() || filter.select(targets).next().is_some() {
            return Self::Targets;
        }
        let Some(publication) = status.publication.as_deref() else { return UNAVAILABLE };
        if can_exist(publication, filter) {
            return UNAVAILABLE;
        }
        if was_seen(status, publication, filter) { Self::Empty } else { Self::NotFound }
    }
}

/// Returns whether there may be selected targets that are not in force.
fn can_exist(publication: &Publication, filter: &TargetFilter) -> bool {
    // What a scope holds that was never refreshed is not known, nor do targets count that are not in force.
    publication.outstanding > 0
        || !publication.in_force
        || publication.refreshes.iter().any(|refresh| {
            let mut incomplete = refresh.clusters.iter().filter(|state| !state.complete);
            incomplete.any(|state| filter.can_select(&refresh.scope, Some(&state.cluster)))
                || (refresh.snapshot.unlisted.is_some() && filter.can_select(&refresh.scope, None))
        })
}

/// Returns whether the selected targets are of a place that was seen.
fn was_seen(status: &Status, publication: &Publication, filter: &TargetFilter) -> bool {
    let is_scanned = || {
        publication.refreshes.iter().any(|refresh| {
            let clusters = refresh.clusters.iter().map(|state| Place::cluster(&refresh.scope, &state.cluster));
            clusters.chain([Place::scope(&refresh.scope)]).any(|place| filter.selects(&place))
        })
    };
    status.seen.any(|place| filter.selects(place)) || is_scanned()
}

#[cfg(test)]
mod tests;
