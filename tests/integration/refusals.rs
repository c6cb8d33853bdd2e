//! The answers that ask for more care than a fault of every call: a part that fails, a part that is gone.

use simaws::{Cluster, Describe, Fault, FaultKind, Options, World};

use crate::fixtures::{API, BUS, SHOP, TWO_CLUSTERS, WEB, exporter, fargate, on_bridge, on_fargate, two_clusters};
use crate::harness::{Scene, all_at_once, text};

/// The operations that a first refresh of [`two_clusters`] makes with `-config.cluster=` empty.
const OPERATIONS: [&str; 6] = [
    "ecs:ListClusters",
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeContainerInstances",
    "ec2:DescribeInstances",
];

fn both_clusters() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other")
}

#[test]
fn a_call_that_is_throttled_three_times_in_a_row_succeeds_in_the_same_refresh() {
    all_at_once(&OPERATIONS, |operation| {
        let mut scene = Scene::of(two_clusters()).flag("-config.scrape-times=1");
        scene.aws.add_fault(Fault::once(operation, FaultKind::Throttle).times(3));
        let ended = scene.run();
        assert_eq!((ended.code, scene.aws.calls().throttled()), (Some(0), 3), "{operation}");
        scene.until_targets(&TWO_CLUSTERS);
    });
}

#[test]
fn an_empty_page_with_a_token_is_followed_by_others() {
    let mut scene = Scene::of(two_clusters()).flag("-config.scrape-times=1");
    scene.aws.set_options(Options { page_size: Some(1), ..Options::default() });
    scene.aws.add_fault(Fault::always("*", FaultKind::EmptyPageWithToken));
    assert_eq!(scene.run().code, Some(0));
    scene.until_targets(&TWO_CLUSTERS);
}

#[test]
fn a_denied_cluster_does_not_stop_the_others() {
    let mut scene = Scene::of(two_clusters());
    scene.aws.change(|world| {
        for n in 3..12 {
            world.add_cluster(Cluster::new(&format!("more-{n}")).with_task(on_fargate(
                "t",
                "web:1",
                &format!("10.0.{n}.1"),
            )));
        }
    });
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
    scene.start();
    let failure = scene.until_failed("ListTasks", "AccessDeniedException");
    assert_eq!(text(&failure, "message"), "ListTasks failed: keeping 0 targets of cluster prod");
    assert!(text(&failure, "error").contains("is not authorized to perform: ecs:ListTasks"), "{failure}");
    let more: Vec<String> = (3..12).map(|n| format!("10.0.{n}.1:9102")).collect();
    let others: Vec<&str> = more.iter().map(String::as_str).chain([SHOP, BUS]).collect();
    scene.until_targets(&others);
    scene.aws.clear_faults();
    scene.until_targets(&[&others[..], &[WEB, API]].concat());
    scene.stop();
}

/// However many clusters fail for now, those that answer are asked, in every refresh.
#[test]
fn many_failing_clusters_do_not_keep_the_others_from_being_asked() {
    let names: Vec<String> = (10..36).map(|n| format!("down-{n}")).collect();
    let mut scene = Scene::of(fargate(1)).flag(&format!("-config.cluster={},prod", names.join(",")));
    scene.aws.change(|world| world.clusters.extend(names.iter().map(|name| Cluster::new(name))));
    scene.start_with(&["10.0.0.1:9102"]);
    names
        .iter()
        .for_each(|name| scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Unavailable).cluster(name)));
    scene.until_failed("ListTasks", "ServiceUnavailableException");
    scene.comes_up("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
    scene.until_targets(&["10.0.0.1:9102", "10.0.9.9:9102"]);
}

#[test]
fn the_listing_decides_which_tasks_live_even_if_none_can_be_described() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Denied));
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-1"));
    scene.until_targets(&[SHOP, API, BUS]);
    scene.stop();
}

#[test]
fn a_deployment_whose_definition_is_denied_waits_and_its_neighbours_do_not() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    let reader = scene.reader(&[SHOP, API, BUS]);
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied).matching("/web:2"));
    scene.aws.change(|world| {
        world.add_task_definition(exporter("web", 2, "awsvpc")).add_task_definition(exporter("web", 3, "awsvpc"));
        let prod = world.cluster_mut("prod");
        prod.remove_task("web-1");
        prod.add_task(on_fargate("web-2", "web:2", "10.0.1.2")).add_task(on_fargate("web-3", "web:3", "10.0.1.3"));
    });
    scene.until_targets(&[SHOP, API, BUS, "10.0.1.3:9102"]);
    let failure = scene.until_failed("DescribeTaskDefinition", "AccessDeniedException");
    assert_eq!(text(&failure, "message"), "DescribeTaskDefinition failed: keeping 0 targets");
    scene.aws.clear_faults();
    scene.until_targets(&[SHOP, API, BUS, "10.0.1.2:9102", "10.0.1.3:9102"]);
    reader.stop();
    scene.stop();
}

#[test]
fn ec2_denied_never_stops_fargate() {
    let mut scene = both_clusters();
    scene.aws.add_fault(Fault::always("ec2:DescribeInstances", FaultKind::Denied));
    scene.start_with(&[WEB, SHOP]);
    scene.aws.change(|world| {
        world.cluster_mut("prod").remove_task("web-1");
        world.cluster_mut("prod").add_task(on_fargate("web-2", "web:1", "10.0.1.2"));
    });
    scene.until_targets(&["10.0.1.2:9102", SHOP]);
    scene.aws.clear_faults();
    scene.until_targets(&["10.0.1.2:9102", SHOP, API, BUS]);
    scene.stop();
}

#[test]
fn a_task_that_the_answer_omits_keeps_its_targets_and_the_others_move() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.task_mut("web-1").describe = Describe::Omitted;
        *prod.task_mut("api-1") = on_bridge("api-1", "api:1", "ci-1", 40000);
    });
    scene.until_targets(&[WEB, SHOP, "10.1.0.1:40000", BUS]);
    let failure = scene.until_failed("DescribeTasks", "InvalidResponse");
    assert_eq!(text(&failure, "message"), "DescribeTasks failed: keeping 1 targets of cluster prod");
    scene.stop();
}

#[test]
fn a_task_that_is_missing_has_gone_and_nothing_has_failed() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    scene.aws.change(|world| world.cluster_mut("prod").task_mut("web-1").describe = Describe::Missing);
    scene.until_targets(&[SHOP, API, BUS]);
    assert!(scene.log().iter().all(|line| text(line, "level") != "WARN" || text(line, "operation").is_empty()));
    scene.stop();
}

#[test]
fn hosts_and_definitions_that_are_gone_cost_only_their_own_tasks() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 4] = [
        ("container instance missing", |world| {
            world.cluster_mut("prod").container_instance_mut("ci-1").describe = Describe::Missing;
        }),
        ("instance unknown", |world| world.instances.retain(|instance| instance.instance_id != "i-1")),
        ("instance without an address", |world| world.instance_mut("i-1").private_ip_address = None),
        ("definition deleted", |world| "DELETED".clone_into(&mut world.task_definition_mut("api", 1).status)),
    ];
    for (name, change) in changes {
        let mut scene = both_clusters().flag("-config.scrape-times=1");
        scene.aws.change(change);
        let ended = scene.run();
        scene.until_targets(&[WEB, SHOP, BUS]);
        assert!(ended.log().iter().any(|line| text(line, "skipped").contains("=1")), "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_container_instance_that_the_answer_omits_keeps_its_targets() {
    let mut scene = both_clusters().flag("-config.cache=off");
    scene.start_with(&TWO_CLUSTERS);
    scene.stop();
    scene.aws.change(|world| world.cluster_mut("prod").container_instance_mut("ci-1").describe = Describe::Omitted);
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.start();
    scene.until_failed("DescribeContainerInstances", "InvalidResponse");
    scene.after_refreshes(2);
    reader.stop();
    scene.stop();
}

#[test]
fn a_configured_cluster_that_aws_does_not_know_keeps_its_targets() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.change(|world| "INACTIVE".clone_into(&mut world.cluster_mut("prod").status));
    let failure = scene.until_failed("ListTasks", "ClusterNotFoundException");
    assert_eq!(text(&failure, "message"), "ListTasks failed: keeping 2 targets of cluster prod");
    scene.after_refreshes(2);
    reader.stop();
    scene.stop();
}

#[test]
fn a_cluster_that_is_no_longer_listed_loses_its_targets() {
    let mut scene = Scene::of(two_clusters());
    scene.start_with(&TWO_CLUSTERS);
    scene.aws.change(|world| "INACTIVE".clone_into(&mut world.cluster_mut("prod").status));
    scene.until_targets(&[SHOP, BUS]);
    scene.stop();
}

#[test]
fn an_empty_success_writes_an_empty_list_and_says_why() {
    let mut scene = both_clusters();
    scene.start_with(&TWO_CLUSTERS);
    scene.aws.change(|world| world.clusters.iter_mut().for_each(|cluster| cluster.tasks.clear()));
    scene.until_targets(&[]);
    assert_eq!(scene.bytes().unwrap(), b"[]\n");
    assert!(!text(&scene.until_message("no targets"), "remedy").is_empty());
    scene.stop();
}

#[test]
fn a_first_refresh_that_fails_makes_no_file() {
    for operation in ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"] {
        let mut scene = Scene::of(fargate(3)).flag("-config.cluster=prod");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied));
        scene.start();
        scene.until_message("no file written");
        scene.after_refreshes(1);
        assert_eq!(scene.bytes(), None, "{operation}");
        scene.aws.clear_faults();
        scene.until_targets(&["10.0.0.1:9102", "10.0.0.2:9102", "10.0.0.3:9102"]);
        scene.stop();
    }
}

#[test]
fn a_role_that_cannot_be_assumed_for_now_loses_nothing() {
    let mut scene = both_clusters().flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
    scene.start_with(&TWO_CLUSTERS);
    scene.stop();
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    scene.start();
    let failure = scene.until_message("AssumeRole failed: keeping 2 targets of cluster prod");
    assert_eq!(text(&failure, "code"), "AccessDenied", "{failure}");
    assert!(text(&failure, "error").starts_with("arn:aws:iam::123456789012:role/reader: "), "{failure}");
    scene.aws.clear_faults();
    scene.comes_up("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.until_targets(&[&TWO_CLUSTERS[..], &["10.0.1.2:9102"]].concat());
    reader.stop();
    scene.stop();
}
