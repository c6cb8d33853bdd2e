"""The real program, with an environment like that of an ECS task."""

import signal
import subprocess
import time
import urllib.error
import urllib.request

from .account import REGION
from .process import Process, clean_environment
from .wait import TIMEOUT

# A free port, chosen by the kernel and logged by the program.
ON_LOOPBACK = "-web.listen-address=127.0.0.1:0"


class Discovery(Process):
    def __init__(self, binary, flags, sd_file, home, endpoint, keys, umask=0o022, **more):
        env = clean_environment(
            home, AWS_ENDPOINT_URL=endpoint, AWS_REGION=REGION, AWS_EC2_METADATA_DISABLED="true",
            AWS_ACCESS_KEY_ID=keys.id, AWS_SECRET_ACCESS_KEY=keys.secret, **more,
        )
        self.sd_file = sd_file
        argv = [binary, f"-config.write-to={sd_file}", *flags]
        super().__init__(argv, home / "ecs-discovery.log", env, umask)

    def web(self, path=""):
        """Waits until the program listens; returns the URL of a web endpoint."""
        return "http://" + self.wait_for_log(r"message=listening address=(127\.0\.0\.1:\d+)")[1] + path

    def get(self, path, **headers):
        """Requests a web endpoint; returns status, content type and body."""
        try:
            request = urllib.request.Request(self.web(path), headers=headers)
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    def exit_code(self, within=TIMEOUT):
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within} s") from None

    def sigterm(self):
        """Sends SIGTERM; returns the exit code and the seconds until the exit."""
        sent = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        return self.exit_code(), time.monotonic() - sent

    def diagnostics(self):
        yield "command", " ".join(self.popen.args)
        yield "exit code", str(self.popen.poll())
        yield "output", self.log()
        content = self.sd_file.read_text(errors="replace") if self.sd_file.exists() else "(none)"
        yield f"file {self.sd_file.name}", content
