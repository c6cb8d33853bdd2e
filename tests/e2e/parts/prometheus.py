"""Stock Prometheus servers: the one on the PATH, and those tests/run unpacked from Debian."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections import namedtuple
from pathlib import Path

from .process import Process, bare_environment
from .wait import until

UNPACKED = Path(__file__).parents[3] / "target" / "e2e-prometheus"

Program = namedtuple("Program", "version prometheus promtool")


def installed():
    """One Program per version, the oldest first."""
    places = [Path(found).parent for found in [shutil.which("prometheus")] if found]
    places += sorted(UNPACKED.glob("*/usr/bin"))
    programs = {}
    for place in places:
        if all(os.access(place / name, os.X_OK) for name in ("prometheus", "promtool")):
            version = _version(place / "prometheus")
            programs.setdefault(version, Program(version, place / "prometheus", place / "promtool"))
    return sorted(programs.values(), key=lambda it: [int(part) for part in it.version.split(".")])


def _version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"version (\d+\.\d+\.\d+)", said.stdout + said.stderr)[1]


def write_config(path, *jobs):
    """What a user's prometheus.yml says, with a scrape every second (JSON is YAML too)."""
    path.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}, indent=1))
    return path


def from_file(sd_file, **more):
    """The job that scrapes what the file says."""
    return {"job_name": "ecs", "file_sd_configs": [{"files": [str(sd_file)]}], **more}


def over_http(url, **more):
    """The job that scrapes what the URL says."""
    return {"job_name": "ecs", "http_sd_configs": [{"url": url, "refresh_interval": "1s"}], **more}


def its_files(config, directory):
    """The flags that name what it reads and where it writes."""
    return [f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]


class Prometheus(Process):
    def __init__(self, program, directory, *flags, listen="127.0.0.1:0", **more_environment):
        argv = [program.prometheus, *flags, f"--web.listen-address={listen}"]
        super().__init__(argv, directory / "prometheus.log", bare_environment(directory, **more_environment))
        self.url = "http://" + self.announces(r"Listening on\W.*address=(127\.0\.0\.1:\d+)")[1]
        self.announces("Server is ready to receive web requests")

    def discovered(self):
        """The labels of every target as they were before relabelling: what the file said, exactly."""
        return [target["discoveredLabels"] for target in self._ask("targets?state=active")["activeTargets"]]

    def types(self):
        """Metric names to types, as the last scrapes gave them."""
        return {each["metric"]: each["type"] for each in self._ask("targets/metadata")}

    def counts(self, metric):
        """What it says of itself: the only series of this metric."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        [value] = re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return float(value)

    def failed_discoveries(self):
        """How often HTTP service discovery has failed."""
        return self.counts("prometheus_sd_http_failures_total")

    def health(self):
        """Target to "up", "down" or "unknown"."""
        active = self._ask("targets?state=active")["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in active}

    def query(self, expression):
        """The labels of every series the expression gives now."""
        found = self._ask("query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return [series["metric"] for series in found]

    def sees_up(self, *targets):
        """Waits until exactly these are scraped, and every one of them says up == 1."""
        until(f"up: {targets}", lambda: self.health() == dict.fromkeys(targets, "up"))
        until(f"up == 1: {targets}", lambda: {s["instance"] for s in self.query("up == 1")} == set(targets))

    def _ask(self, what):
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}", timeout=30) as answer:
            return json.load(answer)["data"]
