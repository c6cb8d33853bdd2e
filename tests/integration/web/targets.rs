//! `/targets`: the same groups as the file; before a first success, a status that makes Prometheus keep its targets.

use std::time::Duration;

use simaws::{Cluster, Fault, FaultKind, World};

use super::{both_clusters, with_app};
use crate::fixtures::{API, BUS, SHOP, TWO_CLUSTERS, WEB, exporter, on_fargate, two_clusters};
use crate::harness::{Scene, Server, wait_until};

const PROD: &str = "/targets?cluster=prod";
const PROD_BY_ARN: &str = "/targets?cluster=arn%3Aaws%3Aecs%3Aus-east-1%3A123456789012%3Acluster%2Fprod";

/// Waits until the file has these targets and `/targets` serves the same groups.
fn wait_for_both(scene: &Scene, server: Server, targets: &[&str]) {
    scene.wait_for_targets(targets);
    wait_until("/targets serves the groups of the file", || server.targets("/targets") == scene.groups());
}

fn addresses(server: Server, path: &str) -> Vec<String> {
    let groups = server.targets(path);
    let targets = groups.iter().flat_map(|group| &*group.targets);
    let mut addresses: Vec<_> = targets.map(|target| target.to_string()).collect();
    addresses.sort_unstable();
    addresses
}

#[test]
fn endpoint_serves_the_same_groups_as_the_file() {
    let mut scene = both_clusters();
    let server = scene.serve();
    wait_for_both(&scene, server, &TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.aws.change(|world| world.cluster_mut("other").remove_task("bus-1"));
    wait_for_both(&scene, server, &[WEB, SHOP, API]);
    assert_eq!(addresses(server, PROD), [WEB, API], "the last known ones");
    scene.aws.clear_faults();
    wait_for_both(&scene, server, &[WEB, SHOP, API, "10.0.1.2:9102"]);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Denied));
    scene.wait_for_failure("DescribeTasks", "AccessDeniedException");
    scene.wait_for_refreshes(1);
    wait_for_both(&scene, server, &[WEB, SHOP, API, "10.0.1.2:9102"]);
    scene.aws.clear_faults();
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-1"));
    wait_for_both(&scene, server, &[SHOP, API, "10.0.1.2:9102"]);
    scene.stop();
}

#[test]
fn cluster_parameter_takes_name_or_arn() {
    let world = two_clusters().with_cluster(Cluster::new("empty"));
    let mut scene = Scene::of(world);
    let server = scene.serve();
    scene.wait_for_targets(&TWO_CLUSTERS);
    wait_until("the targets are served", || server.get("/targets").status == 200);
    for path in [PROD, PROD_BY_ARN, "/targets?x=y&cluster=prod"] {
        assert_eq!(addresses(server, path), [WEB, API], "{path}");
    }
    assert_eq!(addresses(server, "/targets?other=prod").len(), 4);
    assert_eq!(server.get("/targets?cluster=empty").body.trim(), "[]");
    let elsewhere = PROD_BY_ARN.replace("us-east-1", "eu-west-1");
    for path in ["/targets?cluster=pord", "/targets?cluster=", "/targets?cluster=PROD", &elsewhere] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    scene.stop();
}

#[test]
fn filters_narrow_by_place_and_service() {
    let world = || {
        let task = |id: &str, address: &str, group: &str| on_fargate(id, "web:1", address).group(group);
        let prod = Cluster::new("prod").with_task(task("a", "10.0.0.1", "service:a"));
        prod.with_task(task("b", "10.0.0.2", "family:web"))
    };
    let other = World::new("123456789012", "eu-west-1")
        .with_task_definition(exporter("web", 1, "awsvpc"))
        .with_cluster(Cluster::new("prod").with_task(on_fargate("c", "web:1", "10.0.1.1").group("service:c")));
    let world = World::default().with_task_definition(exporter("web", 1, "awsvpc")).with_cluster(world());
    let mut scene = Scene::of(world.with_other(other)).flag("-config.region=us-east-1,eu-west-1");
    let server = scene.serve();
    scene.wait_for_targets(&["10.0.0.1:9102", "10.0.0.2:9102", "10.0.1.1:9102"]);
    wait_until("the targets are served", || addresses(server, "/targets").len() == 3);
    for (query, expected) in [
        ("region=us-east-1", &["10.0.0.1:9102", "10.0.0.2:9102"][..]),
        ("region=us-east-1&region=eu-west-1&service=a&service=c", &["10.0.0.1:9102", "10.0.1.1:9102"]),
        ("cluster=arn:aws:ecs:eu-*:*:cluster/*", &["10.0.1.1:9102"]),
        ("cluster=p*&family=web&service=a", &["10.0.0.1:9102"]),
        ("account=123456789012&service=c", &["10.0.1.1:9102"]),
    ] {
        assert_eq!(addresses(server, &format!("/targets?{query}")), expected, "{query}");
    }
    for query in ["service=x", "region=eu-west-1&service=a", "account=1", "family=x", "cluster=p"] {
        assert_eq!(server.get(&format!("/targets?{query}")).status, 404, "{query}");
    }
    assert_eq!(server.get(&format!("/targets?{}", "service=a&".repeat(201))).status, 400);
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("a"));
    wait_until("a service without tasks is empty", || server.get("/targets?service=a").body == "[]\n");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).region("us-east-1"));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    wait_until("it may be back", || server.get("/targets?service=a").status == 503);
    assert_eq!(server.get("/targets?service=a&region=eu-west-1").status, 404);
    assert_eq!(addresses(server, "/targets?service=c"), ["10.0.1.1:9102"]);
    scene.stop();
}

#[test]
fn unavailable_before_the_first_success() {
    let statuses = with_app(Duration::MAX, |server| ["/targets", PROD].map(|path| server.get(path).status));
    assert_eq!(statuses, [503, 503]);
    let mut scene = both_clusters();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let server = scene.serve();
    scene.wait_for_refreshes(2);
    assert_eq!(server.get("/targets").status, 503);
    scene.aws.clear_faults();
    wait_for_both(&scene, server, &TWO_CLUSTERS);
    scene.stop();
}

/// After a restart without a file during an outage of a cluster, an empty list would drop the targets of the cluster.
#[test]
fn unknown_cluster_is_unavailable_and_not_empty() {
    for operation in ["ecs:ListTasks", "ecs:DescribeTasks"] {
        let mut scene = both_clusters().flag("-config.write-to=");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied).cluster("prod"));
        let server = scene.serve();
        wait_until("the other cluster is served", || server.get("/targets?cluster=other").status == 200);
        assert_eq!(server.get(PROD).status, 503, "{operation}");
        scene.aws.clear_faults();
        wait_until("the cluster is served", || server.get(PROD).status == 200);
        assert_eq!(addresses(server, PROD), [WEB, API]);
        scene.stop();
    }
}

/// Its targets have to go, whereas a mistyped name must not remove any.
#[test]
fn cluster_that_is_gone_is_an_empty_list() {
    let mut scene = Scene::of(two_clusters());
    let server = scene.serve();
    wait_for_both(&scene, server, &TWO_CLUSTERS);
    scene.aws.change(|world| world.clusters.retain(|cluster| cluster.name != "prod"));
    wait_for_both(&scene, server, &[SHOP, BUS]);
    let gone = |server: Server| [PROD, PROD_BY_ARN].map(|path| server.get(path)).map(|gone| (gone.status, gone.body));
    assert_eq!(gone(server), ["[]\n"; 2].map(|body| (200, body.to_owned())));
    assert_eq!(server.get("/targets?cluster=pord").status, 404);
    scene.stop();
    // Another process has seen only what the file had.
    scene.aws.change(|world| world.clusters.retain(|cluster| cluster.name != "other"));
    let server = scene.serve();
    wait_for_both(&scene, server, &[]);
    assert_eq!((server.get("/targets?cluster=other").status, server.get(PROD).status), (200, 404));
    scene.stop();
}

#[test]
fn targets_are_served_without_a_file() {
    let mut scene = both_clusters().flag("-config.write-to=");
    let server = scene.serve();
    wait_until("the targets are served", || server.get("/targets").status == 200);
    assert_eq!(addresses(server, "/targets").len(), 4);
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    wait_until("the new target is served", || addresses(server, "/targets").len() == 5);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    scene.wait_for_refreshes(1);
    assert_eq!(addresses(server, "/targets").len(), 5, "the last known ones");
    assert_eq!(scene.bytes(), None);
    scene.stop();
}
