//! `/targets`: what the file has, and the status that makes Prometheus keep what it had.

use std::time::Duration;

use simaws::{Cluster, Fault, FaultKind};

use super::{both_clusters, with_app};
use crate::fixtures::{API, SHOP, TWO_CLUSTERS, WEB, on_fargate, two_clusters};
use crate::harness::{Scene, Server, until};

const PROD: &str = "/targets?cluster=prod";
const PROD_BY_ARN: &str = "/targets?cluster=arn%3Aaws%3Aecs%3Aus-east-1%3A123456789012%3Acluster%2Fprod";

/// Waits until the file has these targets and `/targets` the same groups.
fn agree(scene: &Scene, server: Server, targets: &[&str]) {
    scene.until_targets(targets);
    until("the endpoint has what the file has", || server.targets("/targets") == scene.groups());
}

fn addresses(server: Server, path: &str) -> Vec<String> {
    let targets = server.targets(path).into_iter().flat_map(|group| group.targets);
    let mut addresses: Vec<_> = targets.map(|target| target.to_string()).collect();
    addresses.sort_unstable();
    addresses
}

#[test]
fn it_agrees_with_the_file_while_clusters_fail_and_recover() {
    let mut scene = both_clusters();
    let server = scene.serve();
    agree(&scene, server, &TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
    scene.until_failed("ListTasks", "AccessDeniedException");
    scene.comes_up("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.aws.change(|world| world.cluster_mut("other").remove_task("bus-1"));
    agree(&scene, server, &[WEB, SHOP, API]);
    assert_eq!(addresses(server, PROD), [WEB, API], "the last good ones");
    scene.aws.clear_faults();
    agree(&scene, server, &[WEB, SHOP, API, "10.0.1.2:9102"]);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Denied));
    scene.until_failed("DescribeTasks", "AccessDeniedException");
    scene.after_refreshes(1);
    agree(&scene, server, &[WEB, SHOP, API, "10.0.1.2:9102"]);
    scene.aws.clear_faults();
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-1"));
    agree(&scene, server, &[SHOP, API, "10.0.1.2:9102"]);
    scene.stop();
}

#[test]
fn a_cluster_can_be_asked_for_by_name_and_by_arn() {
    let world = two_clusters().with_cluster(Cluster::new("empty"));
    let mut scene = Scene::of(world);
    let server = scene.serve();
    scene.until_targets(&TWO_CLUSTERS);
    until("they are served", || server.get("/targets").status == 200);
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
fn before_anything_is_known_prometheus_keeps_what_it_had() {
    let statuses = with_app(Duration::MAX, |server| ["/targets", PROD].map(|path| server.get(path).status));
    assert_eq!(statuses, [503, 503]);
    let mut scene = both_clusters();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let server = scene.serve();
    scene.after_refreshes(2);
    assert_eq!(server.get("/targets").status, 503);
    scene.aws.clear_faults();
    agree(&scene, server, &TWO_CLUSTERS);
    scene.stop();
}

/// A restart without a file, in the middle of a cluster's outage: an empty list would drop its targets.
#[test]
fn a_cluster_of_which_nothing_is_known_yet_is_not_an_empty_one() {
    for operation in ["ecs:ListTasks", "ecs:DescribeTasks"] {
        let mut scene = both_clusters().flag("-config.write-to=");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied).cluster("prod"));
        let server = scene.serve();
        until("the other cluster is known", || server.get("/targets?cluster=other").status == 200);
        assert_eq!(server.get(PROD).status, 503, "{operation}");
        scene.aws.clear_faults();
        until("it is known", || server.get(PROD).status == 200);
        assert_eq!(addresses(server, PROD), [WEB, API]);
        scene.stop();
    }
}

#[test]
fn without_a_file_it_is_served_all_the_same() {
    let mut scene = both_clusters().flag("-config.write-to=");
    let server = scene.serve();
    until("they are served", || server.get("/targets").status == 200);
    assert_eq!(addresses(server, "/targets").len(), 4);
    scene.comes_up("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    until("a new one is served", || addresses(server, "/targets").len() == 5);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.until_failed("ListTasks", "AccessDeniedException");
    scene.after_refreshes(1);
    assert_eq!(addresses(server, "/targets").len(), 5, "the last good ones");
    assert_eq!(scene.bytes(), None);
    scene.stop();
}
