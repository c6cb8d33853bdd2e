"""vmagent, from Debian's package victoria-metrics."""

import json
import re
import shutil
import subprocess
import urllib.request

from .process import Process, clean_environment, free_address
from .wait import until

# The defaults are minutes, and this is what vmagent has instead of inotify.
CHECK_EVERY_SECOND = ["-promscrape.fileSDCheckInterval=1s", "-promscrape.httpSDCheckInterval=1s"]


def version():
    """Returns the version in the package's build information, such as 1.79.5, or None without vmagent."""
    program = shutil.which("vmagent")
    if not program:
        return None
    # Debian's build does not print a version; the package has it.
    shown = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "victoria-metrics"], capture_output=True, text=True)
    found = re.match(r"\d+\.\d+\.\d+", shown.stdout)
    return found[0] if found else "of unknown version"


class Vmagent(Process):
    """Scrapes the jobs of a configuration and sends the samples to a receiver."""

    def __init__(self, config, directory, receiver):
        listen = free_address()
        self.url = f"http://{listen}"
        argv = [
            "vmagent", f"-promscrape.config={config}", *CHECK_EVERY_SECOND, f"-httpListenAddr={listen}",
            f"-remoteWrite.url={receiver}/api/v1/write", f"-remoteWrite.tmpDataPath={directory / 'buffer'}",
        ]  # fmt: skip
        super().__init__(argv, directory / "vmagent.log", clean_environment(directory))
        self.wait_for_log("started vmagent in")

    def active_targets(self):
        """Returns the targets, in the form of Prometheus's API."""
        with urllib.request.urlopen(f"{self.url}/api/v1/targets?state=active", timeout=30) as response:
            return json.load(response)["data"]["activeTargets"]

    def health(self):
        """Returns "up" or "down" for each target."""
        return {target["labels"]["instance"]: target["health"] for target in self.active_targets()}

    def errors_about(self, text):
        """Returns how many error messages name a file or a URL."""
        return sum("\terror\t" in line and str(text) in line for line in self.log().splitlines())

    def wait_until_up(self, *targets):
        """Waits until exactly these targets are scraped and up."""
        until(f"vmagent: up: {targets}", lambda: self.health() == dict.fromkeys(targets, "up"))

    def diagnostics(self):
        yield "output", self.log()
