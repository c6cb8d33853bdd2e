"""The real binary, in the environment a task would give it."""

import signal
import subprocess
import time
import urllib.error
import urllib.request

from .account import REGION
from .process import Process, bare_environment
from .wait import PATIENCE

# A port of the kernel's choice, which the program then names.
ON_LOOPBACK = "-web.listen-address=127.0.0.1:0"


class Discovery(Process):
    def __init__(self, binary, flags, sd_file, home, endpoint, keys, umask=0o022, **more):
        env = bare_environment(
            home, AWS_ENDPOINT_URL=endpoint, AWS_REGION=REGION, AWS_EC2_METADATA_DISABLED="true",
            AWS_ACCESS_KEY_ID=keys.id, AWS_SECRET_ACCESS_KEY=keys.secret, **more,
        )
        self.sd_file = sd_file
        argv = [binary, f"-config.write-to={sd_file}", *flags]
        super().__init__(argv, home / "ecs-discovery.log", env, umask)

    def web(self, path=""):
        """A URL of its web endpoints, once it listens."""
        return "http://" + self.announces(r"message=listening address=(127\.0\.0\.1:\d+)")[1] + path

    def answer(self, path, **headers):
        """Status, content type and text of one of its web endpoints."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.web(path), headers=headers), timeout=30) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers["Content-Type"], refused.read().decode()

    def exit_code(self, within=PATIENCE):
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within} s") from None

    def sigterm(self):
        """Exit code, and the seconds it took."""
        asked = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        return self.exit_code(), time.monotonic() - asked

    def evidence(self):
        yield "command", " ".join(self.popen.args)
        yield "exit code", str(self.popen.poll())
        yield "output", self.said()
        yield f"file {self.sd_file.name}", self.sd_file.read_text(errors="replace") if self.sd_file.exists() else "(none)"
