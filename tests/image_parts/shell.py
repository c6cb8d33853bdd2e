"""Paths, running programs, and waiting."""

import json
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
STATE = TOP / "target" / "image"
WORK = STATE / "work"  # of this run only


class Unusable(Exception):
    """The checks cannot run: the machine lacks something, or a build failed."""


def output(*command, **settings):
    """Runs a program and returns its stdout; raises with its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **settings)
    if done.returncode != 0:
        raise Unusable(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout.strip()


def until(condition, seconds, what):
    """Waits until the condition is true and returns its value."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return result


def unmount(directory):
    """Unmounts everything below the directory, innermost mounts first."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{directory}/"):
            subprocess.run(["umount", mount], capture_output=True)


def cargo_metadata():
    return json.loads(output("cargo", "metadata", "--no-deps", "--format-version=1", cwd=TOP))


def package():
    """Returns the metadata of the package from Cargo.toml."""
    return next(p for p in cargo_metadata()["packages"] if p["name"] == "ecs-discovery")


def program_version():
    return package()["version"]
