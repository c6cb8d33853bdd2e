"""The guide: programs really print the messages and log lines that it quotes."""

import json
import re
import shlex
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from conftest import PROMETHEUS_PROGRAMS
from examples import ECS, containers
from guide import GUIDE, SOURCE, codes, like, rows
from parts.account import REGION, TEST_KEYS, docker_labels
from parts.authorization import bearer
from parts.discovery import Discovery
from parts.moto import Moto
from parts.process import clean_environment
from parts.prometheus import Prometheus, agent_flags
from parts.receiver_proxy import ReceiverProxy
from parts.wait import until
from simaws import SimAws
from worlds import ec2_app

WRONG = "When something is wrong"

# Names of containers, fields and pages, which are not messages of a program.
NAMES = {
    "config", "prometheus", "stoppedReason", "reason", "/targets", "taskRoleArn", "skipped", "task_arn",
    "container_arn", "task_revision",
}  # fmt: skip

# Messages of AWS, of FireLens's Fluent Bit (plugins/out_http/http.c) and of Thanos Receive, which do not run here.
FROM_DOCUMENTATION = {
    "ResourceInitializationError", "unable to pull secrets", "CannotPullContainerError", "OutOfMemoryError",
    "HTTP status=401", "no upstream connections available", 'err="server returned HTTP status 409 Conflict',
}  # fmt: skip


@pytest.fixture(scope="module")
def messages(request, tmp_path_factory):
    """All messages of the program, Prometheus and the AWS CLI in failing and successful scenarios."""
    scenarios = [
        (messages_of_discovery, request.config.programs),
        *((messages_of_prometheus, program) for program in PROMETHEUS_PROGRAMS),
        (messages_of_aws_cli, containers(ECS / "task-definition.json")["config"]),
    ]
    with ThreadPoolExecutor() as executor:
        running = [executor.submit(scenario, what, tmp_path_factory.mktemp("scenario")) for scenario, what in scenarios]
        return "\n".join(text for scenario in running for text in scenario.result())


def is_message(quoted, messages):
    """Returns whether a program printed the text in one line, or the source has all parts of it between `…`."""
    return bool(like(quoted).search(messages)) or all(part in SOURCE for part in quoted.split("…"))


def test_quoted_symptoms_are_real_messages(messages):
    quoted = {code for _, tell, _ in rows(WRONG) for code in codes(tell)} - NAMES - FROM_DOCUMENTATION
    assert {"code=ThrottlingException", "connection refused"} <= quoted
    unknown = {each for each in quoted if not is_message(each, messages)}
    if not any(program.version.startswith("3") for program in PROMETHEUS_PROGRAMS):
        unknown -= {each for each in unknown if "Content-Type" in each}  # of Prometheus 3
    assert unknown == set()


def test_every_excepted_message_is_quoted():
    quoted = {code for _, tell, _ in rows(WRONG) for code in codes(tell)}
    assert FROM_DOCUMENTATION <= quoted


def test_shown_log_lines_are_written(messages):
    lines = re.findall(r"^(?:ts|time)=.*$", GUIDE, re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        # Only the message of Prometheus's lines, whose format depends on the major version.
        quoted = re.search(r'msg="[^"]*"', line)[0] if line.startswith("time=") else line
        assert is_message(quoted, messages), line


def world(labels):
    interface = {"privateIpv4Address": "10.0.1.17"}
    task = {
        "id": "t1", "taskDefinition": "web:1", "group": "service:web",
        "containers": [{"name": name, "networkInterfaces": [interface]} for name in ("web", "log-router")],
    }
    definition = {
        "family": "web", "revision": 1, "networkMode": "awsvpc",
        "containerDefinitions": [
            {"name": "web", "image": "shop/web", "dockerLabels": labels},
            {"name": "log-router", "image": "shop/log-router"},
        ],
    }
    return {"region": REGION, "clusters": [{"name": "prod", "tasks": [task]}], "taskDefinitions": [definition]}


ONE = ["-config.cluster=prod"]
ROLE = ["-config.role-arn=arn:aws:iam::210987654321:role/ecs-discovery"]
LABELLED, UNLABELLED = world(docker_labels(9102)), world({})
NO_TASK = {"clusters": [{"name": "prod"}]}


def messages_of_discovery(programs, directory):
    """Returns the logs of the program and of its health check."""
    scenarios = [
        (LABELLED, ONE, None),
        (UNLABELLED, ONE, None),
        (NO_TASK, ONE, None),
        (LABELLED, ["-config.cluster=other"], None),
        (LABELLED, [*ONE, *ROLE], ("sts:AssumeRole", "denied")),
        (ec2_app(), ONE, ("ec2:DescribeInstances", "denied")),
        *((LABELLED, ONE, ("ecs:ListTasks", kind)) for kind in ("denied", "throttle", "hang")),
    ]
    running = [start(programs, directory / str(number), *each) for number, each in enumerate(scenarios)]
    running.append(start(programs, directory / "written", LABELLED, ONE, None, file="missing/ecs_file_sd.yml"))
    foreign = directory / "foreign-file"
    foreign.mkdir()
    (foreign / "ecs_file_sd.yml").write_text("- targets: [other:1]\n")
    running.append(start(programs, foreign, LABELLED, ONE, ("ecs:ListTasks", "denied")))
    logs = []
    for aws, program in running:
        program.exit_code()
        aws.stop()
        # The guide shows the port of the task definition; here the kernel has chosen one.
        logs.append(re.sub(r"(?<=message=listening address=127\.0\.0\.1:)\d+", "10779", program.log()))
    binary = programs["ECS_DISCOVERY_BIN"]
    no_metadata = {"AWS_EC2_METADATA_DISABLED": "true"}
    closed = "http://127.0.0.1:9"
    proxy = {"HTTP_PROXY": closed, "HTTPS_PROXY": closed}
    task_role = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role", "AWS_REGION": REGION, **proxy}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": REGION, "AWS_ENDPOINT_URL": closed}
    _cmd, _path, *health_check = containers(ECS / "task-definition.json")["ecs-discovery"]["healthCheck"]["command"]
    for flags, environment in (
        (["-config.scrape-times=1"], no_metadata),
        (["-config.scrape-times=1"], no_metadata | {"AWS_REGION": REGION}),
        (["-config.scrape-times=1", *ONE], no_metadata | task_role),
        (["-config.scrape-times=1", *ONE], no_metadata | keys),
        (health_check, {}),
        (health_check, {"ECS_DISCOVERY_WEB_LISTEN_ADDRESS": "127.0.0.1:9"}),
    ):
        file = str(directory / "x.yml")
        environment = clean_environment(directory, ECS_DISCOVERY_CONFIG_WRITE_TO=file, **environment)
        done = subprocess.run([binary, *flags], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        logs.append(done.stderr)
    return logs


def start(programs, directory, world, flags, fault, file="ecs_file_sd.yml"):
    """Starts the program for one refresh; returns the simulated AWS and the program."""
    directory.mkdir(exist_ok=True)
    aws = SimAws(programs["SIMAWS_BIN"], world, directory)
    if fault:
        body = json.dumps(dict(zip(("operation", "kind"), fault, strict=True))).encode()
        urllib.request.urlopen(urllib.request.Request(f"{aws.url}/_sim/faults", body, method="POST")).close()
    flags = ["-config.scrape-times=1", "-web.listen-address=127.0.0.1:0", *flags]
    return aws, Discovery(programs["ECS_DISCOVERY_BIN"], flags, directory / file, directory, aws.url, TEST_KEYS)


class Exporters(BaseHTTPRequestHandler):
    """Responds to /404 with 404 and to /hang never; other responses have no Content-Type."""

    def do_GET(self):
        if self.path == "/hang":
            self.server.stopping.wait()
            return
        self.send_response(404 if self.path == "/404" else 200)
        self.end_headers()
        self.wfile.write(b"up 1\n")

    def log_message(self, *_):
        pass


def messages_of_prometheus(program, directory):
    """Runs Prometheus with prometheus.yml, failing targets and a rejecting receiver; returns its log and errors."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exporters)
    server.daemon_threads, server.stopping = True, threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    receiver_proxy = ReceiverProxy(bearer("another"), "http://127.0.0.1:9", directory)
    config = yaml.safe_load((ECS / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    token = directory / "token"
    token.write_text("not-the-token")
    [sent] = config["remote_write"]
    sent["url"] = sent["url"].replace("ASCENT_HOST", receiver_proxy.host)
    sent["authorization"]["credentials_file"] = str(token)
    config["remote_write"].append({"url": "http://127.0.0.1:9"})
    down = {"closed": "127.0.0.1:9", "hang": host, "404": host, "untyped": host}
    config["scrape_configs"] = [
        {"job_name": path, "metrics_path": f"/{path}", "static_configs": [{"targets": [target]}]}
        for path, target in down.items()
    ]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with_rules = directory / "with-rules.yml"
    with_rules.write_text("rule_files: [alerts.yml]")
    flags = agent_flags(program, ["--agent", f"--storage.agent.path={directory / 'data'}"])
    rejected = subprocess.run(
        [program.prometheus, *flags, f"--config.file={with_rules}"], capture_output=True, text=True, timeout=60,
    )
    assert rejected.returncode == 2
    running = Prometheus(
        program, directory, *flags, f"--config.file={file}", SSL_CERT_FILE=str(receiver_proxy.authority)
    )
    try:
        def errors():
            with urllib.request.urlopen(f"{running.url}/api/v1/targets", timeout=30) as response:
                found = [each["lastError"] for each in json.load(response)["data"]["activeTargets"]]
            # Prometheus 2 accepts a missing Content-Type.
            at_least = len(down) if program.version.startswith("3") else len(down) - 1
            return found if sum(map(bool, found)) >= at_least else None

        scrape_errors = until("targets are down", errors)
        until("sending was rejected", lambda: "401 Unauthorized" in running.log())
        until("sending is retried", lambda: "Failed to send batch" in running.log())
        with urllib.request.urlopen(f"{running.url}/metrics", timeout=30) as response:
            metrics = response.read().decode()
        return [running.log(), rejected.stderr, *scrape_errors, metrics]
    finally:
        server.stopping.set()
        running.popen.kill()  # on SIGTERM it would retry sending for a minute
        running.stop()
        receiver_proxy.stop()
        server.shutdown()
        server.server_close()


def messages_of_aws_cli(container, directory):
    """Returns the output of the container `config` without permission to read the object."""
    moto = Moto(directory)
    try:
        moto.enforce_permissions()
        copy = shlex.split(container["command"][0].split(";")[0])
        environment = clean_environment(
            directory, AWS_ENDPOINT_URL=moto.endpoint, AWS_DEFAULT_REGION=REGION, AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",
        )
        copy = [str(Path(sys.executable).with_name(copy[0])), *copy[1:]]
        done = subprocess.run(copy, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        return [done.stderr]
    finally:
        moto.stop()
