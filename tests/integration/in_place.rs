//! A file that rename cannot replace is written in place; and who may read a file afterwards.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use ecs_discovery::file_sd::{self, Format};
use serde_json::Value;

use crate::fixtures::{fargate, on_fargate};
use crate::harness::{Scene, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.9.9:9102";

const IN_PLACE: &str = "file written in place";
const LOST_ACCESS: &str = "file replaced";

/// A group that the ordinary user joins, and one that it does not.
const JOINED: u32 = 3_000;
const OTHER: u32 = 4_000;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

fn add_second_task(scene: &Scene) {
    scene.add_task("prod", on_fargate("web-9", "web:1", "10.0.9.9"));
}

fn wait_for_file(file: &Path, targets: &[&str]) {
    let wanted: BTreeSet<&str> = targets.iter().copied().collect();
    wait_until(&format!("{} has {wanted:?}", file.display()), || {
        let groups = file_sd::parse(&fs::read(file).unwrap(), Format::Yaml).unwrap_or_default();
        groups.iter().flat_map(|group| &*group.targets).map(|target| &**target).collect::<BTreeSet<_>>() == wanted
    });
}

/// Returns the warnings of files that were written in place.
fn warnings(scene: &mut Scene) -> Vec<Value> {
    scene.log().into_iter().filter(|line| text(line, "message").starts_with(IN_PLACE)).collect()
}

fn can_mount() -> bool {
    let can = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: this machine does not allow mount namespaces");
    }
    can
}

fn is_root(why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can {why}");
    }
    is_root
}

/// Has the program see another file bind-mounted at its output, and returns that file.
fn bind_mounted(scene: &mut Scene, options: &str) -> PathBuf {
    let real = scene.directory().join("on-the-host.yml");
    for file in [&real, scene.file()] {
        fs::write(file, "[]\n").unwrap();
    }
    let (from, to) = (real.display(), scene.file().display());
    let mounts = format!("mount --bind {from} {to} && {options} exec \"$0\" \"$@\"");
    scene.shell(&format!("exec unshare -m sh -c '{mounts}' \"$0\" \"$@\""));
    real
}

#[test]
fn bind_mounted_file_is_written_in_place_with_one_warning() {
    if !can_mount() {
        return;
    }
    let mut scene = small();
    let real = bind_mounted(&mut scene, "");
    let inode = fs::metadata(&real).unwrap().ino();
    scene.start();
    wait_for_file(&real, &[ONE]);
    add_second_task(&scene);
    wait_for_file(&real, &[ONE, TWO]);
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("web-9"));
    wait_for_file(&real, &[ONE]);
    scene.wait_for_refreshes(2);
    assert_eq!(fs::metadata(&real).unwrap().ino(), inode);
    let warnings = warnings(&mut scene);
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(text(warning, "error").contains("busy"), "{warning}");
    assert!(text(warning, "remedy").contains("mount the directory"), "{warning}");
}

/// A read-only root file system with one writable file, as `readonlyRootFilesystem` with a file volume makes it.
#[test]
fn bind_mounted_file_in_a_read_only_directory_is_written_in_place() {
    if !can_mount() {
        return;
    }
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    let real = scene.directory().join("on-the-host.yml");
    for file in [&real, scene.file()] {
        fs::write(file, "[]\n").unwrap();
    }
    let (directory, from, to) = (volume.display(), real.display(), scene.file().display());
    let mounts = format!(
        "mount --bind {directory} {directory} && mount -o remount,ro,bind {directory} && mount --bind {from} {to}"
    );
    scene.shell(&format!("exec unshare -m sh -c '{mounts} && exec \"$0\" \"$@\"' \"$0\" \"$@\""));
    scene.start();
    wait_for_file(&real, &[ONE]);
    scene.wait_for_message(IN_PLACE);
    add_second_task(&scene);
    wait_for_file(&real, &[ONE, TWO]);
}

#[test]
fn writable_file_in_a_foreign_directory_is_written_in_place() {
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file("[]\n");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o555)).unwrap();
    scene.as_unprivileged_user();
    let inode = fs::metadata(scene.file()).unwrap().ino();
    scene.start();
    wait_for_file(scene.file(), &[ONE]);
    add_second_task(&scene);
    wait_for_file(scene.file(), &[ONE, TWO]);
    assert_eq!(fs::metadata(scene.file()).unwrap().ino(), inode);
    let warning = scene.wait_for_message(IN_PLACE);
    assert!(text(&warning, "remedy").contains("make the directory writable"), "{warning}");
}

#[test]
fn foreign_file_in_a_sticky_directory_is_written_in_place() {
    if !is_root("create a file of another user") {
        return;
    }
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file("[]\n");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o1777)).unwrap();
    scene.as_unprivileged_user();
    scene.start();
    wait_for_file(scene.file(), &[ONE]);
    add_second_task(&scene);
    wait_for_file(scene.file(), &[ONE, TWO]);
    assert_eq!(fs::metadata(scene.file()).unwrap().uid(), 0);
    scene.wait_for_message(IN_PLACE);
    assert_eq!(fs::read_dir(&volume).unwrap().count(), 1, "no temporary file stays");
}

/// Nobody but the owner may set any modification time; every writer may set the current one.
#[test]
fn unchanged_foreign_file_is_touched_rather_than_written_again() {
    if !is_root("create a file of another user") {
        return;
    }
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file("[]\n");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o666)).unwrap();
    scene.as_unprivileged_user();
    scene.start();
    wait_for_file(scene.file(), &[ONE]);
    let modified = fs::metadata(scene.file()).unwrap().modified().unwrap();
    wait_until("the time moves", || fs::metadata(scene.file()).unwrap().modified().unwrap() > modified);
    scene.wait_for_refreshes(2);
    let written = scene.log().iter().filter(|line| text(line, "message") == "targets written").count();
    assert_eq!(written, 1);
}

#[test]
fn file_that_can_be_neither_replaced_nor_written_is_an_error() {
    let mut scene = small().write_to("volume/ecs.yml").flag("-config.cache=off");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file("[]\n");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&volume, Permissions::from_mode(0o555)).unwrap();
    scene.as_unprivileged_user();
    scene.start();
    let error = scene.wait_for_message("cannot write targets");
    assert!(text(&error, "error").contains("cannot create a file in"), "{error}");
    assert_eq!(fs::read(scene.file()).unwrap(), b"[]\n");
}

/// A limit on the size of files stands in for a full disk.
#[test]
fn full_disk_keeps_the_content_of_a_file_that_is_written_in_place() {
    if !can_mount() {
        return;
    }
    let mut scene = small().flag("-config.cache=off");
    let real = bind_mounted(&mut scene, "trap \"\" XFSZ; ulimit -f 4;");
    scene.start();
    wait_for_file(&real, &[ONE]);
    scene.aws.change(|world| {
        let tasks = (0..100).map(|n| on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.3.{n}")));
        world.cluster_mut("prod").tasks.extend(tasks);
    });
    let error = scene.wait_for_message("cannot write targets");
    assert!(text(&error, "error").contains("too large"), "{error}");
    wait_for_file(&real, &[ONE]);
}

#[test]
fn replaced_file_keeps_its_owner_and_group_for_root() {
    if !is_root("give a file away") {
        return;
    }
    let mut scene = small();
    scene.write_file("[]\n");
    chown(scene.file(), Some(1_000), Some(OTHER)).unwrap();
    fs::set_permissions(scene.file(), Permissions::from_mode(0o640)).unwrap();
    let inode = fs::metadata(scene.file()).unwrap().ino();
    scene.start_and_wait_for(&[ONE]);
    let file = fs::metadata(scene.file()).unwrap();
    assert_ne!(file.ino(), inode);
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1_000, OTHER, 0o640));
    assert!(scene.log().iter().all(|line| line["level"] != "WARN"));
}

/// Runs the program as an ordinary user in one further group, in a directory of its own with a file of root's.
fn replaced_by_an_ordinary_user(group: u32, mode: u32) -> (fs::Metadata, Vec<Value>) {
    let mut scene = small().write_to("volume/ecs.yml");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file("[]\n");
    chown(scene.file(), Some(0), Some(group)).unwrap();
    fs::set_permissions(scene.file(), Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(scene.directory(), Permissions::from_mode(0o755)).unwrap();
    chown(&volume, Some(1_000), None).unwrap();
    let inode = fs::metadata(scene.file()).unwrap().ino();
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ecs-discovery")).arg(home.path()).status().unwrap();
    assert!(copied.success());
    let program = home.path().join("ecs-discovery");
    scene.shell(&format!("exec setpriv --reuid 1000 --regid 1000 --groups {JOINED} {} \"$@\"", program.display()));
    scene.start();
    wait_for_file(scene.file(), &[ONE]);
    scene.wait_for_refreshes(1);
    let file = fs::metadata(scene.file()).unwrap();
    assert_ne!(file.ino(), inode);
    assert_eq!(file.mode() & 0o7777, mode);
    let is_warning = |line: &Value| text(line, "message").starts_with(LOST_ACCESS);
    let warnings = scene.log().into_iter().filter(is_warning).collect();
    (file, warnings)
}

fn can_set_groups() -> bool {
    let setpriv = ["--reuid", "1000", "--regid", "1000", "--groups", "3000", "true"];
    let can = Command::new("setpriv").args(setpriv).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: setpriv (util-linux) cannot set groups here");
    }
    can
}

#[test]
fn replaced_file_keeps_its_group_for_a_member() {
    if !can_set_groups() {
        return;
    }
    let (file, warnings) = replaced_by_an_ordinary_user(JOINED, 0o640);
    assert_eq!((file.uid(), file.gid()), (1_000, JOINED));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn file_readable_by_all_stays_readable_without_a_warning() {
    if !can_set_groups() {
        return;
    }
    let (file, warnings) = replaced_by_an_ordinary_user(OTHER, 0o644);
    assert_eq!((file.uid(), file.gid()), (1_000, 1_000));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn warns_if_the_group_can_no_longer_read_the_file() {
    if !can_set_groups() {
        return;
    }
    let (file, warnings) = replaced_by_an_ordinary_user(OTHER, 0o640);
    assert_eq!((file.uid(), file.gid()), (1_000, 1_000));
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(text(warning, "previous").contains("gid 4000") && !text(warning, "remedy").is_empty(), "{warning}");
}

/// A link to a directory, a device or a pipe is no file either: opening a pipe would wait for the other end.
#[test]
fn pipes_devices_and_directories_are_errors_and_never_block() {
    let pipe: fn(&Path) = |path| {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let link_to_pipe: fn(&Path) = |path| {
        let made = Command::new("mkfifo").arg(path.with_file_name("pipe")).status();
        assert!(made.unwrap().success());
        std::os::unix::fs::symlink("pipe", path).unwrap();
    };
    let link_to_directory: fn(&Path) = |path| {
        fs::create_dir(path.with_file_name("directory")).unwrap();
        std::os::unix::fs::symlink("directory", path).unwrap();
    };
    let null: fn(&Path) = |path| std::os::unix::fs::symlink("/dev/null", path).unwrap();
    let link_elsewhere: fn(&Path) = |path| std::os::unix::fs::symlink("/tmp", path).unwrap();
    for make in [pipe, link_to_pipe, link_to_directory, null, link_elsewhere] {
        let mut scene = small();
        make(scene.file());
        scene.start();
        let error = scene.wait_for_message("cannot write targets");
        assert!(text(&error, "error").contains("not a regular file"), "{error}");
        scene.wait_for_refreshes(1);
        fs::remove_file(scene.file()).unwrap();
        scene.wait_for_targets(&[ONE]);
    }
}
