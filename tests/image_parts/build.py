"""The base image and the Dockerfile, by buildah, which reads no configuration of the machine's."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

from .shell import STATE, TOP, Unusable, output, program_version, unmount

IMAGE = "localhost/ecs-discovery:test"


@contextlib.contextmanager
def storage():
    """Points buildah at images of our own, and leaves no container and no mount behind."""
    settings = STATE / "storage.conf"
    folders = f'graphroot = "{STATE}/storage"\nrunroot = "{STATE}/run"\n'
    settings.write_text(f'[storage]\ndriver = "overlay"\n{folders}')
    os.environ["CONTAINERS_STORAGE_CONF"] = str(settings)
    try:
        yield
    finally:
        subprocess.run(["buildah", "rm", "--all"], capture_output=True)
        unmount(STATE)


def version(text):
    """1.95 is 1.95.0"""
    numbers = [int(number) for number in text.split("-")[0].split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def base_image(pull):
    """Provides the image that the Dockerfile builds in, under the name it is called there."""
    first = re.search(r"^FROM (rust:([0-9.]+)-slim-(\w+)) AS", (TOP / "Dockerfile").read_text(), re.M)
    if not first:
        raise Unusable("the Dockerfile does not begin FROM rust:VERSION-slim-SUITE AS …")
    name, rust, suite = first.groups()
    wanted = re.search(r'^rust-version = "([0-9.]+)"', (TOP / "Cargo.toml").read_text(), re.M)[1]
    if version(rust) < version(wanted):
        raise Unusable(f"the Dockerfile builds with Rust {rust}, and Cargo.toml wants {wanted}")
    if pull:
        print(f"pulling {name}", flush=True)
        output("buildah", "tag", output("buildah", "pull", "--quiet", f"docker://{name}"), f"localhost/{name}")
        return
    toolchain = output("rustc", "--version", cwd=TOP)
    if version(toolchain.split()[1]) < version(wanted):
        raise Unusable(f"Cargo.toml wants Rust {wanted}, and here is {toolchain}")
    print(f"{name} is a stand-in: {suite} by debootstrap, {toolchain}, the CA certificates of this machine")
    label = ("buildah", "inspect", "--type", "image", "--format", '{{index .OCIv1.Config.Labels "made-of"}}')
    with contextlib.suppress(Unusable):
        if output(*label, f"localhost/{name}") == toolchain:
            return
    make_base_image(f"localhost/{name}", suite, toolchain)


def make_base_image(name, suite, toolchain):
    container = output("buildah", "from", "scratch")
    root = output("buildah", "mount", container)
    packages = "--include=ca-certificates,gcc,libc6-dev"
    output("debootstrap", "--variant=minbase", packages, suite, root)
    # A proxy that this machine trusts must be trusted in there too, or no crate is downloaded.
    output("cp", "-L", "/etc/ssl/certs/ca-certificates.crt", f"{root}/etc/ssl/certs/")
    sysroot = output("rustc", "--print", "sysroot", cwd=TOP)
    output("cp", "-a", f"{sysroot}/bin", f"{sysroot}/lib", f"{root}/usr/local/")
    path = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    output("buildah", "config", "--env", path, "--label", f"made-of={toolchain}", container)
    output("buildah", "commit", "--quiet", "--rm", container, name)


def build_image():
    """Runs the Dockerfile: its steps are shown, everything goes to a log."""
    log = STATE / "build.log"
    print(f"building the image; the whole story is in {log.relative_to(TOP)}", flush=True)
    command = ["buildah", "bud", "--layers", "--pull-never", "--isolation", "chroot", "--network", "host"]
    label = f"org.opencontainers.image.version={program_version()}"
    command += ["--label", label, "--tag", IMAGE, str(TOP)]
    start = time.monotonic()
    with log.open("w") as file, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as build:
        try:
            for line in build.stdout:
                file.write(line)
                file.flush()
                if "STEP" in line:
                    print(f"  {line.rstrip():.100}", flush=True)
        except BaseException:  # interrupted: the compiler would go on
            build.terminate()
            raise
    if build.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise Unusable(f"the image could not be built\n{tail}")
    print(f"built in {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def image_root():
    """The root directory of the image, as its layers made it."""
    container = output("buildah", "from", "--pull-never", IMAGE)
    try:
        yield Path(output("buildah", "mount", container))
    finally:
        output("buildah", "rm", container)
