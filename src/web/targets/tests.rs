//! The rules about 200, 404 and 503, for single cases and for any filter of any world.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::file_sd::TargetGroup;
use crate::inventory::*;
use crate::publish::Outcome;
use crate::refresh::{Cause, Refresh};
use crate::staleness::ClusterState;
use crate::status::SharedStatus;
use crate::targets::Derived;
use crate::writer::Written;

const OURS: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod";
const THEIRS: &str = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";
const OTHERS: &str = "arn:aws:ecs:eu-west-1:333333333333:cluster/prod";

/// A task of a service, which has a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    cluster: String,
    service: &'static str,
    family: &'static str,
}

impl Running {
    fn target(&self) -> TargetGroup {
        let Self { cluster, service, family } = self;
        let group = format!("service:{service}");
        let labels = [("task_name", *family), ("task_group", &group), ("cluster_arn", cluster)];
        TargetGroup { targets: ["10.0.0.1:9102".into()].into(), labels: labels.into_iter().collect() }
    }

    fn listed(&self, n: usize) -> ListedTask {
        let Self { cluster, service, family } = self;
        let arn: TaskArn = format!("{}/{n}", cluster.replace(":cluster/", ":task/")).as_str().into();
        let task = Task {
            arn: arn.clone(),
            cluster: Some(cluster.as_str().into()),
            definition: format!("arn:aws:ecs:eu-west-1:1:task-definition/{family}:1").as_str().into(),
            group: Some(format!("service:{service}").as_str().into()),
            last_status: TaskStatus::Running,
            stop_requested: false,
            version: 0,
            on_managed_instance: false,
            container_instance: None,
            attachment_ipv4: None,
            containers: vec![],
            details: None,
        };
        ListedTask { arn, task: Fetched::Known(Arc::new(task)) }
    }
}

fn targets(clusters: &[&str]) -> Arc<Vec<TargetGroup>> {
    let running = |arn: &&str| Running { cluster: (*arn).into(), service: "web", family: "shop" };
    Arc::new(clusters.iter().map(|arn| running(arn).target()).collect())
}

fn scope(account: Option<&str>, region: &str) -> Scope {
    Scope { region: region.into(), account: account.map(Into::into) }
}

fn denied(operation: Operation) -> Failure {
    Failure {
        operation,
        cluster: None,
        code: "AccessDeniedException".into(),
        message: "no".into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// Returns the refresh of a scope with these clusters, each complete or not, and these targets.
fn refresh_of(scope: Scope, scanned: &[(&str, bool)], targets: Arc<Vec<TargetGroup>>) -> Refresh {
    let state = |(cluster, complete): &(&str, bool)| ClusterState {
        cluster: (*cluster).into(),
        complete: *complete,
        last_complete: Instant::now(),
    };
    let snapshot = Snapshot {
        clusters: vec![],
        unlisted: None,
        definitions: HashMap::new(),
        hosts: HashMap::new(),
        failures: Failures::default(),
    };
    Refresh {
        asked: scope.clone(),
        scope,
        cause: Cause::Interval,
        snapshot: Arc::new(snapshot),
        derived: Arc::new(Derived::default()),
        targets,
        kept: BTreeMap::new(),
        expired: BTreeMap::new(),
        oldest_kept: None,
        clusters: scanned.iter().map(state).collect(),
        took: Duration::ZERO,
    }
}

fn published(refreshes: Vec<Refresh>, outstanding: usize) -> Arc<Publication> {
    let mut targets: Vec<_> = refreshes.iter().flat_map(|refresh| refresh.targets.iter().cloned()).collect();
    targets.sort();
    let refreshes: Vec<_> = refreshes.into_iter().map(Arc::new).collect();
    Arc::new(Publication {
        targets: Arc::new(targets),
        new: refreshes.clone(),
        refreshes,
        outstanding,
        added: 0,
        removed: 0,
        in_force: true,
        output: Outcome::Written(Written::Unchanged),
    })
}

/// Returns a publication of one scope of an unknown account.
fn publication(scanned: &[(&str, bool)], with_targets: &[&str]) -> Arc<Publication> {
    published(vec![refresh_of(scope(None, "eu-west-1"), scanned, targets(with_targets))], 0)
}

fn filter(query: &str) -> TargetFilter {
    TargetFilter::of(form_urlencoded::parse(query.as_bytes())).unwrap()
}

fn ask(status: &SharedStatus, query: &str) -> Asked {
    Asked::of(&status.get(), &filter(query))
}

fn ask_cluster(status: &SharedStatus, cluster: &str) -> Asked {
    ask(status, &format!("cluster={cluster}"))
}

#[test]
fn empty_and_incomplete_clusters() {
    let status = SharedStatus::default();
    status.restored(&targets(&[OURS, THEIRS]));
    status.published(publication(&[("prod", true), (THEIRS, true)], &[OURS, THEIRS]));
    assert_eq!(["prod", OURS, THEIRS].map(|cluster| ask_cluster(&status, cluster)), [const { Asked::Targets }; 3]);
    assert_eq!(ask_cluster(&status, OTHERS), Asked::NotFound);
    status.published(publication(&[("prod", true), (THEIRS, false)], &[THEIRS]));
    assert_eq!(["prod", OURS].map(|cluster| ask_cluster(&status, cluster)), [Asked::Targets, Asked::Empty]);
    status.published(publication(&[("prod", true), (THEIRS, false)], &[OURS]));
    assert_eq!(ask_cluster(&status, THEIRS), UNAVAILABLE);
}

#[test]
fn cluster_that_is_gone_is_empty_and_an_unknown_one_is_not_found() {
    let status = SharedStatus::default();
    assert!(matches!(ask_cluster(&status, OURS), Asked::Unavailable(_)));
    status.restored(&targets(&[OURS]));
    let before = [OURS, "other"].map(|cluster| ask_cluster(&status, cluster));
    assert_eq!(before, [Asked::Targets, UNAVAILABLE], "the first refresh may find the other");
    status.published(publication(&[], &[]));
    for asked in [&format!("cluster={OURS}"), "cluster=pr*", "account=111111111111", "service=web", "family=shop"] {
        assert_eq!(ask(&status, asked), Asked::Empty, "{asked}");
    }
    for asked in
        ["cluster=pord", "cluster=", "service=wbe", "family=web", "service=web&cluster=test", "region=us-east-1"]
    {
        assert_eq!(ask(&status, asked), Asked::NotFound, "{asked}");
    }
}

#[test]
fn cluster_is_not_gone_while_clusters_cannot_be_listed() {
    let status = SharedStatus::default();
    status.restored(&targets(&[OURS]));
    let mut unlisted = refresh_of(scope(Some("111111111111"), "eu-west-1"), &[], Arc::default());
    unlisted.snapshot = Arc::new(Snapshot::failed(denied(Operation::ListClusters)));
    status.published(published(vec![unlisted], 0));
    for (asked, expected) in [
        (format!("cluster={OURS}"), UNAVAILABLE),
        ("cluster=never".into(), UNAVAILABLE),
        (format!("cluster={THEIRS}"), Asked::NotFound),
        ("region=us-east-1".into(), Asked::NotFound),
        ("region=eu-west-1&service=web".into(), UNAVAILABLE),
    ] {
        assert_eq!(ask(&status, &asked), expected, "{asked}");
    }
}

#[test]
fn scopes_are_empty_once_they_have_been_refreshed() {
    let status = SharedStatus::default();
    let scopes = || {
        let one = refresh_of(scope(Some("111111111111"), "eu-west-1"), &[(OURS, true)], targets(&[OURS]));
        vec![one, refresh_of(scope(Some("111111111111"), "us-east-1"), &[], Arc::default())]
    };
    status.published(published(scopes(), 1));
    assert_eq!(["region=us-east-1", "region=mars"].map(|asked| ask(&status, asked)), [UNAVAILABLE, UNAVAILABLE]);
    status.published(published(scopes(), 0));
    for (asked, expected) in [
        ("region=us-east-1", Asked::Empty),
        ("region=us-east-1&cluster=prod", Asked::NotFound),
        ("region=us-east-1&region=eu-west-1", Asked::Targets),
        ("region=us-east-1&account=222222222222", Asked::NotFound),
        ("region=mars", Asked::NotFound),
    ] {
        assert_eq!(ask(&status, asked), expected, "{asked}");
    }
}

#[test]
fn targets_that_are_not_in_force_are_not_known() {
    let status = SharedStatus::default();
    status.restored(&targets(&[THEIRS]));
    let mut not_in_force = publication(&[(OURS, true)], &[OURS]);
    let publication = Arc::get_mut(&mut not_in_force).unwrap();
    (publication.in_force, publication.output) = (false, Outcome::NotOverwritten("not ours".into()));
    status.published(not_in_force);
    assert_eq!(ask_cluster(&status, OURS), UNAVAILABLE);
}

const NAMES: [&str; 2] = ["prod", "test"];
const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// A cluster of a world: where it is, what runs there, and what a refresh learns of it.
#[derive(Clone, Debug)]
struct InWorld {
    arn: String,
    running: Vec<Running>,
    learned: Learned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learned {
    Everything,
    /// Its tasks were listed, and none was described.
    Nothing,
    /// It was not listed.
    Unlisted,
    /// Its scope was not refreshed.
    Outstanding,
}

fn worlds() -> impl Strategy<Value = Vec<InWorld>> {
    let scope_state =
        prop_oneof![4 => Just(None), 1 => Just(Some(Learned::Unlisted)), 1 => Just(Some(Learned::Outstanding))];
    let cluster_state = prop_oneof![3 => Just(Learned::Everything), 1 => Just(Learned::Nothing)];
    let running =
        prop::collection::vec((prop::sample::select(vec!["web", "api"]), prop::sample::select(vec!["f", "g"])), 0..3);
    let cluster = prop::option::of((cluster_state, running));
    let scope = (scope_state, prop::array::uniform2(cluster));
    prop::array::uniform4(scope).prop_map(|scopes| {
        let places = ACCOUNTS.iter().flat_map(|account| REGIONS.map(|region| (*account, region)));
        let mut world = Vec::new();
        for ((account, region), (scope_state, clusters)) in places.zip(scopes) {
            for (name, cluster) in NAMES.iter().zip(clusters) {
                let Some((learned, running)) = cluster else { continue };
                let arn = format!("arn:aws:ecs:{region}:{account}:cluster/{name}");
                let of = |(service, family)| Running { cluster: arn.clone(), service, family };
                let running = running.into_iter().map(of).collect();
                world.push(InWorld { arn, running, learned: scope_state.unwrap_or(learned) });
            }
        }
        world
    })
}

/// Returns what a refresh of each scope learns.
fn refreshed(world: &[InWorld], by_name: bool, account_known: bool) -> Arc<Publication> {
    let (mut refreshes, mut outstanding) = (Vec::new(), 0);
    for (account, region) in ACCOUNTS.iter().flat_map(|account| REGIONS.map(|region| (*account, region))) {
        let place = format!(":{region}:{account}:");
        let here: Vec<_> = world.iter().filter(|cluster| cluster.arn.contains(&place)).collect();
        if here.iter().any(|cluster| cluster.learned == Learned::Outstanding) {
            outstanding += 1;
            continue;
        }
        let listed: Vec<_> = here.iter().filter(|cluster| cluster.learned != Learned::Unlisted).collect();
        let asked = |arn: &str| if by_name { cluster_name(arn).to_owned() } else { arn.to_owned() };
        let names: Vec<_> = listed.iter().map(|cluster| (asked(&cluster.arn), cluster.learned)).collect();
        let states: Vec<_> =
            names.iter().map(|(name, learned)| (name.as_str(), *learned == Learned::Everything)).collect();
        let known = listed.iter().filter(|cluster| cluster.learned == Learned::Everything);
        let known: Vec<&Running> = known.flat_map(|cluster| &cluster.running).collect();
        let targets = known.iter().map(|running| running.target()).collect();
        let scope = scope(account_known.then_some(account), region);
        let mut refresh = refresh_of(scope, &states, Arc::new(targets));
        let mut snapshot = Snapshot::clone(&refresh.snapshot);
        if here.len() > listed.len() {
            snapshot = Snapshot::failed(denied(Operation::ListClusters));
        }
        snapshot.clusters = listed
            .iter()
            .map(|cluster| {
                let tasks = cluster.running.iter().filter(|_| cluster.learned == Learned::Everything);
                let tasks = tasks.enumerate().map(|(n, running)| running.listed(n)).collect();
                ClusterTasks { cluster: asked(&cluster.arn).as_str().into(), tasks: Ok(tasks), details: None }
            })
            .collect();
        refresh.snapshot = Arc::new(snapshot);
        refreshes.push(refresh);
    }
    published(refreshes, outstanding)
}

/// The values of each parameter.
type Query = [Vec<&'static str>; 5];

fn queries() -> impl Strategy<Value = Query> {
    let of = |values: &[&'static str]| prop::collection::vec(prop::sample::select(values.to_vec()), 0..3);
    let clusters = [
        "prod",
        "test",
        "t*",
        "pord",
        "arn:aws:ecs:eu-west-1:111111111111:cluster/prod",
        "arn:aws:ecs:us-east-1:222222222222:cluster/test",
        "arn:*:222222222222:cluster/*",
    ];
    (of(&clusters), of(&REGIONS), of(&ACCOUNTS), of(&["web", "api", "wbe"]), of(&["f", "g", "h"]))
        .prop_map(|(clusters, regions, accounts, services, families)| [clusters, regions, accounts, services, families])
}

/// Selects by the definition, one target at a time.
fn is_selected(query: &Query, running: &Running) -> bool {
    let arn: Vec<&str> = running.cluster.split(':').collect();
    let is_cluster = |wanted: &&str| match *wanted {
        "t*" => running.cluster.ends_with("/test"),
        "arn:*:222222222222:cluster/*" => arn[4] == "222222222222",
        arn if arn.starts_with("arn:") => arn == running.cluster,
        name => cluster_name(&running.cluster) == name,
    };
    let [clusters, regions, accounts, services, families] = query;
    (clusters.is_empty() || clusters.iter().any(is_cluster))
        && (regions.is_empty() || regions.contains(&arn[3]))
        && (accounts.is_empty() || accounts.contains(&arn[4]))
        && (services.is_empty() || services.contains(&running.service))
        && (families.is_empty() || families.contains(&running.family))
}

proptest! {
    #[test]
    fn response_is_the_filtered_list_and_empty_only_where_that_is_known(
        earlier in worlds(),
        world in worlds(),
        query in queries(),
        by_name in any::<bool>(),
        account_known in any::<bool>(),
    ) {
        let status = SharedStatus::default();
        status.published(refreshed(&earlier, by_name, account_known));
        status.published(refreshed(&world, by_name, account_known));
        let values = ["cluster", "region", "account", "service", "family"].into_iter().zip(&query);
        let pairs = values.flat_map(|(name, values)| values.iter().map(move |value| (name.into(), (*value).into())));
        let filter = TargetFilter::of(pairs).unwrap();
        let current = status.get();
        let in_force = current.targets.clone().unwrap();
        let selects = |running: &&Running| is_selected(&query, running);
        let learned = world.iter().filter(|cluster| cluster.learned == Learned::Everything);
        let mut expected: Vec<_> = learned.flat_map(|cluster| &cluster.running).filter(selects).map(Running::target).collect();
        expected.sort();
        prop_assert_eq!(filter.select(&in_force).cloned().collect::<Vec<_>>(), expected.clone());
        let exists = world.iter().flat_map(|cluster| &cluster.running).any(|running| selects(&running));
        let described = earlier.iter().chain(&world).filter(|cluster| cluster.learned == Learned::Everything);
        let was_seen = described.flat_map(|cluster| &cluster.running).any(|running| selects(&running));
        match Asked::of(&current, &filter) {
            Asked::Targets => prop_assert!(filter.is_empty() || !expected.is_empty()),
            Asked::Empty => prop_assert!(!exists),
            Asked::NotFound => prop_assert!(!exists && !was_seen),
            Asked::Unavailable(_) => {
                prop_assert!(expected.is_empty());
                prop_assert!(world.iter().any(|cluster| cluster.learned != Learned::Everything));
            }
        }
    }
}
