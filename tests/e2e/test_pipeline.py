"""examples/ecs end to end: from an application on ECS, through the deployed task, to a remote receiver.

Commands, environments and start order come from the task definition. prometheus.yml is the example's, with its real
intervals; only placeholders and addresses are replaced. All Prometheus versions run concurrently, because most of the
time is spent waiting for scrapes.
"""

import stat
from collections import namedtuple
from pathlib import Path

import pytest
from parts.account import Account, docker_labels
from parts.authorization import bearer
from parts.prometheus import installed
from parts.stack import TOKEN, VALUES, Prerequisites, policy
from parts.task import NotStarted
from parts.wait import until

PROGRAMS = installed()
NEWEST = PROGRAMS[-1]


# A task, the exporter that represents its container, and the expected labels of its series at the receiver.
Running = namedtuple("Running", "task exporter series")


class Application:
    """Tasks to scrape: on Fargate with a job label, and on an EC2 instance without."""

    def __init__(self, account, exporter):
        self._account, self._exporter = account, exporter
        self._cluster = account.cluster(VALUES["CLUSTER_NAME"])
        account.ec2_host(self._cluster, "127.0.0.41")

    def web(self, name):
        exporter = self._exporter(name)
        labels = docker_labels(exporter.port, job="shop", server_name="127.0.0.1")
        return self._running(self._account.fargate_task(self._cluster, "web", labels), exporter, name)

    def node(self):
        exporter = self._exporter("node", address="127.0.0.41")
        task = self._account.host_mode_task(self._cluster, "node", docker_labels(exporter.port))
        return self._running(task, exporter, "node")

    def stop(self, running):
        self._account.stop(self._cluster, running.task)
        running.exporter.stop()

    def _running(self, task, exporter, name):
        labels = self._account.target_group(self._cluster, task, exporter.target)["labels"]
        return Running(task, exporter, {
            "__name__": "exporter_info", "name": name, "instance": exporter.target, "job": "ecs",
            "cluster": VALUES["CLUSTER_LABEL"], "region": VALUES["REGION"], **labels,
        })


@pytest.fixture
def owner(moto, account):
    """An administrator, once moto enforces permissions."""
    return Account(moto.endpoint, account.user_with("*", name="owner"))


@pytest.fixture
def application(owner, exporter):
    return Application(owner, exporter)


@pytest.fixture
def prerequisites(owner, moto):
    """What the task needs; from now on moto enforces permissions."""
    created = Prerequisites(owner)
    moto.enforce_permissions()
    yield created
    created.stop()


def test_metrics_arrive_with_their_labels_and_follow_a_deployment(application, prerequisites, stack):
    node, old = application.node(), application.web("old")
    stacks = [stack(prerequisites, program) for program in PROGRAMS]
    for each in stacks:
        each.upload_and_start()
    for each in stacks:
        _arrives(each, node, old)

    new = application.web("new")
    application.stop(old)

    assert new.series["task_revision"] == "2"
    for each in stacks:
        _arrives(each, node, new)
        assert each.receiver_proxy.accepted > 0 and each.receiver_proxy.rejected == 0


def test_wrong_token_delivers_nothing_and_is_counted_by_the_sender(application, prerequisites, stack):
    application.web("web")
    stacks = [stack(prerequisites, program, authorized=bearer("another")) for program in PROGRAMS]
    senders = [each.upload_and_start() for each in stacks]

    for each, sender in zip(stacks, senders):
        until("failures are counted", lambda: sender.own_metric("prometheus_remote_storage_samples_failed_total"))
        assert each.receiver_proxy.rejected > 0 and each.receiver_proxy.accepted == 0
        assert each.receiver.query('{__name__=~".+"}') == []


def test_init_container_writes_config_and_token(prerequisites, stack):
    deployed = stack(prerequisites, NEWEST)

    deployed.upload_and_start()

    config, token = (
        Path(deployed.task.on_host("config", path)) for path in ("/config/prometheus.yml", "/config/remote-write-token")
    )
    assert config.read_text() == deployed.config
    assert token.read_text() == TOKEN
    assert [stat.filemode(file.stat().st_mode) for file in (config, token)] == ["-r--r--r--"] * 2
    assert deployed.task.running["config"].log() == ""


def test_prometheus_does_not_start_without_its_config(prerequisites, stack):
    missing = stack(prerequisites, NEWEST)
    with pytest.raises(NotStarted, match="config"):
        missing.task.start("prometheus")

    prerequisites.deny("s3:GetObject")
    denied = stack(prerequisites, NEWEST)
    with pytest.raises(NotStarted, match="config"):
        denied.upload_and_start()

    for deployed, status in (missing, "404"), (denied, "403"):
        assert status in deployed.task.running["config"].log()
        assert "prometheus" not in deployed.task.running


def test_every_action_of_the_discovery_policy_is_needed(application, prerequisites, stack):
    application.node()
    actions = [action for statement in policy("discovery-one-cluster")["Statement"] for action in statement["Action"]]

    for action in actions:
        prerequisites.deny(action)
        sidecar = stack(prerequisites, NEWEST).task.start("ecs-discovery")
        sidecar.wait_for_log(rf"{action.split(':')[1]} failed.*(403|AccessDenied)")


def _arrives(stack, *running):
    """Waits until the receiver has the current series of these tasks and of the stack itself, and no others."""
    query = stack.receiver.query
    expected = [each.series for each in running]

    def complete():
        assert _by_instance(query("exporter_info == 1")) == _by_instance(expected)
        assert _by_instance(query('up{task_arn!=""} == 1')) == _by_instance(map(_up, expected))
        assert {series["job"] for series in query("up == 1")} == {"shop", "ecs", "ecs-discovery", "prometheus"}
        assert query("up != 1") == []
        assert query(f"ecs_discovery_targets == {len(expected)}") != []
        return True

    # A refresh takes up to a minute, a scrape 30 s, and Prometheus ends old series two scrapes later.
    until("exactly the expected series have arrived", complete, within=240)


def _up(series):
    return {name: text for name, text in series.items() if name != "name"} | {"__name__": "up"}


def _by_instance(series):
    return sorted(series, key=lambda each: each["instance"])
