//! An attacker who can write to the directory of the output.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use simaws::{Fault, FaultKind};

use crate::fixtures::{exporter, fargate, on_fargate};
use crate::harness::{Scene, Signal, run_concurrently, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.9.9:9102";
const PLANTED: &str = "6.6.6.6:6666";

/// More than any file has.
const HUGE: u64 = 1 << 40;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Returns a group with a target that AWS does not name.
fn planted(account: &str, cluster: &str) -> String {
    let arn = format!("arn:aws:ecs:us-east-1:{account}");
    format!(
        "- targets:\n  - {PLANTED}\n  labels:\n    task_arn: {arn}:task/{cluster}/planted\n    \
         cluster_arn: {arn}:cluster/{cluster}\n    container_name: app\n"
    )
}

/// A file outside of the directory of the output, which must not change.
struct Victim {
    directory: tempfile::TempDir,
    content: String,
}

impl Victim {
    /// Returns one that the program would take for its own.
    fn new() -> Self {
        let victim = Self { directory: tempfile::tempdir().unwrap(), content: planted("123456789012", "prod") };
        fs::set_permissions(victim.directory.path(), Permissions::from_mode(0o777)).unwrap();
        fs::write(victim.path(), &victim.content).unwrap();
        fs::set_permissions(victim.path(), Permissions::from_mode(0o666)).unwrap();
        victim
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ecs_file_sd.yml")
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read_to_string(self.path()).unwrap(), self.content);
        let names: Vec<_> = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names, [self.path()]);
    }
}

#[test]
fn planted_targets_go_with_the_first_complete_refresh() {
    let places = [("123456789012", "prod"), ("123456789012", "elsewhere"), ("666666666666", "prod"), ("", "")];
    run_concurrently(&places, |(account, cluster)| {
        let mut scene = small().flag("-config.scrape-times=1");
        scene.write_file(planted(account, cluster));
        assert_eq!(scene.run().code, Some(0));
        scene.wait_for_targets(&[ONE]);
    });
}

/// Otherwise a restart in an outage would lose targets. Of a cluster that is read, and of one that is not scanned, nothing
/// stays.
#[test]
fn planted_targets_of_a_failing_cluster_stay_only_until_it_can_be_read() {
    let mut scene = small();
    scene.write_file(planted("123456789012", "prod") + &planted("123456789012", "elsewhere"));
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).times(3));
    scene.start();
    wait_until("only that of the cluster is left", || scene.groups().len() == 1);
    scene.wait_for_targets(&[ONE]);
    scene.stop();
}

#[test]
fn planted_targets_are_removed_during_an_outage_too() {
    let mut scene = small();
    scene.start_and_wait_for(&[ONE]);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    for _ in 0..3 {
        scene.write_file(planted("123456789012", "prod"));
        scene.wait_for_targets(&[ONE]);
        scene.wait_for_refreshes(1);
    }
    scene.stop();
}

/// Returns links from the output to a file outside of its directory.
fn links_out(scene: &Scene, victim: &Victim) -> Vec<PathBuf> {
    let (directory, outside) = (scene.directory(), victim.directory.path());
    symlink(outside, directory.join("through")).unwrap();
    symlink(victim.path(), directory.join("hop.yml")).unwrap();
    let up: PathBuf = directory.components().skip(1).map(|_| "..").collect();
    let relative = up.join(victim.path().strip_prefix("/").unwrap());
    vec![
        victim.path(),
        relative,
        "through/ecs_file_sd.yml".into(),
        "hop.yml".into(),
        outside.join("new.yml"),
        "/proc/self/environ".into(),
    ]
}

#[test]
fn link_that_leads_out_of_the_directory_is_neither_read_nor_written() {
    let victim = Victim::new();
    let mut scene = small().env("PLANTED_SECRET", "canary-of-the-environment");
    // A link to another link in the directory stays, and the other one is replaced.
    let leads_out = |scene: &Scene| {
        !fs::canonicalize(scene.file()).is_ok_and(|file| file.starts_with(scene.directory().canonicalize().unwrap()))
    };
    for link in links_out(&scene, &victim) {
        let _ = fs::remove_file(scene.file());
        symlink(&link, scene.file()).unwrap();
        let server = scene.serve();
        // At the start, and in the middle of a run.
        wait_until("the link is replaced", || !leads_out(&scene));
        scene.wait_for_targets(&[ONE]);
        fs::remove_file(scene.file()).unwrap();
        symlink(&link, scene.file()).unwrap();
        wait_until("the link is replaced again", || !leads_out(&scene));
        scene.wait_for_targets(&[ONE]);
        let served = server.get("/targets").body;
        assert!(served.contains(ONE) && !served.contains(PLANTED), "{served}");
        let exited = scene.send(Signal::TERM);
        assert_eq!(exited.code, Some(0));
        assert!(!exited.stderr.contains("canary"), "{}", exited.stderr);
        victim.assert_untouched();
    }
}

#[test]
fn hard_link_is_replaced_and_its_file_is_not_written() {
    let (victim, of_the_cache) = (Victim::new(), Victim::new());
    let mut scene = small();
    fs::hard_link(victim.path(), scene.file()).unwrap();
    fs::hard_link(of_the_cache.path(), scene.cache()).unwrap();
    scene.start_and_wait_for(&[ONE]);
    wait_until("the cache is written", || fs::metadata(scene.cache()).unwrap().nlink() == 1);
    scene.stop();
    for victim in [victim, of_the_cache] {
        assert_eq!(fs::metadata(victim.path()).unwrap().nlink(), 1);
        victim.assert_untouched();
    }
}

/// Where the program cannot replace a file, it writes it in place.
#[test]
fn hard_link_that_cannot_be_replaced_is_not_written() {
    let victim = Victim::new();
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::hard_link(victim.path(), scene.file()).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o555)).unwrap();
    scene.as_unprivileged_user();
    scene.start();
    scene.wait_for_message("cannot write targets");
    scene.wait_for_refreshes(2);
    victim.assert_untouched();
    fs::remove_file(scene.file()).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o777)).unwrap();
    scene.wait_for_targets(&[ONE]);
}

/// Exchanges two names at once, so that a file is always there.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn directory_that_is_replaced_by_a_link_is_not_written() {
    let victim = Victim::new();
    let mut scene = small().write_to("volume/ecs_file_sd.yml");
    let (volume, decoy) = (scene.directory().join("volume"), scene.directory().join("decoy"));
    fs::create_dir(&volume).unwrap();
    symlink(victim.directory.path(), &decoy).unwrap();
    scene.start_and_wait_for(&[ONE]);
    exchange(&volume, &decoy);
    let line = scene.wait_for_message("cannot write targets");
    assert!(text(&line, "error").contains("its directory was replaced"), "{line}");
    scene.wait_for_refreshes(2);
    victim.assert_untouched();
    exchange(&volume, &decoy);
    scene.wait_for_message("targets unchanged");
    // At any moment, also between the check and the write.
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&volume, &decoy);
                thread::park_timeout(Duration::from_micros(200));
                exchange(&volume, &decoy);
            }
        });
        for n in 0..10 {
            scene.add_task("prod", on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.1.{n}")));
            let listings = scene.aws.calls().get("ecs:ListTasks");
            wait_until("more refreshes", || scene.aws.calls().get("ecs:ListTasks") > listings + 2);
        }
        stop.store(true, Ordering::Relaxed);
    });
    victim.assert_untouched();
    wait_until("all targets are written", || scene.targets().len() == 11);
    let exited = scene.send(Signal::TERM);
    assert_eq!(exited.code, Some(0));
}

/// Puts one thing after the other in the place of a file, until `stop` is set.
fn replace_repeatedly(path: &Path, victim: &Path, stop: &AtomicBool) {
    let (garbage, group) = (b"{[\0".to_vec(), planted("123456789012", "prod"));
    let planted = path.with_extension("planted");
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match n % 5 {
            0 => drop(fs::write(&planted, &garbage)),
            1 => drop(symlink(victim, &planted)),
            2 => drop(fs::hard_link(victim, &planted)),
            3 => drop(File::create(&planted).and_then(|file| file.set_len(HUGE))),
            _ => drop(fs::write(&planted, &group)),
        }
        drop(fs::rename(&planted, path));
        drop(fs::remove_file(&planted));
        // Leaves processor time to the program.
        thread::park_timeout(Duration::from_micros(200));
    }
}

#[test]
fn files_that_change_during_every_write_do_no_harm() {
    let victim = Victim::new();
    let mut scene = small();
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    let stop = AtomicBool::new(false);
    let (file, cache) = (scene.file().to_owned(), scene.cache());
    thread::scope(|threads| {
        for path in [&file, &cache] {
            threads.spawn(|| replace_repeatedly(path, &victim.path(), &stop));
        }
        for n in 0..5 {
            let (id, address) = (format!("more-{n}"), format!("10.0.1.{n}"));
            // A new definition changes the cache.
            scene.aws.change(|world| {
                world.task_definitions.push(exporter("web", n + 2, "awsvpc"));
                world.cluster_mut("prod").add_task(on_fargate(&id, &format!("web:{}", n + 2), &address));
            });
            wait_until("the target is served", || server.get("/targets").body.contains(&format!("{address}:9102")));
            assert!(!server.get("/targets").body.contains(PLANTED));
        }
        stop.store(true, Ordering::Relaxed);
    });
    wait_until("the file has all targets", || {
        fs::symlink_metadata(&file).is_ok_and(|file| !file.is_symlink() && file.len() < HUGE)
            && fs::read_to_string(&file).is_ok_and(|file| file.matches(":9102").count() == 6)
    });
    victim.assert_untouched();
    let exited = scene.send(Signal::TERM);
    assert_eq!(exited.code, Some(0));
}

#[test]
fn file_and_cache_that_grow_without_end_are_replaced() {
    let mut scene = small();
    scene.start_and_wait_for(&[ONE]);
    wait_until("the cache is written", || scene.cache().exists());
    for path in [scene.file().to_owned(), scene.cache()] {
        // What it has is right; what follows is not.
        File::options().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
        wait_until("it is replaced", || fs::metadata(&path).unwrap().len() < HUGE);
    }
    scene.add_task("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
    scene.wait_for_targets(&[ONE, TWO]);
    scene.stop();
}

#[test]
fn temporary_file_that_is_a_link_is_removed_and_not_followed() {
    let victim = Victim::new();
    let mut scene = small().flag("-config.scrape-times=1");
    let links = [".ecs_file_sd.yml.AbCdEf.tmp", "..ecs_file_sd.yml.cache.AbCdEf.tmp"];
    links.iter().for_each(|name| symlink(victim.path(), scene.directory().join(name)).unwrap());
    assert_eq!(scene.run().code, Some(0));
    scene.assert_no_temporary_files();
    victim.assert_untouched();
}

/// Nothing of the mode of a planted file is passed on but who may read and write.
#[test]
fn planted_file_passes_on_no_special_mode() {
    let mut scene = small().flag("-config.scrape-times=1");
    scene.write_file(planted("123456789012", "prod"));
    fs::set_permissions(scene.file(), Permissions::from_mode(0o6755)).unwrap();
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(fs::metadata(scene.file()).unwrap().mode() & 0o7777, 0o755);
}
