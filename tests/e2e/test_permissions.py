"""moto checks signatures and IAM policies: the least policy is enough, and a refusal is named.

Stock moto refuses every call in EC2's XML, where AWS answers ECS calls in JSON and STS calls in another XML:
of those two no code can be read here, only the status.
"""

import pytest
from parts.account import Keys, docker_labels
from parts.sd_file import read

FARGATE_POLICY = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"]
WHOLE_POLICY = [*FARGATE_POLICY, "ecs:ListClusters", "ecs:DescribeContainerInstances", "ec2:DescribeInstances"]


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


def test_the_least_policy_is_enough_for_one_cluster_on_fargate(moto, account, discover_once, sd_file):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    expected = account.target_group(cluster, task, f"{account.address(cluster, task)}:9102")
    keys = account.user_who_may(*FARGATE_POLICY)
    moto.check_permissions()

    assert discover_once("-config.cluster=prod", keys=keys).code == 0

    assert read(sd_file) == [expected]


def test_the_whole_policy_is_enough_for_everything(moto, account, prod, discover_once, sd_file):
    keys = account.user_who_may(*WHOLE_POLICY)
    moto.check_permissions()

    assert discover_once(keys=keys).code == 0

    assert sorted(group["targets"] for group in read(sd_file)) == sorted(it["targets"] for it in prod.values())


def test_a_denied_ec2_costs_only_the_tasks_that_need_it(moto, account, prod, discover_once, sd_file):
    keys = account.user_who_may(*FARGATE_POLICY, "ecs:DescribeContainerInstances")
    moto.check_permissions()

    program = discover_once("-config.cluster=prod", keys=keys)

    assert program.code == 1
    assert read(sd_file) == [prod["fargate"]]
    assert _one_line_names(program, "DescribeInstances", "AccessDenied")


def test_a_denied_listing_fails_and_leaves_no_file(moto, account, prod, discover_once, sd_file):
    keys = account.user_who_may()
    moto.check_permissions()

    program = discover_once("-config.cluster=prod", keys=keys)

    assert program.code == 1
    assert not sd_file.exists()
    assert _one_line_names(program, "ListTasks", "403")


def test_a_denied_role_fails_and_is_named(moto, account, prod, discover_once, sd_file):
    keys = account.user_who_may(*WHOLE_POLICY)
    moto.check_permissions()

    role = "arn:aws:iam::222222222222:role/discovery"
    program = discover_once("-config.cluster=prod", f"-config.role-arn={role}", keys=keys)

    assert program.code == 1
    assert not sd_file.exists()
    assert _one_line_names(program, "AssumeRole", role)


def test_a_wrong_secret_is_refused(moto, account, prod, discover_once, sd_file):
    keys = account.user_who_may(*WHOLE_POLICY)
    moto.check_permissions()

    program = discover_once("-config.cluster=prod", keys=Keys(keys.id, "not-the-secret"))

    assert program.code == 1
    assert not sd_file.exists()


def _one_line_names(program, *words):
    return any(all(word in line for word in words) for line in program.said().splitlines())
