"""Roles and policies: the least the program needs, and nothing that a linter objects to."""

import json
import re
from pathlib import Path

import pytest
from examples import ECS, POLICIES, TRUSTS, actions, document, placeholders
from parliament import analyze_policy_string
from parts.account import Account

DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
GOLDEN = Path(__file__).parents[1] / "golden" / "worlds"

ON_FARGATE = "meta_labels/fargate_task"
ON_INSTANCES = "network_modes/bridge_uses_published_port"
ONE_CLUSTER = "-config.cluster=prod"
ROLE = ["-config.role-arn=arn:aws:iam::222222222222:role/ecs-discovery", "-config.external-id=example-external-id"]

# A mode of the program: a golden world, the flags, and the policies that are enough.
MODES = {
    "one cluster, Fargate only": (ON_FARGATE, [ONE_CLUSTER], ["discovery-fargate-only"]),
    "one cluster": (ON_INSTANCES, [ONE_CLUSTER], ["discovery-one-cluster"]),
    "dynamic ports": (
        "dynamic_ports/dynamic_port_ignores_udp",
        [ONE_CLUSTER, "-config.dynamic-port-detection"],
        ["discovery-one-cluster"],
    ),
    "all clusters": (ON_INSTANCES, [], ["discovery-all-clusters"]),
    "as a role of the cluster's account": (
        ON_INSTANCES, [ONE_CLUSTER, *ROLE], ["discovery-one-cluster", "assume-discovery-role"],
    ),
}

# AWS's own examples give these "*" with the condition ecs:cluster, which holds for the short ARNs of before 2018 too,
# where a resource with the cluster's name in it does not. For all clusters there is nothing to narrow.
STAR_WITH_A_CLUSTER = {"ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeContainerInstances"}


def policy(name):
    return document(ECS / "iam" / f"{name}.json")


@pytest.mark.parametrize("more", [[], ["-config.meta-labels"]], ids=["plain", "with meta labels"])
@pytest.mark.parametrize("mode", MODES)
def test_a_policy_allows_what_its_mode_calls_and_nothing_else(mode, more, simaws, discover_once):
    world, flags, policies = MODES[mode]
    aws = simaws(json.loads((GOLDEN / world / "world.json").read_text()))

    discover_once(aws.url, *flags, *more)

    expected = set().union(*(actions(policy(name)) for name in policies))
    assert aws.calls() == expected


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_the_linter_objects_to_nothing_but_a_star_that_a_condition_narrows(file):
    for finding in analyze_policy_string(json.dumps(document(file))).findings:
        assert finding.issue == "RESOURCE_STAR", finding
        assert set(finding.detail) <= STAR_WITH_A_CLUSTER, finding
    if file.stem != "discovery-all-clusters":
        for statement in document(file)["Statement"]:
            if actions({"Statement": [statement]}) & STAR_WITH_A_CLUSTER:
                assert "ecs:cluster" in statement["Condition"]["ArnEquals"]


@pytest.mark.parametrize("file", TRUSTS, ids=lambda file: file.stem)
def test_the_linter_accepts_the_trust_policies(file):
    """The linter knows only policies with a resource, and the resource of a trust policy is its role."""
    trust = document(file)
    for statement in trust["Statement"]:
        statement["Resource"] = "arn:aws:iam::123456789012:role/ecs-prometheus-task"
        assert statement["Condition"], "whoever may ask on behalf of others is asked for whom"
    assert analyze_policy_string(json.dumps(trust)).findings == []


def test_ecs_takes_a_role_only_for_tasks_of_the_account_and_region():
    [statement] = policy("trust-ecs-tasks")["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:123456789012:*"},
    }


def test_no_policy_has_a_wildcard_action():
    for file in [*POLICIES, *TRUSTS]:
        assert not any("*" in action for action in actions(document(file))), file.name


def test_roles_and_policies_are_created_and_attached(moto):
    iam = Account(moto.endpoint).iam
    roles = {
        "ecs-prometheus-task": ("trust-ecs-tasks", ["discovery-one-cluster", "config-bucket", "assume-discovery-role"]),
        "ecs-prometheus-execution": ("trust-ecs-tasks", ["execution-role"]),
        "ecs-discovery": ("trust-monitoring-account", ["discovery-all-clusters", "discovery-fargate-only"]),
    }
    for role, (trust, policies) in roles.items():
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(policy(trust)))
        for name in policies:
            made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy(name)))
            iam.attach_role_policy(RoleName=role, PolicyArn=made["Policy"]["Arn"])

        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert {each["PolicyName"] for each in attached} == set(policies)
    used = {name for trust, policies in roles.values() for name in (trust, *policies)}
    assert used == {file.stem for file in [*POLICIES, *TRUSTS]}


def test_the_documents_have_the_same_policies():
    section = DEPLOYMENT.read_text().split("\n## IAM policy\n")[1].split("\n## ")[0]
    documented = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
    files = [
        "discovery-fargate-only", "discovery-one-cluster", "discovery-all-clusters", "assume-discovery-role",
        "trust-monitoring-account",
    ]
    assert documented == [json.loads((ECS / "iam" / f"{name}.json").read_text()) for name in files]


def test_the_execution_role_reads_the_secret_of_the_task_definition_and_no_other():
    [statement] = [it for it in policy("execution-role")["Statement"] if "secretsmanager" in it["Action"]]
    account = placeholders()["ACCOUNT_ID"]
    assert statement["Resource"] == f"arn:aws:secretsmanager:eu-west-1:{account}:secret:ecs-prometheus-??????"
