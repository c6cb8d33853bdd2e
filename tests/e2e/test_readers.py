"""examples/readers: vmagent beside Prometheus, through a deployment, an outage, a restart and an unreadable file.

Each reads the file and /targets, with the configuration of the example, in which only addresses, paths and intervals
are replaced. tests/deploy checks the configurations of the readers that do not run here.
"""

from collections import namedtuple
from pathlib import Path

import pytest
from parts.account import REGION, Account, docker_labels
from parts.discovery import ON_LOOPBACK
from parts.prometheus import installed
from parts.vmagent import version
from parts.wait import until

EXAMPLES = Path(__file__).parents[2] / "examples" / "readers"
TAGS = [{"key": "team", "value": "shop"}]
# Later versions drop the targets of a file that they cannot read. Debian's keeps them, as Prometheus does.
VMAGENT_KEEPS_UNREADABLE = (version() or "").startswith("1.79.")

Task = namedtuple("Task", "cluster arn target name")


class Fleet:
    """Two clusters of host mode tasks, whose addresses are on loopback: prod for the file, staging for /targets."""

    ADDRESSES = {"prod": "127.0.0.41", "staging": "127.0.0.42"}
    JOBS = {"prod": "ecs", "staging": "ecs-over-http"}

    def __init__(self, account, exporter):
        self._account, self._exporter = account, exporter
        for cluster, address in self.ADDRESSES.items():
            account.cluster(cluster)
            account.ec2_host(cluster, address)

    def run(self, cluster, name):
        server = self._exporter(name, address=self.ADDRESSES[cluster])
        arn = self._account.host_mode_task(cluster, cluster, docker_labels(server.port), tags=TAGS)
        return Task(cluster, arn, server.target, name)

    def stop(self, *tasks):
        for task in tasks:
            self._account.stop(task.cluster, task.arn)

    def series(self, task, reader):
        """Returns the labels that the receiver has for a task, by the relabelling of the examples."""
        cluster = task.cluster
        return {
            "__name__": "exporter_info", "name": task.name, "instance": task.target, "job": self.JOBS[cluster],
            "cluster": cluster, "cluster_arn": f"arn:aws:ecs:{REGION}:123456789012:cluster/{cluster}",
            "container_name": f"{cluster}-container", "task_group": f"family:{cluster}", "task_name": cluster,
            "tag_team": "shop", "reader": reader,
        }  # fmt: skip


@pytest.fixture
def prometheus_program():
    """The newest one: the other modules test the rest with the same flags."""
    return installed()[-1]


@pytest.fixture
def fleet(own_moto, exporter):
    return Fleet(Account(own_moto.endpoint), exporter)


@pytest.fixture
def discoveries(discover, own_moto, sd_file):
    """Starts one program that writes the file, and a remote one that serves /targets; returns both."""
    common = ["-config.meta-labels", "-config.scrape-interval=500ms"]

    def start(listen=ON_LOOPBACK):
        local = discover("-config.cluster=prod", *common, endpoint=own_moto.endpoint)
        remote = discover(listen, "-config.cluster=staging", "-config.write-to=", *common, endpoint=own_moto.endpoint)
        until("the file exists", sd_file.exists)
        return local, remote

    return start


@pytest.fixture
def readers(receiver, sd_file, tmp_path, prometheus, vmagent):
    """readers(address) starts vmagent and Prometheus with the examples' configurations, and returns them.

    The receiver is the first argument because fixtures end in reverse order: a sender would retry without it.
    """
    token = tmp_path / "token"
    token.write_text("unused")

    def start(address):
        replaced = {
            "ecs-discovery.internal:10779": address, "/output/ecs_file_sd.yml": str(sd_file),
            "scrape_interval: 15s": "scrape_interval: 1s", "refresh_interval: 30s": "refresh_interval: 1s",
            "https://metrics.example.com": receiver.url, "/etc/prometheus/remote-write-token": str(token),
        }  # fmt: skip
        return [
            program(config=_configuration(tmp_path / f"{name}.yml", name, replaced))
            for name, program in (("vmagent", vmagent), ("prometheus", prometheus))
        ]

    return start


def _configuration(file, name, replaced):
    """Writes the example's configuration with a label that tells the readers' series apart at the receiver."""
    text = (EXAMPLES / f"{name}.yml").read_text()
    for old, new in {**replaced, "global:\n": f"global:\n  external_labels: {{reader: {name}}}\n"}.items():
        text = text.replace(old, new)
    file.write_text(text)
    return file


def _address(program):
    return program.web().removeprefix("http://")


def _wait_until_up(readers, *tasks):
    for reader in readers:
        reader.wait_until_up(*(task.target for task in tasks))


def test_vmagent_and_prometheus_follow_a_deployment(fleet, discoveries, readers, receiver):
    old = fleet.run("prod", "old"), fleet.run("staging", "old")
    both = readers(_address(discoveries()[1]))
    _wait_until_up(both, *old)

    new = fleet.run("prod", "new"), fleet.run("staging", "new")
    _wait_until_up(both, *old, *new)
    fleet.stop(*old)
    _wait_until_up(both, *new)

    expected = [fleet.series(task, reader) for task in new for reader in ("vmagent", "prometheus")]
    until("exactly the new series arrive", lambda: _sorted(receiver.query("exporter_info")) == _sorted(expected))


def _sorted(series):
    return sorted(series, key=lambda labels: sorted(labels.items()))


def test_vmagent_and_prometheus_keep_their_targets_during_an_outage_and_a_restart(
    fleet, own_moto, discoveries, readers
):
    tasks = fleet.run("prod", "web"), fleet.run("staging", "web")
    local, remote = discoveries()
    address = _address(remote)
    agent, server = both = readers(address)
    _wait_until_up(both, *tasks)

    own_moto.stop()
    for program in (local, remote):
        program.wait_for_log("ListTasks failed")
    _wait_until_up(both, *tasks)
    assert agent.errors_about(address) == 0

    for program in (local, remote):
        assert program.sigterm()[0] == 0
    _more_http_errors(agent, server, address)
    _wait_until_up(both, *tasks)

    restarted = discoveries(f"-web.listen-address={address}")
    assert restarted[1].get("/targets?cluster=staging")[0] == 503, "unknown, because it has no file to begin with"
    _more_http_errors(agent, server, address)
    _wait_until_up(both, *tasks)


def _more_http_errors(agent, server, address):
    """Waits until both readers have failed again to read /targets."""
    before = agent.errors_about(address), server.sd_failures()
    until("vmagent fails to read /targets", lambda: agent.errors_about(address) >= before[0] + 2)
    until("Prometheus fails to read /targets", lambda: server.sd_failures() >= before[1] + 2)


def test_unreadable_file_is_an_error_for_the_readers_and_replaced_by_the_program(fleet, discoveries, readers, sd_file):
    tasks = fleet.run("prod", "web"), fleet.run("staging", "web")
    local, remote = discoveries()
    agent, server = both = readers(_address(remote))
    _wait_until_up(both, *tasks)

    assert local.sigterm()[0] == 0
    sd_file.write_text("- targets: [")
    until("vmagent reports an error", lambda: agent.errors_about(sd_file) >= 2)
    until("Prometheus reports an error", lambda: server.own_metric("prometheus_sd_file_read_errors_total") >= 1)
    _wait_until_up([server], *tasks)
    _wait_until_up([agent], *(tasks if VMAGENT_KEEPS_UNREADABLE else tasks[1:]))

    new = fleet.run("prod", "new")
    discoveries()
    _wait_until_up(both, *tasks, new)
