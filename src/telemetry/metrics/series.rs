//! Series of a metric: created before their first event, set, and removed.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::labels::ByCluster;

pub(super) type Seconds = Gauge<f64, AtomicU64>;
pub(super) type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Sets a gauge to a count.
pub(super) fn set<L: Clone + Hash + Eq>(family: &Family<L, Gauge>, labels: &L, count: usize) {
    family.get_or_create(labels).set(i64::try_from(count).unwrap_or(i64::MAX));
}

/// Removes the series of clusters that are gone. The others keep their values: a scrape may come at any moment, and
/// must not find a series missing.
pub(super) fn remove_others<M>(
    family: &Family<ByCluster, M, impl MetricConstructor<M>>,
    shown: &mut BTreeSet<ByCluster>,
    now: BTreeSet<ByCluster>,
) {
    for cluster in shown.difference(&now) {
        family.remove(cluster);
    }
    *shown = now;
}

/// Creates a series without counting anything.
pub(super) fn create<L, M, C>(family: &Family<L, M, C>, labels: &L)
where
    L: Clone + Hash + Eq,
    C: MetricConstructor<M>,
{
    drop(family.get_or_create(labels));
}

pub(super) fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
