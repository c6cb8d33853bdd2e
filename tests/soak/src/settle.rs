//! What must hold when nothing is disturbed and nothing changes: the file is exactly right, and so is everything else.

use std::collections::BTreeSet;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::clients::{get, targets};
use crate::groups::Group;
use crate::history::Violation;
use crate::measure::Sample;
use crate::metrics::{self, Metrics};
use crate::program::{Program, leftovers};
use crate::readers;
use crate::setup::Scope;
use crate::shared::Shared;
use crate::world::{Fleet, Told};

/// Only a violation takes so long: a call that hangs takes 10 s, and a login 30 s.
const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until everything has been learned, then compares what the file, the endpoints and the metrics say. Returns the
/// size of the process.
pub(crate) fn settle(shared: &Shared, fleet: &mut Fleet, program: &mut Program) -> Result<Sample, Violation> {
    let since = Instant::now();
    wait_until("every cluster is learned after all faults have ended", shared, program, |_| {
        shared.oracle().refreshes.all_learned_since(since)
    })?;
    let groups = read_and_check(shared)?;
    let address = shared.web().ok_or_else(|| Violation::general("the program does not listen"))?;
    let served = targets(address, "/targets")?;
    same("/targets", served.as_deref(), &groups)?;
    check_filter(shared, &groups)?;
    for path in ["/-/healthy", "/-/ready"] {
        let status = get(address, path).map(|response| response.status);
        if !matches!(status, Ok(200)) {
            return Err(Violation::general(format!("GET {path}: {status:?}")));
        }
    }
    let scrape = check_metrics(shared, fleet, program, &groups)?;
    wait_until("no temporary file is left", shared, program, |_| leftovers(&shared.file).is_empty())?;
    let publications = program.log().publications;
    let sample = Sample::of(program.id(), publications, scrape.series())?;
    probe(shared, fleet, program)?;
    Ok(sample)
}

fn wait_until(
    what: &str,
    shared: &Shared,
    program: &mut Program,
    mut condition: impl FnMut(&mut Program) -> bool,
) -> Result<(), Violation> {
    let start = Instant::now();
    while !condition(program) {
        shared.violation()?;
        program.check()?;
        let address = program.log().web;
        shared.set_web(address);
        if start.elapsed() > DEADLINE {
            return Err(Violation::general(format!("not within {DEADLINE:?}: {what}")));
        }
        park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

/// Reads the file, and checks it. While nothing changes, what must and what may be there is the same.
fn read_and_check(shared: &Shared) -> Result<Vec<Group>, Violation> {
    let from = Instant::now();
    let groups = readers::read(&shared.file)?;
    shared.oracle().check("the file", &groups, (from, Instant::now()))?;
    Ok(groups)
}

/// Checks that an endpoint serves these groups.
fn same(path: &str, served: Option<&[Group]>, groups: &[Group]) -> Result<(), Violation> {
    let Some(served) = served else { return Err(Violation::general(format!("GET {path}: not available"))) };
    let differs = served.iter().zip(groups).find(|(one, other)| one != other);
    if served.len() == groups.len() && differs.is_none() {
        return Ok(());
    }
    let what = format!("GET {path} differs from the file: {} and {} targets", served.len(), groups.len());
    Err(Violation::general(format!("{what}, first {differs:?}")))
}

/// Checks what is served for the clusters `c-1` of one region.
fn check_filter(shared: &Shared, groups: &[Group]) -> Result<(), Violation> {
    let (cluster, region) = ("cluster/c-1", Scope(1).region());
    let wanted = |group: &&Group| {
        let arn = group.label("cluster_arn");
        arn.ends_with(cluster) && arn.contains(region)
    };
    let wanted: Vec<Group> = groups.iter().filter(wanted).cloned().collect();
    let Some(address) = shared.web().filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let path = format!("/targets?cluster=c-1&region={region}");
    same(&path, targets(address, &path)?.as_deref(), &wanted)
}

fn check_metrics(
    shared: &Shared,
    fleet: &Fleet,
    program: &mut Program,
    groups: &[Group],
) -> Result<Metrics, Violation> {
    let address = shared.web().ok_or_else(|| Violation::general("the program does not listen"))?;
    let certain = metrics::certain(&shared.oracle());
    let published = |program: &Program| {
        let log = program.log();
        log.publications - log.without_result
    };
    let before = published(program);
    let scrape = Metrics::scrape(address)?;
    scrape.check_calls(&certain, &shared.oracle())?;
    let clusters: BTreeSet<_> =
        fleet.clusters().filter(|(scope, cluster)| program.setup.selects(*scope, cluster)).collect();
    scrape.check_clusters(groups, &clusters)?;
    // A publication is counted at about the time when it is logged.
    let writes = scrape.writes();
    if writes + 1 < before {
        return Err(Violation::general(format!("{writes} writes are counted after {before} publications")));
    }
    wait_until("each write that is counted is logged", shared, program, |program| published(program) >= writes)?;
    Ok(scrape)
}

/// Makes one change, and compares the file and the endpoint right after its publication, before the next one can hide
/// that they were out of step.
fn probe(shared: &Shared, fleet: &mut Fleet, program: &mut Program) -> Result<(), Violation> {
    let mut clusters = fleet.clusters().filter(|(scope, cluster)| program.setup.selects(*scope, cluster));
    let Some((scope, cluster)) = clusters.next() else { return Ok(()) };
    drop(clusters);
    // Tasks that are pending change too: only then is the next written publication of this change.
    let written = program.log().written;
    let targets_before = readers::read(&shared.file)?.len();
    {
        let mut oracle = shared.oracle();
        fleet.start_in(scope, cluster, &mut Told { aws: &shared.aws, oracle: &mut oracle });
    }
    wait_until("a new task is in the file", shared, program, |program| program.log().written > written)?;
    let address = shared.web().ok_or_else(|| Violation::general("the program does not listen"))?;
    let before = readers::read(&shared.file)?;
    let served = targets(address, "/targets")?;
    let after = readers::read(&shared.file)?;
    if before.len() > targets_before && before == after { same("/targets", served.as_deref(), &after) } else { Ok(()) }
}
