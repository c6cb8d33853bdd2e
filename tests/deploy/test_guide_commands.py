"""The guide: its commands work and print the output that it shows.

The AWS CLI calls moto. docker and terraform are scripts that log their arguments, and run the real ecs-discovery and
promtool where docker would.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from conftest import PROMETHEUS_PROGRAMS
from examples import ECS, placeholders
from guide import BLOCK, commands, like, sections, shown, step
from parts.account import REGION, TEST_KEYS, Account
from parts.moto import Moto
from parts.process import Process, clean_environment
from terraform_module import Module

TOKEN = "t0ken-with_every.kind~of+character/that=may-be"

DOCKER = """#!/bin/sh
echo docker "$@" >>"$CALLED"
case " $* " in
*" login "*) cat >/dev/null ;;
*" --entrypoint promtool "*) while [ "$1" != check ]; do shift; done; exec "$PROMTOOL" "$@" ;;
*" -version "*|*" -explain "*) while [ "$1" != "$ECS_DISCOVERY_IMAGE" ]; do shift; done; shift; exec "$PROGRAM" "$@" ;;
esac
"""
LOG_ARGUMENTS = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >>"$CALLED"
"""


class RunningServices(Moto):
    """moto does not start tasks of a service, but can report them as running."""

    def __init__(self, directory):
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        environment = clean_environment(directory, MOTO_ECS_SERVICE_RUNNING="1")
        Process.__init__(self, argv, directory / "moto.log", environment)
        self.endpoint = self.wait_for_log(r"Running on (http://127\.0\.0\.1:\d+)")[1]


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    moto = RunningServices(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def reader(services, request, tmp_path):
    """A reader of the guide, with a copy of this directory, a cluster, a VPC, and a shell."""
    services.reset()
    return Reader(services.endpoint, request.config.programs["ECS_DISCOVERY_BIN"], tmp_path)


class Reader:
    def __init__(self, endpoint, program, directory):
        self.account = Account(endpoint)
        self.client = lambda service: boto3.client(
            service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=TEST_KEYS.id,
            aws_secret_access_key=TEST_KEYS.secret,
        )
        self.folder = directory / "ecs"
        shutil.copytree(ECS, self.folder, ignore=shutil.ignore_patterns("README.md", ".terraform*"))
        self.cluster = self.account.cluster(placeholders()["CLUSTER_NAME"])
        [subnet] = self.account.ec2.describe_subnets(SubnetIds=[self.account.subnet])["Subnets"]
        group = {"GroupName": "application", "Description": "of the tasks", "VpcId": subnet["VpcId"]}
        self.ids = {
            "vpc-0123456789abcdef0": subnet["VpcId"], "subnet-0123456789abcdef0": subnet["SubnetId"],
            "sg-0123456789abcdef0": self.account.ec2.create_security_group(**group)["GroupId"],
        }
        self.called = directory / "called"
        for name, script in {"docker": DOCKER, "terraform": LOG_ARGUMENTS}.items():
            file = directory / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(script)
            file.chmod(0o755)
        path = [directory / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        self._environment = clean_environment(
            directory, PATH=os.pathsep.join(map(str, path)), AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID=TEST_KEYS.id,
            AWS_SECRET_ACCESS_KEY=TEST_KEYS.secret, AWS_EC2_METADATA_DISABLED="true", CALLED=str(self.called),
            PROGRAM=str(program), PROMTOOL=str(PROMETHEUS_PROGRAMS[-1].promtool),
        )

    def run(self, *blocks):
        """Runs the blocks in one shell, with the token as input; returns the output of each block."""
        script = "\n".join(["set -euo pipefail", *(f"{block}\nprintf '\\0'" for block in blocks)])
        for example, actual in self.ids.items():
            script = script.replace(example, actual)
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self._environment, input=f"{TOKEN}\n", capture_output=True,
            text=True, timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split("\0")[:-1]


STEPS = [step(number) for number in range(1, 9)]


def assert_output_as_shown(heading, output):
    lines = [line for line in output.splitlines() if line]
    expected = [line for line in shown(heading).splitlines() if line]
    assert len(lines) == len(expected), output
    assert all(like(line).fullmatch(text) for line, text in zip(expected, lines, strict=True)), output


def test_steps_create_the_service_and_print_the_shown_output(reader):
    cluster = placeholders()["CLUSTER_NAME"]
    # moto starts no tasks of a service, and no tasks that have a container without a memory limit. So start one here.
    limited = """sed 's/"name": "config",/& "memory": 64,/' task-definition.json"""
    start = f'''aws ecs register-task-definition --cli-input-json "$({limited})" >started
aws ecs run-task --cluster {cluster} --task-definition ecs-prometheus --launch-type FARGATE >>started \\
    --network-configuration "awsvpcConfiguration={{subnets=[$SUBNET_IDS],securityGroups=[$SECURITY_GROUP]}}"'''
    *outputs, _started, checked, changed, _stopped, wrong = reader.run(
        *(commands(heading) for heading in STEPS[:-1]), start, commands(STEPS[-1]), commands("Change the configuration"),
        f'aws ecs stop-task --cluster {cluster} --task "$TASK"', commands("When something is wrong"),
    )

    for heading, text in zip(STEPS[:-1], outputs, strict=True):
        if shown(heading):
            assert_output_as_shown(heading, text)
    # moto reports only the first container of a task, as PENDING.
    assert checked.split("\t")[0] == "log_router"
    assert changed.strip() == "ACTIVE"
    assert "0 targets in" in wrong
    made = reader.account
    [service] = made.ecs.describe_services(cluster=cluster, services=["ecs-prometheus"])["services"]
    assert service["taskDefinition"].endswith("ecs-prometheus:1")
    # moto does not store this. cloudformation.yaml gives the reason for it.
    assert "minimumHealthyPercent=0,maximumPercent=100" in commands(step(7))
    secret = json.loads(made.secrets.get_secret_value(SecretId="ecs-prometheus")["SecretString"])
    assert secret == {"remote_write_token": TOKEN, "logs_authorization": f"Authorization Bearer {TOKEN}"}
    kept = made.s3.get_object(Bucket=placeholders()["CONFIG_BUCKET"], Key="prometheus.yml")["Body"].read().decode()
    assert yaml.safe_load(kept)["global"]["external_labels"] == {"cluster": cluster, "region": REGION}
    [execution] = made.iam.list_role_policies(RoleName="ecs-prometheus-execution")["PolicyNames"]
    assert execution == "execution-role"


def test_stack_is_created_with_one_command(reader):
    reader.run(*(commands(heading) for heading in STEPS[:4]), commands("With CloudFormation or Terraform"))

    [stack] = reader.client("cloudformation").describe_stacks(StackName="ecs-prometheus")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_terraform_command_sets_all_required_variables(reader):
    reader.ids["subnet-0123456789abcdef0"] = "subnet-a,subnet-b"
    _, terraform = [body for language, body, _ in BLOCK.findall(sections()["With CloudFormation or Terraform"]) if language == "sh"]

    reader.run(*(commands(heading) for heading in (STEPS[0], STEPS[1], STEPS[3])), terraform)

    words = reader.called.read_text().splitlines()
    given = dict(word.split("=", 1) for option, word in zip(words, words[1:]) if option == "-var")
    variables = {name: body for (name,), body in Module(ECS / "terraform").blocks("variable").items()}
    assert {name for name, body in variables.items() if "default" not in body} | {"assign_public_ip"} == set(given)
    assert json.loads(given["subnet_ids"]) == ["subnet-a", "subnet-b"]
    assert all(given.values())
    assert words.count("-chdir=terraform") == 2 and {"init", "apply"} <= set(words)


def test_compose_command_sets_all_required_variables(reader):
    block = commands("Run it locally")
    required = {name for name in re.findall(r"\$\{(\w+):\?", (ECS / "compose.yaml").read_text())}
    assert required == set(re.findall(r"\b([A-Z_]+)=", block.splitlines()[-1]))
    # Version 1 of the AWS CLI, which these tests use, cannot export credentials.
    commands_here = "\n".join(line for line in block.splitlines() if "export-credentials" not in line)
    reader.run(commands(STEPS[0]), commands_here)
    assert "docker compose up" in reader.called.read_text()


def test_role_in_another_account_requires_the_external_id(reader):
    given = "export MONITORING_ACCOUNT_ID=210987654321 EXTERNAL_ID=between-us ECS_DISCOVERY_IMAGE=x"
    reader.run(commands(STEPS[0]), given, commands(STEPS[2]), commands("A cluster of another account"))

    trust = reader.account.iam.get_role(RoleName="ecs-discovery")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"]["AWS"] == "arn:aws:iam::210987654321:role/ecs-prometheus-task"
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "between-us"}}
    # Placeholders without a value stay.
    assert "CLUSTER_ACCOUNT_ID:role" in (reader.folder / "iam" / "assume-discovery-role.json").read_text()
