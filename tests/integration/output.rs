//! The file: whole at any time, its mode, its times, its place; and what happens where it cannot be written.

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
use crate::harness::{Reader, Scene, text, until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.9.9:9102";

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

fn another_task(scene: &Scene) {
    scene.comes_up("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().mode() & 0o7777
}

/// Many groups: a write takes more than one page, so that a reader could see a part of it.
fn groups(generation: usize) -> Vec<u8> {
    let group = |n: usize| TargetGroup {
        targets: vec![format!("10.0.0.{n}:9102").into()],
        labels: [("task_arn", format!("task-{n}")), ("generation", generation.to_string())].into_iter().collect(),
    };
    let groups: Vec<_> = (0..100 + generation % 7).map(group).collect();
    render(&groups, Format::Yaml)
}

#[test]
fn a_reader_of_a_thousand_replacements_sees_whole_files_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ecs.yml");
    let writer = FileWriter::new(&file);
    writer.write(&|out| out.write_all(&groups(0)), IfUnchanged::Touch).unwrap();
    let reader = Reader::start(&file, &["10.0.0.0:9102", "10.0.0.99:9102"]);
    let generations: Vec<_> = (1..=8).map(groups).collect();
    for bytes in generations.iter().cycle().take(1000) {
        assert_eq!(writer.write(&|out| out.write_all(bytes), IfUnchanged::Touch).unwrap(), Written::Replaced);
    }
    until("it has read often", || reader.readings() > 200);
    reader.stop();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_file_on_its_way_has_a_name_that_prometheus_does_not_take() {
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
            until("a temporary file is seen", || {
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
fn an_unchanged_file_keeps_its_inode_and_its_time_moves_on_success_only() {
    let mut scene = small();
    scene.start_with(&[ONE]);
    let inode = fs::metadata(scene.file()).unwrap().ino();
    let modified = |scene: &Scene| fs::metadata(scene.file()).unwrap().modified().unwrap();
    let first = modified(&scene);
    until("the time moves", || modified(&scene) > first);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied));
    scene.after_refreshes(1);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(scene.file()).unwrap().set_modified(long_ago).unwrap();
    scene.after_refreshes(3);
    assert_eq!(modified(&scene), long_ago);
    scene.aws.clear_faults();
    until("the time moves again", || modified(&scene) > first);
    assert_eq!(fs::metadata(scene.file()).unwrap().ino(), inode);
    scene.stop();
}

#[test]
fn a_new_file_has_mode_0644_within_the_umask() {
    for (umask, expected) in [("umask 022", 0o644), ("umask 027", 0o640), ("umask 077", 0o600), ("umask 0", 0o644)] {
        let mut scene = small().flag("-config.scrape-times=1");
        scene.shell(umask);
        assert_eq!(scene.run().code, Some(0));
        assert_eq!(mode(scene.file()), expected, "{umask}");
    }
}

#[test]
fn a_replaced_file_keeps_its_mode() {
    for kept in [0o600, 0o664, 0o644, 0o640] {
        let mut scene = small().flag("-config.scrape-times=1");
        scene.shell("umask 077");
        scene.file_holds("[]\n");
        fs::set_permissions(scene.file(), Permissions::from_mode(kept)).unwrap();
        assert_eq!(scene.run().code, Some(0));
        scene.until_targets(&[ONE]);
        assert_eq!(mode(scene.file()), kept, "{kept:o}");
    }
}

#[test]
fn a_symbolic_link_is_followed_and_stays() {
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
        scene.start_with(&[ONE]);
        another_task(&scene);
        scene.until_targets(&[ONE, TWO]);
        assert_eq!(fs::read_link(scene.file()).unwrap(), link);
        assert!(fs::symlink_metadata(&target).unwrap().is_file());
        assert_eq!(fs::read_dir(&real).unwrap().count(), 1);
    }
}

#[test]
fn a_link_that_leads_in_a_circle_is_an_error_that_names_it() {
    let mut scene = small();
    symlink(scene.file(), scene.file()).unwrap();
    scene.start();
    let error = scene.until_message("cannot write targets");
    assert!(text(&error, "error").contains("ecs_file_sd.yml"), "{error}");
    scene.after_refreshes(1);
}

#[test]
fn a_missing_directory_is_an_error_until_it_is_there() {
    let mut scene = small().writing("volume/ecs.yml");
    scene.start();
    let error = scene.until_message("cannot write targets");
    assert!(text(&error, "error").contains("volume") && text(&error, "error").contains("does not exist"), "{error}");
    fs::create_dir(scene.directory().join("volume")).unwrap();
    scene.until_targets(&[ONE]);
}

#[test]
fn a_directory_that_may_not_be_written_says_whose_it_is_and_what_to_do() {
    let mut scene = small().writing("volume/ecs.yml");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o555)).unwrap();
    let (user, owner) = (scene.as_ordinary_user(), fs::metadata(&volume).unwrap().uid());
    scene.start();
    let line = scene.until_message("cannot write targets");
    let error = text(&line, "error");
    for part in [&*format!("belongs to uid {owner}"), &*format!("runs as uid {user}"), "/output", r#""user": "0""#] {
        assert!(error.contains(part), "{part}: {error}");
    }
    fs::set_permissions(&volume, Permissions::from_mode(0o777)).unwrap();
    scene.until_targets(&[ONE]);
}

/// A limit on the size of files stands in for a full disk, which takes a mount to make: in both a write
/// fails half way (`EFBIG`, `ENOSPC`).
#[test]
fn a_write_that_fails_half_way_leaves_the_old_file_and_no_litter() {
    let mut scene = small();
    scene.shell("trap '' XFSZ; ulimit -f 4");
    scene.start_with(&[ONE]);
    let reader = scene.reader(&[ONE]);
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.tasks.extend((0..100).map(|n| on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.3.{n}"))));
    });
    let error = scene.until_message("cannot write targets");
    assert!(
        text(&error, "error").contains("ecs_file_sd.yml") && text(&error, "error").contains("too large"),
        "{error}"
    );
    scene.after_refreshes(2);
    scene.until_targets(&[ONE]);
    scene.assert_no_litter();
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.tasks.truncate(1);
        prod.add_task(on_fargate("web-9", "web:1", "10.0.9.9"));
    });
    scene.until_targets(&[ONE, TWO]);
    reader.stop();
    scene.stop();
}

/// What a refresh could not write is new when a later one writes it.
#[test]
fn targets_that_could_not_be_written_are_still_new_when_they_are() {
    let mut scene = small().writing("volume/ecs.yml");
    scene.start();
    scene.until_message("cannot write targets");
    scene.after_refreshes(1);
    fs::create_dir(scene.directory().join("volume")).unwrap();
    let line = scene.until_message("targets written");
    assert_eq!((line["targets"].as_u64(), line["added"].as_u64()), (Some(1), Some(1)), "{line}");
}

/// The kernel kills a program that writes beyond its limit, in the middle of the write: the temporary file
/// that this leaves behind is a real one.
#[test]
fn what_a_killed_predecessor_left_is_removed_at_the_start() {
    const XFSZ: i32 = 25;
    let scene = Scene::of(fargate(100)).flag("-config.cluster=prod").flag("-config.scrape-times=1");
    let mut scene = scene.flag("-config.cache=off");
    scene.file_holds("[]\n");
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

/// A world that does not change is not rendered again; that must not hide what others do to the file.
#[test]
fn what_others_do_to_the_file_is_put_right() {
    let mut scene = small();
    scene.start_with(&[ONE]);
    scene.after_refreshes(2);
    let ours = scene.bytes().unwrap();
    let put_right = |scene: &Scene, what: &str| until(what, || scene.bytes().as_ref() == Some(&ours));
    let same_size = vec![b'x'; ours.len()];
    fs::write(scene.file(), same_size).unwrap();
    put_right(&scene, "what was written into it is gone");
    scene.after_refreshes(2);
    fs::remove_file(scene.file()).unwrap();
    put_right(&scene, "it is there again");
    scene.after_refreshes(2);
    let other = scene.directory().join("other");
    fs::write(&other, "[]\n").unwrap();
    fs::rename(&other, scene.file()).unwrap();
    put_right(&scene, "another file in its place is replaced");
    scene.stop();
}

#[test]
fn the_default_file_is_in_the_working_directory() {
    let mut scene = small().flag("-config.write-to=ecs_file_sd.yml").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    scene.until_targets(&[ONE]);
    scene.assert_no_litter();
}

#[test]
fn a_name_that_ends_in_json_gets_json() {
    let mut scene = small().writing("ecs.json").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    let json: serde_json::Value = serde_json::from_slice(&scene.bytes().unwrap()).unwrap();
    assert_eq!((&json[0]["targets"][0], &json[0]["labels"]["task_name"]), (&ONE.into(), &"web".into()));
}
