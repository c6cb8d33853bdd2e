"""Roles and policies: sufficient for the program, minimal, and accepted by a linter."""

import json
import re
from pathlib import Path

import pytest
from examples import ECS, POLICIES, TRUSTS, actions, document, placeholders
from parliament import analyze_policy_string
from parts.account import Account
from worlds import ec2_app, fargate_app, with_service_and_interface

DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment.md"

ONE_CLUSTER = "-config.cluster=prod"
ROLE = ["-config.role-arn=arn:aws:iam::222222222222:role/ecs-discovery", "-config.external-id=example-external-id"]

# A mode of the program: a world, the flags, and the sufficient policies.
MODES = {
    "one cluster, Fargate only": (fargate_app(), [ONE_CLUSTER], ["discovery-fargate-only"]),
    "one cluster": (ec2_app(), [ONE_CLUSTER], ["discovery-one-cluster"]),
    "dynamic ports": (ec2_app(), [ONE_CLUSTER, "-config.dynamic-port-detection"], ["discovery-one-cluster"]),
    "all clusters": (ec2_app(), [], ["discovery-all-clusters"]),
    "cluster of another account": (
        ec2_app(), [ONE_CLUSTER, *ROLE], ["discovery-one-cluster", "assume-discovery-role"],
    ),
}

# AWS's own examples allow these on "*" with the condition ecs:cluster. Unlike a resource with the cluster's name, it
# also matches the short ARNs from before 2018. The policy for all clusters has no condition.
STAR_WITH_CLUSTER_CONDITION = {
    "ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeContainerInstances", "ecs:DescribeServices",
}


def policy(name):
    return document(ECS / "iam" / f"{name}.json")


@pytest.mark.parametrize("more", [[], ["-config.meta-labels"]], ids=["plain", "with meta labels"])
@pytest.mark.parametrize("mode", MODES)
def test_policies_allow_exactly_the_calls_of_their_mode(mode, more, simaws, discover_once):
    world, flags, policies = MODES[mode]
    aws = simaws(world)

    discover_once(aws.url, *flags, *more)

    expected = set().union(*(actions(policy(name)) for name in policies))
    assert aws.calls() == expected


@pytest.mark.parametrize("mode", MODES)
def test_labels_that_take_further_calls_need_one_more_policy(mode, simaws, discover_once):
    world, flags, policies = MODES[mode]
    aws = simaws(with_service_and_interface(world))

    discover_once(aws.url, *flags, "-config.meta-labels=all")

    expected = set().union(*(actions(policy(name)) for name in [*policies, "discovery-all-labels"]))
    assert aws.calls() == expected


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_linter_reports_only_stars_that_a_condition_narrows(file):
    for finding in analyze_policy_string(json.dumps(document(file))).findings:
        assert finding.issue == "RESOURCE_STAR", finding
        assert set(finding.detail) <= STAR_WITH_CLUSTER_CONDITION, finding
    if file.stem != "discovery-all-clusters":
        for statement in document(file)["Statement"]:
            if actions({"Statement": [statement]}) & STAR_WITH_CLUSTER_CONDITION:
                assert "ecs:cluster" in statement["Condition"]["ArnEquals"]


@pytest.mark.parametrize("file", TRUSTS, ids=lambda file: file.stem)
def test_linter_accepts_the_trust_policies(file):
    """The linter requires a resource, which a trust policy does not have: its resource is the role itself."""
    trust = document(file)
    for statement in trust["Statement"]:
        statement["Resource"] = "arn:aws:iam::123456789012:role/ecs-prometheus-task"
        assert statement["Condition"], "a condition must prevent the confused deputy problem"
    assert analyze_policy_string(json.dumps(trust)).findings == []


def test_ecs_can_assume_roles_only_for_tasks_of_the_account_and_region():
    [statement] = policy("trust-ecs-tasks")["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:123456789012:*"},
    }


def test_policies_have_no_wildcard_actions():
    for file in [*POLICIES, *TRUSTS]:
        assert not any("*" in action for action in actions(document(file))), file.name


def test_roles_and_policies_can_be_created_and_attached(moto):
    iam = Account(moto.endpoint).iam
    roles = {
        "ecs-prometheus-task": (
            "trust-ecs-tasks",
            ["discovery-one-cluster", "discovery-all-labels", "discovery-events", "config-bucket",
             "assume-discovery-role", "remote-write-amp"],
        ),
        "ecs-prometheus-execution": ("trust-ecs-tasks", ["execution-role", "execution-role-without-secret"]),
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


def test_documents_have_the_same_policies():
    section = DEPLOYMENT.read_text().split("\n## IAM policy\n")[1].split("\n## ")[0]
    documented = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
    files = [
        "discovery-fargate-only", "discovery-one-cluster", "discovery-all-clusters", "discovery-all-labels",
        "discovery-events", "assume-discovery-role", "trust-monitoring-account",
    ]
    assert documented == [json.loads((ECS / "iam" / f"{name}.json").read_text()) for name in files]


def test_execution_role_without_a_secret_allows_all_else():
    with_secret, without = policy("execution-role"), policy("execution-role-without-secret")
    assert without["Statement"] == [each for each in with_secret["Statement"] if "secretsmanager" not in str(each)]


def test_metrics_can_be_written_only_to_the_workspace():
    [statement] = policy("remote-write-amp")["Statement"]
    workspace = placeholders()["WORKSPACE_ID"]
    assert statement["Action"] == "aps:RemoteWrite"
    assert statement["Resource"] == f"arn:aws:aps:eu-west-1:123456789012:workspace/{workspace}"


def test_only_the_rule_can_publish_to_the_topic_of_stopped_tasks():
    [statement] = policy("topic-stopped-tasks")["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "events.amazonaws.com"}, "sns:Publish")
    assert statement["Resource"].startswith("arn:aws:sns:eu-west-1:123456789012:")
    [source] = statement["Condition"]["ArnEquals"].values()
    assert source.startswith("arn:aws:events:eu-west-1:123456789012:rule/")


def test_execution_role_can_read_only_the_secret_of_the_task_definition():
    statements = policy("execution-role")["Statement"]
    [statement] = [each for each in statements if "secretsmanager" in each["Action"]]
    account = placeholders()["ACCOUNT_ID"]
    assert statement["Resource"] == f"arn:aws:secretsmanager:eu-west-1:{account}:secret:ecs-prometheus-??????"
