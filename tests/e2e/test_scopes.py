"""Several accounts and regions: Prometheus has the union, and what is denied comes as soon as it is allowed."""

import itertools

import pytest
from parts.account import docker_labels
from parts.sd_file import read
from test_permissions import FULL_POLICY

REGIONS = ["eu-west-1", "us-east-1"]
MEMBERS = ["222222222222", "333333333333"]


def _policy(*actions):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
]}


@pytest.fixture
def member(account):
    """member("222222222222", policy…) is another account, with a role for the program that has these policies."""
    def create(number, *policies):
        other = account.assume(f"arn:aws:iam::{number}:role/owner")
        other.role("owner", TRUST, _policy("*"))
        other.role("discovery", TRUST, *policies)
        return other

    return create


def test_prometheus_has_the_union_of_all_scopes_and_the_denied_one_later(
    moto, account, member, discover, sd_file, exporter, vpc_proxy, prometheus
):
    allowed, denied = member(MEMBERS[0], _policy(*FULL_POLICY)), member(MEMBERS[1])
    ports = itertools.count(9100)

    def run_tasks(owner):
        """Runs a task in a cluster of the same name in each region; returns their target groups."""
        for region in REGIONS:
            there, port = owner.in_region(region), next(ports)
            cluster = there.cluster("prod")
            task = there.fargate_task(cluster, "web", docker_labels(port))
            target = f"{there.address(cluster, task)}:{port}"
            vpc_proxy.exporters[target] = exporter(f"web-{port}")
            yield there.target_group(cluster, task, target)

    known = [*run_tasks(account), *run_tasks(allowed)]
    later = list(run_tasks(denied))
    keys = account.user_with(*FULL_POLICY, "sts:AssumeRole")
    moto.enforce_permissions()

    roles = ",".join(f"arn:aws:iam::{number}:role/discovery" for number in MEMBERS)
    program = discover(
        f"-config.role-arn=self,{roles}", f"-config.region={','.join(REGIONS)}", "-config.cluster=prod*",
        "-config.scrape-interval=1s", keys=keys,
    )

    program.wait_for_log(f"scope={MEMBERS[1]}/{REGIONS[0]}")
    server = prometheus(proxy=vpc_proxy.url)
    server.wait_until_up(*_targets(known))
    assert _sorted(read(sd_file)) == _sorted(known)

    denied.put_role_policy("discovery", "later", _policy(*FULL_POLICY))
    server.wait_until_up(*_targets(known + later))
    assert _sorted(read(sd_file)) == _sorted(known + later)


def _targets(groups):
    return [target for group in groups for target in group["targets"]]


def _sorted(groups):
    return sorted(groups, key=lambda group: group["labels"]["task_arn"])
