"""Stock Prometheus servers: the one on the PATH, and those that tests/run unpacked from Debian."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections import namedtuple
from pathlib import Path

from .process import Process, clean_environment
from .wait import until

UNPACKED = Path(__file__).parents[3] / "target" / "e2e-prometheus"

Program = namedtuple("Program", "version prometheus promtool")


def installed():
    """Returns one Program per version, oldest first."""
    directories = [Path(found).parent for found in [shutil.which("prometheus")] if found]
    directories += sorted(UNPACKED.glob("*/usr/bin"))
    programs = {}
    for directory in directories:
        if all(os.access(directory / name, os.X_OK) for name in ("prometheus", "promtool")):
            version = _version(directory / "prometheus")
            programs.setdefault(version, Program(version, directory / "prometheus", directory / "promtool"))
    return sorted(programs.values(), key=lambda it: [int(part) for part in it.version.split(".")])


def _version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)[1]


def write_config(path, *jobs):
    """Writes a prometheus.yml (as JSON, which is YAML) that scrapes every second."""
    path.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}, indent=1))
    return path


def from_file(sd_file, **more):
    """Returns a scrape job for the targets in the file."""
    return {"job_name": "ecs", "file_sd_configs": [{"files": [str(sd_file)]}], **more}


def over_http(url, **more):
    """Returns a scrape job for the targets at the URL."""
    return {"job_name": "ecs", "http_sd_configs": [{"url": url, "refresh_interval": "1s"}], **more}


def path_flags(config, directory):
    """Returns the flags for the configuration file and the storage directory."""
    return [f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]


def agent_flags(program, words):
    """Returns the flags for this version: before Prometheus 3, --agent was a feature to enable."""
    old = program.version.startswith("2.")
    return ["--enable-feature=agent" if old and word == "--agent" else word for word in words]


class Prometheus(Process):
    def __init__(self, program, directory, *flags, listen="127.0.0.1:0", **more_environment):
        argv = [program.prometheus, *flags, f"--web.listen-address={listen}"]
        super().__init__(argv, directory / "prometheus.log", clean_environment(directory, **more_environment))
        self.url = "http://" + self.wait_for_log(r"Listening on\W.*address=(127\.0\.0\.1:\d+)")[1]
        self.wait_for_log("Server is ready to receive web requests")

    def discovered(self):
        """Returns the labels of every target before relabelling, exactly as discovered."""
        return [target["discoveredLabels"] for target in self._get("targets?state=active")["activeTargets"]]

    def relabelled(self):
        """Returns the labels of every target after relabelling, by job."""
        active = self._get("targets?state=active")["activeTargets"]
        return {target["labels"]["job"]: target["labels"] for target in active}

    def metric_types(self):
        """Returns the types of the scraped metrics by name."""
        return {each["metric"]: each["type"] for each in self._get("targets/metadata")}

    def own_metric(self, metric):
        """Returns the value of one of Prometheus's own metrics, which must have a single series."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as response:
            text = response.read().decode()
        [value] = re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return float(value)

    def sd_failures(self):
        """Returns how often HTTP service discovery has failed."""
        return self.own_metric("prometheus_sd_http_failures_total")

    def health(self):
        """Returns "up", "down" or "unknown" for each target."""
        active = self._get("targets?state=active")["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in active}

    def query(self, expression):
        """Returns the labels of every series in the result of the expression."""
        found = self._get("query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return [series["metric"] for series in found]

    def wait_until_up(self, *targets):
        """Waits until exactly these targets are scraped and up."""
        until(f"up: {targets}", lambda: self.health() == dict.fromkeys(targets, "up"))
        until(f"up == 1: {targets}", lambda: {s["instance"] for s in self.query("up == 1")} == set(targets))

    def _get(self, path):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=30) as response:
            return json.load(response)["data"]
