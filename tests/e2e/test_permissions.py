"""moto enforces signatures and IAM policies: the documented policies are sufficient, and denied calls are logged.

moto sends all errors in EC2's XML format. AWS uses JSON for ECS and another XML format for STS, so for these two
the program cannot read the error code here, only the HTTP status.
"""

import pytest
from parts.account import Keys, docker_labels
from parts.sd_file import read

FARGATE_POLICY = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"]
FULL_POLICY = [*FARGATE_POLICY, "ecs:ListClusters", "ecs:DescribeContainerInstances", "ec2:DescribeInstances"]


@pytest.fixture
def prod(account):
    """A Fargate task and a host mode task."""
    cluster = account.cluster("prod")
    account.ec2_host(cluster, "127.0.0.41")
    fargate = account.fargate_task(cluster, "fargate", docker_labels(9102))
    host = account.host_mode_task(cluster, "host", docker_labels(9103))
    return {
        "fargate": account.target_group(cluster, fargate, f"{account.address(cluster, fargate)}:9102"),
        "host": account.target_group(cluster, host, "127.0.0.41:9103"),
    }


def test_fargate_policy_is_sufficient_for_one_cluster_on_fargate(moto, account, discover_once, sd_file):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    expected = account.target_group(cluster, task, f"{account.address(cluster, task)}:9102")
    keys = account.user_with(*FARGATE_POLICY)
    moto.enforce_permissions()

    assert discover_once("-config.cluster=prod", keys=keys).code == 0

    assert read(sd_file) == [expected]


def test_full_policy_is_sufficient_for_all_clusters(moto, account, prod, discover_once, sd_file):
    keys = account.user_with(*FULL_POLICY)
    moto.enforce_permissions()

    assert discover_once(keys=keys).code == 0

    assert sorted(group["targets"] for group in read(sd_file)) == sorted(group["targets"] for group in prod.values())


def test_denied_ec2_call_affects_only_tasks_that_need_it(moto, account, prod, discover_once, sd_file):
    keys = account.user_with(*FARGATE_POLICY, "ecs:DescribeContainerInstances")
    moto.enforce_permissions()

    program = discover_once("-config.cluster=prod", keys=keys)

    assert program.code == 1
    assert read(sd_file) == [prod["fargate"]]
    assert _a_log_line_contains(program, "DescribeInstances", "AccessDenied")


def test_denied_listing_fails_and_writes_no_file(moto, account, prod, discover_once, sd_file):
    keys = account.user_with()
    moto.enforce_permissions()

    program = discover_once("-config.cluster=prod", keys=keys)

    assert program.code == 1
    assert not sd_file.exists()
    assert _a_log_line_contains(program, "ListTasks", "403")


def test_denied_role_fails_and_is_logged(moto, account, prod, discover_once, sd_file):
    keys = account.user_with(*FULL_POLICY)
    moto.enforce_permissions()

    role = "arn:aws:iam::222222222222:role/discovery"
    program = discover_once("-config.cluster=prod", f"-config.role-arn={role}", keys=keys)

    assert program.code == 1
    assert not sd_file.exists()
    assert _a_log_line_contains(program, "AssumeRole", role)


def test_wrong_secret_key_fails(moto, account, prod, discover_once, sd_file):
    keys = account.user_with(*FULL_POLICY)
    moto.enforce_permissions()

    program = discover_once("-config.cluster=prod", keys=Keys(keys.id, "not-the-secret"))

    assert program.code == 1
    assert not sd_file.exists()


def _a_log_line_contains(program, *words):
    return any(all(word in line for word in words) for line in program.log().splitlines())
