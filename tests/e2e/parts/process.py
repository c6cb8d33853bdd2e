"""A child process with its output in a file."""

import itertools
import os
import re
import socket
import subprocess

from .wait import until


def clean_environment(home, **more):
    """Returns an environment without the user's AWS_*, proxy and certificate settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


def clear_settings():
    """Removes the user's AWS_* and proxy settings from this process, where boto3 and urllib would use them."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


# Below the ports that the kernel gives to connections, which could take one before the listener starts. pytest-xdist
# calls its workers gw0, gw1, …; each has ports of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(20_000 + 200 * _WORKER, 20_000 + 200 * (_WORKER + 1)))


def free_address():
    """Returns an unused address, for a listener whose address must be known before it starts."""
    for port in _PORTS:
        with socket.socket() as probe:
            # As listeners do, so that a port that was in use a minute ago counts as unused.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"


class Process:
    def __init__(self, argv, log_file, env, umask=0o022):
        self.log_file = log_file
        with log_file.open("wb") as sink:
            self.popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, umask=umask,
            )

    def log(self):
        return self.log_file.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait_for_log(self, pattern):
        """Waits until the output matches the pattern and returns the match."""
        def printed():
            found = re.search(pattern, self.log())
            if not found and not self.is_running():
                raise RuntimeError(f"{self.popen.args[0]} exited early:\n{self.log()}")
            return found

        return until(f"{self.popen.args[0]} logs {pattern}", printed)

    def stop(self):
        """Stops the process if it is running; returns its exit code."""
        if self.is_running():
            self.popen.terminate()
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()
