"""A program of our own, with its output in a file; ended by its own pid and no other."""

import os
import re
import subprocess

from .wait import until


def bare_environment(home, **more):
    """No AWS_*, proxy or certificate settings of whoever runs the tests reach a program under test."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


def forget_settings():
    """No AWS_* or proxy settings of whoever runs the tests lead boto3 and urllib, which run in them, elsewhere."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class Process:
    def __init__(self, argv, log, env, umask=0o022):
        self.log = log
        with log.open("wb") as sink:
            self.popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, umask=umask,
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def announces(self, pattern):
        """The match, once the program has printed it."""
        def printed():
            found = re.search(pattern, self.said())
            if not found and not self.is_running():
                raise RuntimeError(f"{self.popen.args[0]} ended early:\n{self.said()}")
            return found

        return until(f"{self.popen.args[0]} says {pattern}", printed)

    def stop(self):
        if self.is_running():
            self.popen.terminate()
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()
