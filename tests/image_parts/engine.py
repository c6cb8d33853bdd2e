"""Docker's engine, and containers of the image.

ECS on EC2 uses this engine, and the owner of a new volume depends on the engine: podman, for example,
always gives it to the container's user, so the checks of ownership would always pass.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .build import IMAGE
from .shell import STATE, WORK, output, unmount, until

DATA = STATE / "docker-data"


def unpack():
    """Unpacks the engine from its Debian packages without installing it or starting its service."""
    unpacked = STATE / "docker"
    if not unpacked.exists():
        print("unpacking Docker's engine", flush=True)
        packages, half = STATE / "packages", STATE / "docker.half"
        for directory in (packages, half):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        output("apt-get", "download", "docker.io", "containerd", "runc", cwd=packages)
        for package in packages.iterdir():
            output("dpkg", "-x", str(package), str(half))
        half.rename(unpacked)
    os.environ["PATH"] = f"{unpacked}/usr/bin:{unpacked}/usr/sbin:{os.environ['PATH']}"


@contextlib.contextmanager
def daemon(*command):
    """Runs a background program, with its output in a log."""
    with (STATE / f"{command[0]}.log").open("w") as log:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        program.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(20)
        program.kill()
        program.wait()


@contextlib.contextmanager
def docker_engine():
    """Starts a separate engine and loads the image into it."""
    unpack()
    shutil.rmtree(DATA, ignore_errors=True)
    # Neither the machine's engine settings nor the user's contexts or proxies.
    settings = WORK / "config.json"
    settings.write_text("{}")
    os.environ["DOCKER_CONFIG"] = str(WORK)
    os.environ.pop("DOCKER_CONTEXT", None)
    with contextlib.ExitStack() as stack:
        # A socket path is limited to 107 bytes, which a deeply nested clone could exceed.
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="ecs-image-"))
        stack.callback(unmount, sockets)
        os.environ["DOCKER_HOST"] = f"unix://{sockets}/docker.sock"
        # Its own containerd, because dockerd would otherwise use the machine's.
        containerd = f"{sockets}/containerd.sock"
        stack.enter_context(daemon(
            "containerd", "--config", "/dev/null", "--address", containerd,
            "--root", f"{STATE}/containerd", "--state", f"{sockets}/containerd",
        ))  # fmt: skip
        until(Path(containerd).exists, 20, "the start of containerd")
        stack.enter_context(daemon(
            "dockerd", "--config-file", str(settings), "--host", os.environ["DOCKER_HOST"],
            "--containerd", containerd, "--data-root", str(DATA), "--exec-root", f"{sockets}/exec",
            "--pidfile", f"{sockets}/pid", "--storage-driver", "overlay2",
            "--bridge", "none", "--iptables=false", "--ip6tables=false",
        ))  # fmt: skip
        until(is_ready, 20, "the start of Docker's engine (see target/image/dockerd.log)")
        stack.callback(remove_containers)
        archive = WORK / "image.tar"
        output("buildah", "push", "--quiet", IMAGE, f"docker-archive:{archive}:{IMAGE}")
        output("docker", "load", "--quiet", "--input", str(archive))
        yield


def is_ready():
    return subprocess.run(["docker", "version"], capture_output=True).returncode == 0


def remove_containers():
    for container in output("docker", "ps", "--all", "--quiet").split():
        output("docker", "rm", "--force", container)


def inspect_image():
    return json.loads(output("docker", "image", "inspect", IMAGE))[0]


def volume(name):
    """Creates a volume and returns its directory on the host."""
    output("docker", "volume", "create", name)
    return Path(output("docker", "volume", "inspect", "--format", "{{.Mountpoint}}", name))


class Container:
    """A container of the image, as unprivileged as a task definition allows."""

    def __init__(self, arguments, mounts=(), endpoint="http://127.0.0.1:9", entrypoint=None, user=None):
        environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        command = ["docker", "run", "--detach", "--pull", "never", "--network", "host"]
        command += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        command += [f"--env={name}={value}" for name, value in environment.items()]
        command += [f"--volume={mount}" for mount in mounts]
        command += [f"--entrypoint={entrypoint}"] if entrypoint else []
        command += [f"--user={user}"] if user else []
        self.id = output(*command, IMAGE, *arguments)

    def state(self):
        return json.loads(output("docker", "inspect", "--format", "{{json .State}}", self.id))

    def log(self):
        """Returns the output to stdout and stderr."""
        logs = ["docker", "logs", self.id]
        return subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    def exit_code(self):
        until(lambda: not self.state()["Running"], 90, "the end of the program")
        return self.state()["ExitCode"]

    def terminate(self):
        """Sends SIGTERM to PID 1 and returns the seconds until it has exited."""
        pid = self.state()["Pid"]
        status = Path(f"/proc/{pid}/status").read_text()
        for line in (r"NSpid:.*\t1", r"CapEff:\t0+", r"CapBnd:\t0+", r"NoNewPrivs:\t1"):
            assert re.search(f"^{line}$", status, re.M), f"no line matches {line} in its status:\n{status}"
        start = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists(), 40, "the end after SIGTERM")
        return time.monotonic() - start
