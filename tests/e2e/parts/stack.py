"""examples/ecs, deployed: what its task needs, the task itself, and the place its metrics go to."""

import json
import os
import re
import socket
import sys
from pathlib import Path

from . import prometheus as stock
from .account import REGION
from .credentials import CredentialsEndpoint
from .gate import Gate
from .process import Process, bare_environment
from .prometheus import Prometheus
from .task import Task

EXAMPLE = Path(__file__).parents[3] / "examples" / "ecs"
TOKEN = "t0ken-with_every.kind~of+character/that=may-be-in-one"

# The words that a person replaces, but for ASCENT_HOST, which each stack has for itself, and the image.
VALUES = {
    "REGION": REGION, "ACCOUNT_ID": "123456789012", "CLUSTER_NAME": "prod", "CONFIG_BUCKET": "prometheus-config",
}

TASK_ROLE = "ecs-prometheus-task"
TASK_POLICIES = ["discovery-one-cluster", "config-bucket"]


def example(name, values=VALUES):
    """The text of a file of the example, each of these words or addresses replaced by its value."""
    text = (EXAMPLE / name).read_text()
    for word, value in values.items():
        text = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", value, text)
    return text


def policy(name):
    return json.loads(example(f"iam/{name}.json"))


class Ground:
    """What must be there before a task can run: the bucket, the secret, and the two roles."""

    def __init__(self, account):
        self._account = account
        account.s3.create_bucket(
            Bucket=VALUES["CONFIG_BUCKET"], CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        account.secrets.create_secret(Name="ecs-prometheus", SecretString=json.dumps({"remote_write_token": TOKEN}))
        trust = policy("trust-ecs-tasks")
        task_role = account.role(TASK_ROLE, trust, *(policy(name) for name in TASK_POLICIES))
        execution_role = account.role("ecs-prometheus-execution", trust, _for_any_resource(policy("execution-role")))
        # ECS assumes both. The trust policy lets nobody else, so this comes before moto checks permissions.
        self._agent = account.seen_through(execution_role)
        self._credentials = CredentialsEndpoint(account.session(task_role), task_role)
        self.environment = {
            "AWS_REGION": REGION, "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._credentials.url,
            "AWS_ENDPOINT_URL": account.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
        }

    def upload(self, config):
        self._account.s3.put_object(Bucket=VALUES["CONFIG_BUCKET"], Key="prometheus.yml", Body=config.encode())

    def deny(self, action):
        """From now on the task role may do all but this."""
        denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
        self._account.give(TASK_ROLE, "denied", {"Version": "2012-10-17", "Statement": [denied]})

    def secret(self, value_from):
        """As the ECS agent reads it: ARN:key:stage:version."""
        *arn, key, _stage, _version = value_from.split(":")
        text = self._agent.secrets.get_secret_value(SecretId=":".join(arn))["SecretString"]
        return json.loads(text)[key]

    def stop(self):
        self._credentials.stop()


class Stack:
    """A task, and behind a gate that wants to see the token the Prometheus that receives."""

    def __init__(self, directory, ground, binary, program, token=TOKEN):
        self.directory, self._ground, self._binary, self._program = directory, ground, binary, program
        self.receiver = _receiver(program, directory / "receiver")
        self.gate = Gate(token, self.receiver.url, directory)
        self._own_address = _free_address()
        values = VALUES | {
            "ASCENT_HOST": self.gate.host, "127.0.0.1:9090": self._own_address, "127.0.0.1:10779": _free_address(),
        }
        images = {"config": self._config, "ecs-discovery": self._ecs_discovery, "prometheus": self._prometheus}
        definition = example("task-definition.json", values)
        self.task = Task(definition, directory / "volumes", images, ground.secret, ground.environment)
        self.config = self.task.seen_by("prometheus", example("prometheus.yml", values))

    def upload_and_start(self):
        """Gives its Prometheus."""
        self._ground.upload(self.config)
        return self.task.start("prometheus")

    def stop(self):
        # The sender before its sink: it would go on trying for a minute.
        for name in ("prometheus", "ecs-discovery", "config"):
            if name in self.task.running:
                self.task.running[name].stop()
        self.gate.stop()
        self.receiver.stop()

    def evidence(self):
        for file in sorted(self.directory.rglob("*.*")):
            if file.suffix in (".log", ".yml"):
                yield f"{self._program.version} {file.relative_to(self.directory)}", file.read_text(errors="replace")

    def _config(self, words, environment):
        # aws of the stock image is version 2; here it is version 1, beside the Python of the tests.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return self._run("config", words, environment | {"PATH": path})

    def _ecs_discovery(self, words, environment):
        return self._run("ecs-discovery", [self._binary, *words], environment)

    def _prometheus(self, words, _environment):
        # SSL_CERT_FILE: the authorities that Go programs trust.
        return Prometheus(
            self._program, self.directory, *words, listen=self._own_address, SSL_CERT_FILE=str(self.gate.authority)
        )

    def _run(self, name, argv, environment):
        return Process(argv, self.directory / f"{name}.log", bare_environment(self.directory, **environment))


def _for_any_resource(document):
    """moto knows of resources in S3 only, and grants nothing to whoever names another."""
    return document | {"Statement": [statement | {"Resource": "*"} for statement in document["Statement"]]}


def _receiver(program, directory):
    directory.mkdir(parents=True)
    files = stock.its_files(stock.write_config(directory / "prometheus.yml"), directory)
    return Prometheus(program, directory, *files, "--web.enable-remote-write-receiver")


def _free_address():
    """For an address that must be known before who listens there has started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
