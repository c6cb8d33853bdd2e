//! The output file: always complete; its mode, modification time and path; and errors of writing it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use ecs_discovery::file_sd::{Format, TargetGroup, render};
use ecs_discovery::writer::{FileWriter, IfUnchanged, Written};
use simaws::{Fault, FaultKind};

use crate::fixtures::{fargate, on_fargate};
use crate::harness::{Reader, Scene, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.9.9:9102";

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

fn add_second_task(scene: &Scene) {
    scene.add_task("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().mode() & 0o7777
}

/// Returns a file of several pages, so that a reader could see an incomplete write.
fn groups(generation: usize) -> Vec<u8> {
    let group = |n: usize| TargetGroup {
        targets: [format!("10.0.0.{n}:9102").into()].into(),
        labels: [("task_arn", format!("task-{n}")), ("generation", generation.to_string())].into_iter().collect(),
    };
    let groups: Vec<_> = (0..100 + generation % 7).map(group).collect();
    render(&groups, Format::Yaml)
}

#[test]
fn concurrent_reader_sees_only_complete_files() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ecs.yml");
    let writer = FileWriter::new(&file);
    writer.write(&|out| out.write_all(&groups(0)), IfUnchanged::Touch).unwrap();
    let reader = Reader::start(&file, &["10.0.0.0:9102", "10.0.0.99:9102"]);
    let generations: Vec<_> = (1..=8).map(groups).collect();
    for bytes in generations.iter().cycle().take(1000) {
        assert_eq!(writer.write(&|out| out.write_all(bytes), IfUnchanged::Touch).unwrap(), Written::Replaced(None));
    }
    wait_until("many reads", || reader.reads() > 200);
    reader.stop();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn prometheus_does_not_load_temporary_files() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["ecs.yml", "ecs.yaml", "ecs.json"] {
        let (file, seen) = (directory.path().join(name), AtomicBool::new(false));
        let others = || -> BTreeSet<String> {
            let entries = fs::read_dir(directory.path()).unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().into_string().unwrap());
            names.filter(|other| !["ecs.yml", "ecs.yaml", "ecs.json"].contains(&other.as_str())).collect()
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let (writer, mut generation) = (FileWriter::new(&file), 0);
                while !seen.load(Ordering::Relaxed) {
                    generation += 1;
                    let bytes = groups(generation);
                    writer.write(&|out| out.write_all(&bytes), IfUnchanged::Touch).unwrap();
                }
            });
            let mut names = BTreeSet::new();
            wait_until("a temporary file appears", || {
                names = others();
                !names.is_empty()
            });
            seen.store(true, Ordering::Relaxed);
            let taken = |name: &String| [".yml", ".yaml", ".json"].iter().any(|end| name.ends_with(end));
            assert!(!names.iter().any(taken), "{names:?}");
        });
        assert_eq!(others(), BTreeSet::new());
    }
}

#[test]
fn unchanged_file_keeps_its_inode_and_success_updates_its_modification_time() {
    let mut scene = small();
    scene.start_and_wait_for(&[ONE]);
    let inode = fs::metadata(scene.file()).unwrap().ino();
    let modified = |scene: &Scene| fs::metadata(scene.file()).unwrap().modified().unwrap();
    let first = modified(&scene);
    wait_until("the modification time changes", || modified(&scene) > first);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied));
    scene.wait_for_refreshes(1);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(scene.file()).unwrap().set_modified(long_ago).unwrap();
    scene.wait_for_refreshes(3);
    assert_eq!(modified(&scene), long_ago);
    scene.aws.clear_faults();
    wait_until("the modification time changes again", || modified(&scene) > first);
    assert_eq!(fs::metadata(scene.file()).unwrap().ino(), inode);
    scene.stop();
}

#[test]
fn new_file_has_mode_0644_minus_the_umask() {
    for (umask, expected) in [("umask 022", 0o644), ("umask 027", 0o640), ("umask 077", 0o600), ("umask 0", 0o644)] {
        let mut scene = small().flag("-config.scrape-times=1");
        scene.shell(umask);
        assert_eq!(scene.run().code, Some(0));
        assert_eq!(mode(scene.file()), expected, "{umask}");
    }
}

#[test]
fn replaced_file_keeps_its_mode() {
    for kept in [0o600, 0o664, 0o644, 0o640] {
        let mut scene = small().flag("-config.scrape-times=1");
        scene.shell("umask 077");
        scene.write_file("[]\n");
        fs::set_permissions(scene.file(), Permissions::from_mode(kept)).unwrap();
        assert_eq!(scene.run().code, Some(0));
        scene.wait_for_targets(&[ONE]);
        assert_eq!(mode(scene.file()), kept, "{kept:o}");
    }
}

#[test]
fn symbolic_link_is_followed_and_kept() {
    for (link, there) in
        [("real/targets.yml", true), ("real/targets.yml", false), ("ABSOLUTE", false), ("hop.yml", true)]
    {
        let mut scene = small();
        let real = scene.directory().join("real");
        fs::create_dir(&real).unwrap();
        symlink("real/targets.yml", scene.directory().join("hop.yml")).unwrap();
        let target = real.join("targets.yml");
        if there {
            fs::write(&target, "[]\n").unwrap();
        }
        let link = if link == "ABSOLUTE" { target.clone() } else { link.into() };
        symlink(&link, scene.file()).unwrap();
        scene.start_and_wait_for(&[ONE]);
        add_second_task(&scene);
        scene.wait_for_targets(&[ONE, TWO]);
        assert_eq!(fs::read_link(scene.file()).unwrap(), link);
        assert!(fs::symlink_metadata(&target).unwrap().is_file());
        assert_eq!(fs::read_dir(&real).unwrap().count(), 1);
    }
}

#[test]
fn symbolic_link_cycle_is_reported_with_its_path() {
    let mut scene = small();
    symlink(scene.file(), scene.file()).unwrap();
    scene.start();
    let error = scene.wait_for_message("cannot write targets");
    assert!(text(&error, "error").contains("ecs_file_sd.yml"), "{error}");
    scene.wait_for_refreshes(1);
}

#[test]
fn missing_directory_is_an_error_until_it_exists() {
    let mut scene = small().write_to("volume/ecs.yml");
    scene.start();
    let error = scene.wait_for_message("cannot write targets");
    assert!(text(&error, "error").contains("volume") && text(&error, "error").contains("does not exist"), "{error}");
    fs::create_dir(scene.directory().join("volume")).unwrap();
    scene.wait_for_targets(&[ONE]);
}

#[test]
fn error_of_an_unwritable_directory_names_its_owner_and_a_fix() {
    let mut scene = small().write_to("volume/ecs.yml");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o555)).unwrap();
    let (user, owner) = (scene.as_unprivileged_user(), fs::metadata(&volume).unwrap().uid());
    scene.start();
    let line = scene.wait_for_message("cannot write targets");
    let error = text(&line, "error");
    for part in [&*format!("belongs to uid {owner}"), &*format!("runs as uid {user}"), "/output", r#""user": "0""#] {
        assert!(error.contains(part), "{part}: {error}");
    }
    fs::set_permissions(&volume, Permissions::from_mode(0o777)).unwrap();
    scene.wait_for_targets(&[ONE]);
}

/// A file size limit instead of a full disk, which would need a mount: with both, a write fails half way (`EFBIG`,
/// `ENOSPC`).
#[test]
fn partial_write_keeps_the_old_file_and_leaves_no_temporary_file() {
    let mut scene = small();
    scene.shell("trap '' XFSZ; ulimit -f 4");
    scene.start_and_wait_for(&[ONE]);
    let reader = scene.reader(&[ONE]);
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.tasks.extend((0..100).map(|n| on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.3.{n}"))));
    });
    let error = scene.wait_for_message("cannot write targets");
    assert!(
        text(&error, "error").contains("ecs_file_sd.yml") && text(&error, "error").contains("too large"),
        "{error}"
    );
    scene.wait_for_refreshes(2);
    scene.wait_for_targets(&[ONE]);
    scene.assert_no_temporary_files();
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.tasks.truncate(1);
        prod.add_task(on_fargate("web-9", "web:1", "10.0.9.9"));
    });
    scene.wait_for_targets(&[ONE, TWO]);
    reader.stop();
    scene.stop();
}

#[test]
fn unwritten_targets_count_as_added_when_they_are_written() {
    let mut scene = small().write_to("volume/ecs.yml");
    scene.start();
    scene.wait_for_message("cannot write targets");
    scene.wait_for_refreshes(1);
    fs::create_dir(scene.directory().join("volume")).unwrap();
    let line = scene.wait_for_message("targets written");
    assert_eq!((line["targets"].as_u64(), line["added"].as_u64()), (Some(1), Some(1)), "{line}");
}

/// The kernel kills the program in the middle of a write beyond the file size limit, which leaves a real temporary
/// file.
#[test]
fn start_removes_temporary_files_of_a_killed_process() {
    const XFSZ: i32 = 25;
    let scene = Scene::of(fargate(100)).flag("-config.cluster=prod").flag("-config.scrape-times=1");
    let mut scene = scene.flag("-config.cache=off");
    scene.write_file("[]\n");
    scene.shell("ulimit -c 0; ulimit -f 4");
    assert_eq!(scene.run().signal, Some(XFSZ));
    let names = || -> BTreeSet<String> {
        let entries = fs::read_dir(scene.directory()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let left = names();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|name| name == "ecs_file_sd.yml" || !name.ends_with("ml") && !name.ends_with("json")));
    let others = [".other.yml.AbCdEf.tmp", ".ecs_file_sd.yml.swp", "notes.tmp"];
    others.iter().for_each(|name| fs::write(scene.directory().join(name), "").unwrap());
    scene.shell("");
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    assert_eq!(scene.run().code, Some(1));
    let expected: BTreeSet<String> = others.iter().chain(&["ecs_file_sd.yml"]).map(|&name| name.into()).collect();
    let entries = fs::read_dir(scene.directory()).unwrap();
    let now: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(now, expected);
}

/// An unchanged snapshot is not rendered again; that must not hide changes to the file by others.
#[test]
fn changes_to_the_file_by_others_are_reverted() {
    let mut scene = small();
    scene.start_and_wait_for(&[ONE]);
    scene.wait_for_refreshes(2);
    let ours = scene.bytes().unwrap();
    let reverted = |scene: &Scene, what: &str| wait_until(what, || scene.bytes().as_ref() == Some(&ours));
    let same_size = vec![b'x'; ours.len()];
    fs::write(scene.file(), same_size).unwrap();
    reverted(&scene, "overwritten content is restored");
    scene.wait_for_refreshes(2);
    fs::remove_file(scene.file()).unwrap();
    reverted(&scene, "a removed file is restored");
    scene.wait_for_refreshes(2);
    let other = scene.directory().join("other");
    fs::write(&other, "[]\n").unwrap();
    fs::rename(&other, scene.file()).unwrap();
    reverted(&scene, "a foreign file at its path is replaced");
    scene.stop();
}

#[test]
fn relative_path_is_in_the_working_directory() {
    let mut scene = small().flag("-config.write-to=ecs_file_sd.yml").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&[ONE]);
    scene.assert_no_temporary_files();
}

#[test]
fn json_extension_selects_json() {
    let mut scene = small().write_to("ecs.json").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    let json: serde_json::Value = serde_json::from_slice(&scene.bytes().unwrap()).unwrap();
    assert_eq!((&json[0]["targets"][0], &json[0]["labels"]["task_name"]), (&ONE.into(), &"web".into()));
}
