//! Tasks that come up or stop between two refreshes: the pending watch, and what happens while its calls fail.

use std::time::{Duration, Instant};

use simaws::{Container, ContainerDefinition, Fault, FaultKind, Life, Span, Status, Task};

use super::fixtures::{API, TWO_CLUSTERS, WEB, on_bridge, on_fargate, two_clusters};
use super::harness::{Scene, run_concurrently, text, wait_until};

/// The targets of [`shop`] and [`bus`].
const SHOP: &str = "10.0.1.9:9102";
const BUS: &str = "10.1.0.1:32999";

const SOON: Duration = Duration::from_millis(300);

/// Returns a scene of two clusters, whose next refresh is ten minutes after the first.
fn scene() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.scrape-interval=10m")
}

/// Returns a task on Fargate, and one in bridge mode, of the cluster `prod`.
fn shop() -> Task {
    on_fargate("shop-9", "shop:1", "10.0.1.9")
}

fn bus() -> Task {
    on_bridge("bus-9", "bus:1", "ci-1", 32999)
}

/// Lets a task reach a status, and stay there.
fn reach(scene: &Scene, task: Task, status: Status) {
    scene.aws.start_life("prod", task, Life::default().then(Duration::ZERO, status));
}

/// Starts the program while these tasks are pending, and waits until the first refresh has described them.
fn start_with_pending(scene: &mut Scene, tasks: &[Task]) {
    tasks.iter().for_each(|task| reach(scene, task.clone(), Status::Pending));
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.wait_for_message("targets written");
}

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&TWO_CLUSTERS[..], more].concat()
}

/// Returns the calls so far, ordered by their starts, as far as they have ended.
fn calls(scene: &Scene) -> Vec<Span> {
    let mut calls: Vec<_> = scene.aws.calls().spans().cloned().collect();
    calls.sort_by_key(|call| call.begun);
    calls
}

/// Returns the number of calls of DescribeTasks between the first refresh and the second.
fn looks_between_refreshes(scene: &Scene) -> usize {
    wait_until("there is another refresh", || scene.aws.calls().get("ecs:ListTasks") > 1);
    let calls = calls(scene);
    let between = calls.iter().skip_while(|call| call.operation != "ecs:ListTasks").skip(1);
    let looks = between.take_while(|call| call.operation != "ecs:ListTasks");
    // The first refresh describes once.
    looks.filter(|call| call.operation == "ecs:DescribeTasks").count() - 1
}

#[test]
fn tasks_that_come_up_between_refreshes_are_targets() {
    let mut scene = scene();
    start_with_pending(&mut scene, &[shop(), bus()]);
    let reader = scene.reader(&TWO_CLUSTERS);
    let up = |status| Life::default().then(Duration::ZERO, status).then(SOON, Status::Running);
    scene.aws.start_life("prod", shop(), up(Status::Activating));
    scene.aws.start_life("prod", bus(), up(Status::Pending));
    scene.wait_for_targets(&with(&[SHOP, BUS]));
    reader.stop();
    assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 2, "one refresh of two clusters");
    scene.stop();
}

/// AWS may report addresses and published ports later than the status RUNNING.
#[test]
fn running_tasks_without_address_or_port_are_watched_too() {
    let mut scene = scene();
    let mut later = [shop(), bus()];
    for task in &mut later {
        let app = &mut task.containers[0];
        (app.network_interfaces, app.network_bindings) = (Vec::new(), Vec::new());
        scene.add_task("prod", task.clone());
    }
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.wait_for_message("targets written");
    [shop(), bus()].into_iter().for_each(|task| reach(&scene, task, Status::Running));
    scene.wait_for_targets(&with(&[SHOP, BUS]));
    assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 2);
    scene.stop();
}

/// How a task ends.
#[derive(Debug)]
enum End {
    /// It is to stop.
    Stops,
    /// AWS does not know it any more.
    Goes,
}

/// One container of the task is a target while the other does not publish its port yet.
#[test]
fn target_of_a_task_that_the_watch_sees_stopping_is_removed() {
    let half_up = || bus().with_container(Container::new("late"));
    run_concurrently(&[End::Stops, End::Goes], |end| {
        let mut scene = scene();
        scene.aws.change(|world| {
            let containers = &mut world.task_definition_mut("bus", 1).container_definitions;
            containers.push(ContainerDefinition { name: "late".into(), ..containers[0].clone() });
        });
        scene.add_task("prod", half_up());
        scene.start_and_wait_for(&with(&[BUS]));
        let reader = scene.reader(&TWO_CLUSTERS);
        match end {
            End::Stops => {
                scene.aws.start_life("prod", half_up(), Life::default().stops(Duration::ZERO));
            }
            End::Goes => {
                scene.aws.change(|world| world.cluster_mut("prod").remove_task("bus-9"));
            }
        }
        scene.wait_for_targets(&TWO_CLUSTERS);
        reader.stop();
        assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 2);
        scene.stop();
    });
}

#[test]
fn no_call_is_made_if_nothing_is_pending_or_nothing_is_watched() {
    run_concurrently(&[true, false], |watched| {
        let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod").flag("-config.scrape-interval=5s");
        if *watched {
            // A task that stops is not pending.
            scene.add_task("prod", shop().last_status("DEACTIVATING").desired_status("STOPPED"));
        } else {
            scene = scene.flag("-config.watch=false");
            reach(&scene, shop(), Status::Pending);
        }
        scene.start_and_wait_for(&[WEB, API]);
        assert_eq!(looks_between_refreshes(&scene), 0);
        scene.stop();
    });
}

/// Each task of the loop stops before it runs, and another one starts.
#[test]
fn calls_for_tasks_that_never_come_up_are_a_second_apart() {
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.scrape-interval=5s");
    for n in 0..300 {
        let id = format!("crash-{n}");
        let created = Duration::from_millis(50 * n);
        let life = Life::ec2(Duration::from_secs(60)).stops(Duration::from_secs(3)).later(created);
        let cluster = if n % 2 == 0 { "prod" } else { "other" };
        scene.aws.start_life(cluster, on_fargate(&id, "web:1", "10.0.9.9"), life);
    }
    scene.start_and_wait_for(&TWO_CLUSTERS);
    wait_until("there are three more refreshes", || scene.aws.calls().get("ecs:ListTasks") >= 8);
    let calls = calls(&scene);
    let first = calls.first().unwrap().begun;
    let described = calls.iter().filter(|call| call.operation == "ecs:DescribeTasks").count();
    let seconds = (calls.last().unwrap().begun - first).as_secs() as usize;
    // A refresh lists and describes each cluster once.
    let listed = calls.iter().filter(|call| call.operation == "ecs:ListTasks").count();
    assert!(described > listed && described <= listed + seconds + 1, "{described} of {calls:?}");
    assert_eq!(scene.targets().len(), TWO_CLUSTERS.len());
    scene.stop();
}

#[test]
fn failing_calls_lose_nothing_and_recover() {
    let faults = [
        FaultKind::Denied,
        FaultKind::Throttle,
        FaultKind::CutBody,
        FaultKind::Malformed,
        FaultKind::Reset,
        FaultKind::Html,
        FaultKind::Hang,
    ];
    run_concurrently(&faults, |fault| {
        let mut scene = scene();
        start_with_pending(&mut scene, &[shop(), bus()]);
        let reader = scene.reader(&TWO_CLUSTERS);
        scene.aws.add_fault(Fault::always("ecs:DescribeTasks", fault.clone()));
        [shop(), bus()].into_iter().for_each(|task| reach(&scene, task, Status::Running));
        scene.wait_for_message("cannot look at tasks");
        assert_eq!(scene.targets().len(), TWO_CLUSTERS.len());
        scene.aws.clear_faults();
        scene.wait_for_targets(&with(&[SHOP, BUS]));
        reader.stop();
        assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 2, "the watch alone recovered");
        let warned = scene.log().iter().any(|line| text(line, "level") == "WARN");
        assert!(!warned, "the next refresh would tell");
        scene.stop();
    });
}

#[test]
fn response_without_the_pending_tasks_changes_nothing() {
    let mut scene = scene();
    start_with_pending(&mut scene, &[shop(), bus()]);
    let looks = |scene: &Scene| calls(scene).iter().filter(|call| call.operation == "ecs:DescribeTasks").count();
    let before = looks(&scene);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::EmptyObject));
    [shop(), bus()].into_iter().for_each(|task| reach(&scene, task, Status::Running));
    wait_until("there was a look", || looks(&scene) > before);
    scene.aws.clear_faults();
    scene.wait_for_targets(&with(&[SHOP, BUS]));
    assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 2);
    scene.stop();
}

/// A shutdown does not wait for a look that hangs.
#[test]
fn look_that_hangs_does_not_delay_shutdown() {
    let mut scene = scene();
    start_with_pending(&mut scene, &[shop()]);
    let before = scene.aws.calls().get("ecs:DescribeTasks");
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Hang));
    wait_until("a look hangs", || scene.aws.calls().get("ecs:DescribeTasks") > before);
    let start = Instant::now();
    scene.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
