//! Partial failures: some calls fail, or a response lacks something requested.

use simaws::{Cluster, Describe, Fault, FaultKind, Options, World};

use crate::fixtures::{API, BUS, SHOP, TWO_CLUSTERS, WEB, exporter, fargate, on_bridge, on_fargate, two_clusters};
use crate::harness::{Scene, of_cluster_in, run_concurrently, text, wait_until};

/// The operations of a first refresh of [`two_clusters`] without `-config.cluster`.
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
fn call_throttled_three_times_succeeds_in_the_same_refresh() {
    run_concurrently(&OPERATIONS, |operation| {
        let mut scene = Scene::of(two_clusters()).flag("-config.scrape-times=1");
        scene.aws.add_fault(Fault::once(operation, FaultKind::Throttle).times(3));
        let exited = scene.run();
        assert_eq!((exited.code, scene.aws.calls().throttled()), (Some(0), 3), "{operation}");
        scene.wait_for_targets(&TWO_CLUSTERS);
    });
}

#[test]
fn listing_continues_after_an_empty_page() {
    let mut scene = Scene::of(two_clusters()).flag("-config.scrape-times=1");
    scene.aws.set_options(Options { page_size: Some(1), ..Options::default() });
    scene.aws.add_fault(Fault::always("*", FaultKind::EmptyPageWithToken));
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&TWO_CLUSTERS);
}

#[test]
fn denied_cluster_does_not_affect_other_clusters() {
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
    let failure = scene.wait_for_failure("ListTasks", "AccessDeniedException");
    assert_eq!(text(&failure, "message"), "ListTasks failed: keeping 0 targets of cluster prod");
    assert!(text(&failure, "error").contains("is not authorized to perform: ecs:ListTasks"), "{failure}");
    let more: Vec<String> = (3..12).map(|n| format!("10.0.{n}.1:9102")).collect();
    let others: Vec<&str> = more.iter().map(String::as_str).chain([SHOP, BUS]).collect();
    scene.wait_for_targets(&others);
    scene.aws.clear_faults();
    scene.wait_for_targets(&[&others[..], &[WEB, API]].concat());
    scene.stop();
}

/// More failing clusters than concurrent calls: the remaining cluster is still listed in every refresh.
#[test]
fn many_failing_clusters_do_not_starve_the_others() {
    let names: Vec<String> = (10..36).map(|n| format!("down-{n}")).collect();
    let mut scene = Scene::of(fargate(1)).flag(&format!("-config.cluster={},prod", names.join(",")));
    scene.aws.change(|world| world.clusters.extend(names.iter().map(|name| Cluster::new(name))));
    scene.start_and_wait_for(&["10.0.0.1:9102"]);
    names
        .iter()
        .for_each(|name| scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Unavailable).cluster(name)));
    scene.wait_for_failure("ListTasks", "ServiceUnavailableException");
    scene.add_task("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
    scene.wait_for_targets(&["10.0.0.1:9102", "10.0.9.9:9102"]);
}

#[test]
fn unlisted_task_is_removed_even_if_describe_tasks_fails() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Denied));
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-1"));
    scene.wait_for_targets(&[SHOP, API, BUS]);
    scene.stop();
}

#[test]
fn denied_definition_delays_only_its_own_tasks() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    let reader = scene.reader(&[SHOP, API, BUS]);
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied).matching("/web:2"));
    scene.aws.change(|world| {
        world.add_task_definition(exporter("web", 2, "awsvpc")).add_task_definition(exporter("web", 3, "awsvpc"));
        let prod = world.cluster_mut("prod");
        prod.remove_task("web-1");
        prod.add_task(on_fargate("web-2", "web:2", "10.0.1.2")).add_task(on_fargate("web-3", "web:3", "10.0.1.3"));
    });
    scene.wait_for_targets(&[SHOP, API, BUS, "10.0.1.3:9102"]);
    let failure = scene.wait_for_failure("DescribeTaskDefinition", "AccessDeniedException");
    assert_eq!(text(&failure, "message"), "DescribeTaskDefinition failed: keeping 0 targets");
    scene.aws.clear_faults();
    scene.wait_for_targets(&[SHOP, API, BUS, "10.0.1.2:9102", "10.0.1.3:9102"]);
    reader.stop();
    scene.stop();
}

/// The code alone stands for any mistake in a request. Only the message says that a definition does not exist.
#[test]
fn client_exception_of_another_kind_loses_no_target() {
    let mut scene = both_clusters().flag("-config.cache=off");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    let reader = scene.reader(&TWO_CLUSTERS);
    let kind = FaultKind::Error { status: 400, code: "ClientException".into(), message: "Something else.".into() };
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", kind).matching("/web:1"));
    scene.start();
    let failure = scene.wait_for_failure("DescribeTaskDefinition", "ClientException");
    assert_eq!(text(&failure, "message"), "DescribeTaskDefinition failed: keeping 1 targets");
    scene.wait_for_refreshes(2);
    reader.stop();
    scene.stop();
}

#[test]
fn denied_ec2_does_not_affect_fargate() {
    let mut scene = both_clusters();
    scene.aws.add_fault(Fault::always("ec2:DescribeInstances", FaultKind::Denied));
    scene.start_and_wait_for(&[WEB, SHOP]);
    scene.aws.change(|world| {
        world.cluster_mut("prod").remove_task("web-1");
        world.cluster_mut("prod").add_task(on_fargate("web-2", "web:1", "10.0.1.2"));
    });
    scene.wait_for_targets(&["10.0.1.2:9102", SHOP]);
    scene.aws.clear_faults();
    scene.wait_for_targets(&["10.0.1.2:9102", SHOP, API, BUS]);
    scene.stop();
}

#[test]
fn task_omitted_from_the_response_keeps_its_targets() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.task_mut("web-1").describe = Describe::Omitted;
        *prod.task_mut("api-1") = on_bridge("api-1", "api:1", "ci-1", 40000);
    });
    scene.wait_for_targets(&[WEB, SHOP, "10.1.0.1:40000", BUS]);
    let failure = scene.wait_for_failure("DescribeTasks", "InvalidResponse");
    assert_eq!(text(&failure, "message"), "DescribeTasks failed: keeping 1 targets of cluster prod");
    scene.stop();
}

#[test]
fn missing_task_is_removed_without_a_failure() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.aws.change(|world| world.cluster_mut("prod").task_mut("web-1").describe = Describe::Missing);
    scene.wait_for_targets(&[SHOP, API, BUS]);
    assert!(scene.log().iter().all(|line| text(line, "level") != "WARN" || text(line, "operation").is_empty()));
    scene.stop();
}

#[test]
fn missing_hosts_and_definitions_affect_only_their_own_tasks() {
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
        let exited = scene.run();
        scene.wait_for_targets(&[WEB, SHOP, BUS]);
        assert!(exited.log().iter().any(|line| text(line, "skipped").contains("=1")), "{name}: {}", exited.stderr);
    }
}

#[test]
fn container_instance_omitted_from_the_response_keeps_its_targets() {
    let mut scene = both_clusters().flag("-config.cache=off");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    scene.aws.change(|world| world.cluster_mut("prod").container_instance_mut("ci-1").describe = Describe::Omitted);
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.start();
    scene.wait_for_failure("DescribeContainerInstances", "InvalidResponse");
    scene.wait_for_refreshes(2);
    reader.stop();
    scene.stop();
}

#[test]
fn configured_cluster_that_does_not_exist_keeps_its_targets() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.change(|world| "INACTIVE".clone_into(&mut world.cluster_mut("prod").status));
    let failure = scene.wait_for_failure("ListTasks", "ClusterNotFoundException");
    assert_eq!(text(&failure, "message"), "ListTasks failed: keeping 2 targets of cluster prod");
    scene.wait_for_refreshes(2);
    reader.stop();
    scene.stop();
}

#[test]
fn targets_older_than_max_stale_are_removed() {
    let mut scene = both_clusters().flag("-config.max-stale=1s");
    let server = scene.serve();
    scene.wait_for_targets(&TWO_CLUSTERS);
    assert_eq!(server.metrics().value("oldest_kept_target_seconds"), Some(0.0));
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
    scene.wait_for_message("ListTasks failed: keeping 2 targets of cluster prod");
    wait_until("the age is a metric", || server.metrics().value("oldest_kept_target_seconds") > Some(0.0));
    scene.wait_for_targets(&[SHOP, BUS]);
    let line = scene.wait_for_message("last known targets removed: older than -config.max-stale");
    assert_eq!((text(&line, "cluster"), line["removed"].as_u64()), ("prod", Some(2)));
    assert_eq!(server.metrics().value("oldest_kept_target_seconds"), Some(0.0));
    scene.aws.clear_faults();
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.stop();
}

/// The account is unknown, so that the ARN may be of it. The simulated AWS has no cluster of another one.
#[test]
fn cluster_of_another_account_is_not_the_one_of_the_same_name() {
    let theirs = "arn:aws:ecs:us-east-1:999999999999:cluster/prod";
    for clusters in [format!("prod,other,{theirs}"), format!("{theirs},prod,other")] {
        let mut scene = Scene::of(two_clusters()).flag(&format!("-config.cluster={clusters}"));
        scene.aws.add_fault(Fault::always("sts:GetCallerIdentity", FaultKind::Denied));
        let server = scene.serve();
        scene.wait_for_targets(&TWO_CLUSTERS);
        scene.wait_for_message("ListTasks failed: keeping 0 targets of cluster prod");
        scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-1"));
        scene.wait_for_targets(&[SHOP, API, BUS]);
        let targets = |account: &str| server.metrics().value(&of_cluster_in(account, "targets", "prod"));
        let expected = (Some(1.0), Some(0.0));
        wait_until("the metrics tell them apart", || (targets("123456789012"), targets("999999999999")) == expected);
        scene.stop();
    }
}

#[test]
fn unlisted_cluster_loses_its_targets() {
    let mut scene = Scene::of(two_clusters());
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.aws.change(|world| "INACTIVE".clone_into(&mut world.cluster_mut("prod").status));
    scene.wait_for_targets(&[SHOP, BUS]);
    scene.stop();
}

#[test]
fn empty_success_writes_an_empty_list_and_logs_a_remedy() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.aws.change(|world| world.clusters.iter_mut().for_each(|cluster| cluster.tasks.clear()));
    scene.wait_for_targets(&[]);
    assert_eq!(scene.bytes().unwrap(), b"[]\n");
    assert!(!text(&scene.wait_for_message("no targets"), "remedy").is_empty());
    scene.stop();
}

#[test]
fn failed_first_refresh_writes_no_file() {
    for operation in ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"] {
        let mut scene = Scene::of(fargate(3)).flag("-config.cluster=prod");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied));
        scene.start();
        scene.wait_for_message("no file written");
        scene.wait_for_refreshes(1);
        assert_eq!(scene.bytes(), None, "{operation}");
        scene.aws.clear_faults();
        scene.wait_for_targets(&["10.0.0.1:9102", "10.0.0.2:9102", "10.0.0.3:9102"]);
        scene.stop();
    }
}

#[test]
fn temporarily_denied_role_loses_no_target() {
    let mut scene = both_clusters().flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    scene.start();
    let failure = scene.wait_for_message("AssumeRole failed: keeping 4 targets");
    assert_eq!(text(&failure, "code"), "AccessDenied", "{failure}");
    assert!(failure["cluster"].is_null(), "{failure}");
    assert!(text(&failure, "error").starts_with("arn:aws:iam::123456789012:role/reader: "), "{failure}");
    scene.aws.clear_faults();
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.wait_for_targets(&[&TWO_CLUSTERS[..], &["10.0.1.2:9102"]].concat());
    reader.stop();
    scene.stop();
}
