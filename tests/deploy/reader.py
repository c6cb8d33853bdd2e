"""A reader of the guide, who runs its commands in a shell.

The AWS CLI calls moto. docker and terraform are scripts that log their arguments, and run the real
ecs-discovery and promtool where docker would.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
from conftest import PROMETHEUS_PROGRAMS
from examples import ECS, placeholders
from guide import like
from parts.account import REGION, TEST_KEYS, Account
from parts.moto import Moto
from parts.process import Process, clean_environment
from terminal import Terminal

TOKEN = "t0ken-with_every.kind~of+character/that=may-be"
NEXT_TOKEN = "the-n3xt-token"

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
LOG_AND_RUN = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLED.aws"
exec "$AWS" "$@"
"""


class RunningServices(Moto):
    """moto does not start tasks of a service, but can report them as running."""

    def __init__(self, directory):
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        environment = clean_environment(directory, MOTO_ECS_SERVICE_RUNNING="1")
        Process.__init__(self, argv, directory / "moto.log", environment)
        self.endpoint = self.wait_for_log(r"Running on (http://127\.0\.0\.1:\d+)")[1]


class Reader:
    def __init__(self, endpoint, program, directory):
        self.account = Account(endpoint)
        self.client = lambda service: boto3.client(
            service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=TEST_KEYS.id,
            aws_secret_access_key=TEST_KEYS.secret,
        )
        self.folder = directory / "ecs"
        shutil.copytree(ECS, self.folder, ignore=shutil.ignore_patterns("*.md", ".terraform*"))
        shutil.copy(ECS.parent / "alerts.yml", directory)
        self.cluster = self.account.cluster(placeholders()["CLUSTER_NAME"])
        [subnet] = self.account.ec2.describe_subnets(SubnetIds=[self.account.subnet])["Subnets"]
        group = {"GroupName": "application", "Description": "of the tasks", "VpcId": subnet["VpcId"]}
        self.ids = {
            "vpc-0123456789abcdef0": subnet["VpcId"], "subnet-0123456789abcdef0": subnet["SubnetId"],
            "sg-0123456789abcdef0": self.account.ec2.create_security_group(**group)["GroupId"],
        }
        self.called = directory / "called"
        for name, script in {"docker": DOCKER, "terraform": LOG_ARGUMENTS, "aws": LOG_AND_RUN}.items():
            file = directory / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(script)
            file.chmod(0o755)
        path = [directory / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        self._environment = clean_environment(
            directory, PATH=os.pathsep.join(map(str, path)), AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID=TEST_KEYS.id,
            AWS_SECRET_ACCESS_KEY=TEST_KEYS.secret, AWS_EC2_METADATA_DISABLED="true", CALLED=str(self.called),
            PROGRAM=str(program), PROMTOOL=str(PROMETHEUS_PROGRAMS[-1].promtool),
            AWS=str(Path(sys.executable).with_name("aws")),
        )

    def run(self, *blocks):
        """Runs the blocks in one shell, with the token as input; returns the output of each block."""
        script = "\n".join(["set -euo pipefail", *(f"{self.of_account(block)}\nprintf '\\0'" for block in blocks)])
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self._environment, input=f"{TOKEN}\n{NEXT_TOKEN}\n",
            capture_output=True, text=True, timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split("\0")[:-1]

    def of_account(self, block):
        """Replaces the example IDs by those of the account."""
        for example, actual in self.ids.items():
            block = block.replace(example, actual)
        return block

    def terminal(self):
        return Terminal(self.folder, self._environment)

    def arguments(self):
        """Returns all arguments of the programs that were run."""
        return "".join(file.read_text() for file in self.called.parent.glob("called*"))


def assert_output_as_shown(expected, output):
    lines = [line for line in output.splitlines() if line]
    expected = [line for line in expected.splitlines() if line]
    assert len(lines) == len(expected), output
    assert all(like(line).fullmatch(text) for line, text in zip(expected, lines, strict=True)), output
