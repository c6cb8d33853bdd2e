"""Builds the base image and the Dockerfile with buildah, independently of the machine's configuration."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

from .shell import STATE, TOP, Unusable, output, program_version, unmount

IMAGE = "localhost/ecs-discovery:test"
DIGEST = r"sha256:[0-9a-f]{64}"


@contextlib.contextmanager
def storage():
    """Gives buildah its own image storage; removes containers and mounts at the end."""
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
    """Parses a version for comparisons; 1.95 equals 1.95.0."""
    numbers = [int(number) for number in text.split("-")[0].split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def base_image(pull):
    """Provides the base image under the name that the Dockerfile uses."""
    first = re.search(rf"^FROM (rust:([0-9.]+)-slim-(\w+))@({DIGEST}) AS", (TOP / "Dockerfile").read_text(), re.M)
    if not first:
        raise Unusable("the Dockerfile does not start with FROM rust:VERSION-slim-SUITE@DIGEST AS …")
    name, rust, suite, digest = first.groups()
    required = re.search(r'^rust-version = "([0-9.]+)"', (TOP / "Cargo.toml").read_text(), re.M)[1]
    if version(rust) < version(required):
        raise Unusable(f"the Dockerfile uses Rust {rust}, but Cargo.toml requires {required}")
    if pull:
        print(f"pulling {name}", flush=True)
        pulled = output("buildah", "pull", "--quiet", f"docker://docker.io/library/{name.split(':')[0]}@{digest}")
        output("buildah", "tag", pulled, f"localhost/{name}")
        return
    toolchain = output("rustc", "--version", cwd=TOP)
    if version(toolchain.split()[1]) < version(required):
        raise Unusable(f"Cargo.toml requires Rust {required}, but this machine has {toolchain}")
    print(f"local substitute for {name}: {suite} by debootstrap, {toolchain}, this machine's CA certificates")
    made_of = f"{toolchain}, with its licences"
    label = ("buildah", "inspect", "--type", "image", "--format", '{{index .OCIv1.Config.Labels "made-of"}}')
    with contextlib.suppress(Unusable):
        if output(*label, f"localhost/{name}") == made_of:
            return
    make_base_image(f"localhost/{name}", suite, made_of)


def make_base_image(name, suite, made_of):
    container = output("buildah", "from", "scratch")
    root = output("buildah", "mount", container)
    packages = "--include=ca-certificates,gcc,libc6-dev"
    output("debootstrap", "--variant=minbase", packages, suite, root)
    # If this machine downloads through a proxy with its own CA, the build must trust that CA too.
    output("cp", "-L", "/etc/ssl/certs/ca-certificates.crt", f"{root}/etc/ssl/certs/")
    sysroot = output("rustc", "--print", "sysroot", cwd=TOP)
    output("cp", "-a", f"{sysroot}/bin", f"{sysroot}/lib", f"{root}/usr/local/")
    # Without the rest of the folder, the documentation.
    notice = "share/doc/rust/COPYRIGHT-library.html"
    output("install", "-D", "--mode=644", f"{sysroot}/{notice}", f"{root}/usr/local/{notice}")
    path = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    output("buildah", "config", "--env", path, "--label", f"made-of={made_of}", container)
    output("buildah", "commit", "--quiet", "--rm", container, name)


def build_image():
    """Builds the Dockerfile; prints its steps and logs all output."""
    log = STATE / "build.log"
    print(f"building the image; full output in {log.relative_to(TOP)}", flush=True)
    command = ["buildah", "bud", "--layers", "--pull-never", "--isolation", "chroot", "--network", "host"]
    label = f"org.opencontainers.image.version={program_version()}"
    # The base image is in the local storage under its name only: pulled by this digest, or a substitute without one.
    dockerfile = STATE / "Dockerfile"
    dockerfile.write_text(re.sub(rf"(?m)(^FROM \S+)@{DIGEST}", r"\1", (TOP / "Dockerfile").read_text()))
    command += ["--label", label, "--tag", IMAGE, "--file", str(dockerfile), str(TOP)]
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
        except BaseException:  # on an interrupt too, or the compiler would keep running
            build.terminate()
            raise
    if build.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise Unusable(f"cannot build the image\n{tail}")
    print(f"built in {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def image_root():
    """Mounts the image and yields its root directory."""
    container = output("buildah", "from", "--pull-never", IMAGE)
    try:
        yield Path(output("buildah", "mount", container))
    finally:
        output("buildah", "rm", container)
