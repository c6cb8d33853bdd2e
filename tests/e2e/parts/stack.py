"""A deployment of examples/ecs: what its task needs, the task itself, and the receiver of its metrics."""

import json
import os
import re
import socket
import sys
from pathlib import Path

from . import prometheus as stock
from .account import REGION
from .authorization import bearer
from .credentials import CredentialsEndpoint
from .process import Process, clean_environment
from .prometheus import Prometheus
from .receiver_proxy import ReceiverProxy
from .task import Task

EXAMPLE = Path(__file__).parents[3] / "examples" / "ecs"
TOKEN = "t0ken-with_every.kind~of+character/that=may-be-in-one"

# The values of the placeholders, except ASCENT_HOST, which differs per stack, and the image.
VALUES = {
    "REGION": REGION, "ACCOUNT_ID": "123456789012", "CLUSTER_NAME": "prod", "CLUSTER_LABEL": "prod-eu",
    "CONFIG_BUCKET": "prometheus-config", "CONFIG_KEY": "prometheus-1.yml", "WORKSPACE_ID": "ws-0123abcd",
    "REMOTE_WRITE_USERNAME": "123456",
}

# The files of the guide; backends.md has others.
GUIDE = ("task-definition.json", "prometheus.yml")

TASK_ROLE = "ecs-prometheus-task"
TASK_POLICIES = ["discovery-one-cluster", "config-bucket"]


def example(name, values=VALUES):
    """Returns a file of the example with these placeholders and addresses replaced by their values."""
    text = (EXAMPLE / name).read_text()
    for word, value in values.items():
        text = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", value, text)
    return text


def policy(name):
    return json.loads(example(f"iam/{name}.json"))


class Prerequisites:
    """Creates what a task needs before it can run: the bucket, the secret, and the two roles."""

    def __init__(self, account):
        self._account = account
        account.s3.create_bucket(
            Bucket=VALUES["CONFIG_BUCKET"], CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        account.secrets.create_secret(Name="ecs-prometheus", SecretString=json.dumps({"remote_write_token": TOKEN}))
        trust = policy("trust-ecs-tasks")
        task_role = account.role(TASK_ROLE, trust, *(policy(name) for name in TASK_POLICIES))
        execution_role = account.role("ecs-prometheus-execution", trust, _for_any_resource(policy("execution-role")))
        # The trust policy allows only ECS to assume the roles, so assume them before moto enforces permissions.
        self._agent = account.assume(execution_role)
        self.session = account.session(task_role)
        self._credentials = CredentialsEndpoint(self.session, task_role)
        self.environment = {
            "AWS_REGION": REGION, "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._credentials.url,
            "AWS_ENDPOINT_URL": account.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
        }

    def upload(self, config):
        self._account.s3.put_object(Bucket=VALUES["CONFIG_BUCKET"], Key=VALUES["CONFIG_KEY"], Body=config.encode())

    def deny(self, action):
        """Denies an action to the task role from now on."""
        denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
        self._account.put_role_policy(TASK_ROLE, "denied", {"Version": "2012-10-17", "Statement": [denied]})

    def secret(self, value_from):
        """Reads a secret like the ECS agent, from a valueFrom of the form ARN:key:stage:version."""
        *arn, key, _stage, _version = value_from.split(":")
        text = self._agent.secrets.get_secret_value(SecretId=":".join(arn))["SecretString"]
        return json.loads(text)[key]

    def stop(self):
        self._credentials.stop()


class Stack:
    """A task, and a receiving Prometheus behind a proxy that checks who sends."""

    def __init__(self, directory, prerequisites, binary, program, authorized=bearer(TOKEN), files=GUIDE, edit=None):
        """files: task definition and configuration; edit(text, CA of the receiver) changes either, as a user would.

        Without edit, the operating system trusts the CA.
        """
        self.directory, self._prerequisites, self._binary, self._program = directory, prerequisites, binary, program
        self.receiver = _receiver(program, directory / "receiver")
        self.receiver_proxy = ReceiverProxy(authorized, self.receiver.url, directory)
        self._prometheus_address = _free_address()
        host = self.receiver_proxy.host
        values = VALUES | {
            "ASCENT_HOST": host, "aps-workspaces.REGION.amazonaws.com": host,
            "REMOTE_WRITE_URL": f"https://{host}/api/v1/push", "127.0.0.1:9090": self._prometheus_address,
            "127.0.0.1:10779": _free_address(),
        }
        images = {"config": self._config, "ecs-discovery": self._ecs_discovery, "prometheus": self._prometheus}
        authority = self.receiver_proxy.authority
        self._trust = {} if edit else {"SSL_CERT_FILE": str(authority)}
        definition, config = (example(name, values) for name in files)
        if edit:
            definition, config = edit(definition, authority), edit(config, authority)
        self.task = Task(definition, directory / "volumes", images, prerequisites.secret, prerequisites.environment)
        self.config = self.task.on_host("prometheus", config)

    def upload_and_start(self):
        """Uploads the configuration and starts the task; returns its Prometheus."""
        self._prerequisites.upload(self.config)
        return self.task.start("prometheus")

    def stop(self):
        # The sender before the receiver, or it would retry for a minute.
        for name in ("prometheus", "ecs-discovery", "config"):
            if name in self.task.running:
                self.task.running[name].stop()
        self.receiver_proxy.stop()
        self.receiver.stop()

    def diagnostics(self):
        for file in sorted(self.directory.rglob("*.*")):
            if file.suffix in (".log", ".yml"):
                yield f"{self._program.version} {file.relative_to(self.directory)}", file.read_text(errors="replace")

    def _config(self, words, environment):
        # The image has version 2 of the AWS CLI, the tests' virtual environment version 1.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return self._run("config", words, environment | {"PATH": path})

    def _ecs_discovery(self, words, environment):
        return self._run("ecs-discovery", [self._binary, *words], environment)

    def _prometheus(self, words, environment):
        # Go programs trust the CAs in SSL_CERT_FILE.
        words = stock.agent_flags(self._program, words)
        return Prometheus(
            self._program, self.directory, *words, listen=self._prometheus_address, **environment, **self._trust
        )

    def _run(self, name, argv, environment):
        return Process(argv, self.directory / f"{name}.log", clean_environment(self.directory, **environment))


def _for_any_resource(document):
    """Replaces all resources by "*": moto supports only S3 resources and rejects statements with others."""
    return document | {"Statement": [statement | {"Resource": "*"} for statement in document["Statement"]]}


def _receiver(program, directory):
    directory.mkdir(parents=True)
    files = stock.path_flags(stock.write_config(directory / "prometheus.yml"), directory)
    return Prometheus(program, directory, *files, "--web.enable-remote-write-receiver")


def _free_address():
    """Returns an unused address, for a listener whose address must be known before it starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
