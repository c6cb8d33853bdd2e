"""The guide: its commands are run, what it shows is compared, its log lines are made to happen, its links are followed.

The AWS CLI asks moto. docker and terraform are stand-ins that note how they were called; the program and promtool that
docker would run are the real ones.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from conftest import PROMETHEUS_PROGRAMS
from examples import ECS, containers, placeholders
from parts.account import REGION, TESTING, Account, docker_labels
from parts.discovery import Discovery
from parts.gate import Gate
from parts.moto import Moto
from parts.process import Process, bare_environment
from parts.prometheus import Prometheus
from parts.wait import until
from simaws import SimAws
from terraform_module import Module

REPOSITORY = ECS.parents[1]
GUIDE = (ECS / "README.md").read_text()
SOURCE = "\n".join(file.read_text() for file in sorted((REPOSITORY / "src").rglob("*.rs")))

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
TOKEN = "t0ken-with_every.kind~of+character/that=may-be"


def sections(text=GUIDE):
    """Headings to what is below each, down to the next heading of any level."""
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def step(number):
    [name] = [heading for heading in sections() if heading.startswith(f"{number}. ")]
    return name


def commands(heading):
    """The only or first block of commands of a section."""
    return next(body for language, body, _ in BLOCK.findall(sections()[heading]) if language == "sh")


def shown(heading):
    """What the section shows right below its commands."""
    return next(output for language, _, output in BLOCK.findall(sections()[heading]) if language == "sh")


def codes(text):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def rows(heading):
    table = [line for line in sections()[heading].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def like(quoted):
    """What is quoted, as a pattern: `…` stands for anything on the line."""
    return re.compile(".*".join(map(re.escape, quoted.split("…"))))


# --- What it names ---------------------------------------------------------------------------------


def test_it_names_every_file():
    named = {ECS / target for target in re.findall(r"\]\(([^)#:]+)\)", GUIDE)}
    there = {file for file in ECS.rglob("*") if file.is_file() and ".terraform" not in file.parts}
    folders = {ECS / "terraform"}
    assert {file for file in there if file not in named and file.parent not in folders} == {ECS / "README.md"}


def test_links_lead_somewhere():
    for file, anchor in re.findall(r"\]\((?!https:)([^)#]*)(?:#([^)]*))?\)", GUIDE):
        target = (ECS / (file or "README.md")).resolve()
        assert target.exists(), file
        if anchor:
            headings = sections(target.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}, anchor


def test_json_files_that_are_only_named_are_there():
    there = {file.name for file in ECS.rglob("*.json")}
    assert {code for code in codes(GUIDE) if re.fullmatch(r"[\w-]+\.json", code)} <= there


def test_flags_and_variables_are_those_of_the_program(request):
    help_text = subprocess.check_output([request.config.programs["ECS_DISCOVERY_BIN"], "-help"], text=True)
    flags = set(re.findall(r"(?<![\w-])-((?:config|web|log)\.[a-z-]+|explain|healthcheck)\b", GUIDE))
    there = set(re.findall(r"^  -([a-z.-]+)=", help_text, re.MULTILINE))
    assert flags and flags <= there
    variables = set(re.findall(r"\bECS_DISCOVERY_(?!IMAGE\b)\w+", GUIDE))
    assert variables <= {"ECS_DISCOVERY_" + re.sub(r"[.-]", "_", flag).upper() for flag in there}


def test_words_in_capitals_are_placeholders_or_variables_that_a_step_sets():
    set_here = set(re.findall(r"\b([A-Z][A-Z_]+)=", GUIDE)) | {"TOKEN"}
    ours = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", SOURCE))
    # Of the agents this page compares with, of the vendor's image, and of the environment of everybody.
    theirs = {
        "ECS_PROMETHEUS_EXPORTER_PORT", "ECS_PROMETHEUS_METRICS_PATH", "CLUSTER_", "MONITORING_", "HTTP_PROXY",
        "HTTPS_PROXY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CAPABILITY_IAM",
        "S3_CONFIG_LOCATION",
    }  # fmt: skip
    words = set(re.findall(r"\b(?!ECS_DISCOVERY_WEB)[A-Z]+_[A-Z_]*\b", GUIDE)) - set_here - ours - theirs
    assert words - set(placeholders()) == set()


def test_meta_labels_are_as_documented():
    documented = (REPOSITORY / "docs" / "output.md").read_text().split("\n## Meta labels\n")[1].split("\n## ")[0]
    whose = dict(re.findall(r"^\| `(__meta_ecs_\w+)` \| .* \| (native|ours) \|$", documented, re.MULTILINE))
    table = rows("Coming from Prometheus's own ECS discovery, and back")
    [same] = [there for there, here in table if here == "the same names and meaning"]
    [only_here] = [here for there, here in table if there == "none"]
    [only_there] = [there for there, here in table if here == "none"]
    [differs] = [there for there, here in table if here == "also `host`"]
    on_instances = {name for name in whose if "_ec2_" in name}
    native = {name for name, who in whose.items() if who == "native"}
    assert set(codes(same)) | on_instances | {codes(differs)[0]} == native
    assert set(codes(only_here)) == {name for name, who in whose.items() if who == "ours"}
    assert not set(codes(only_there)) & set(whose)
    for name in {code for _, _, here in rows(OTHERS) for code in codes(here)} | set(codes(same)):
        assert name in whose or not name.startswith("__meta_ecs_"), name


OTHERS = "Coming from the CloudWatch agent or the OpenTelemetry Collector"


def test_the_table_of_containers_is_that_of_the_task_definition():
    names = [line.split("\t")[0] for line in shown(step(8)).splitlines()]
    assert names == list(containers(ECS / "task-definition.json"))


# --- What it lets one type -------------------------------------------------------------------------

DOCKER = """#!/bin/sh
echo docker "$@" >>"$CALLED"
case " $* " in
*" login "*) cat >/dev/null ;;
*" --entrypoint promtool "*) while [ "$1" != check ]; do shift; done; exec "$PROMTOOL" "$@" ;;
*" -version "*|*" -explain "*) while [ "$1" != "$ECS_DISCOVERY_IMAGE" ]; do shift; done; shift; exec "$PROGRAM" "$@" ;;
esac
"""
NOTED = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >>"$CALLED"
"""


class RunningServices(Moto):
    """moto starts no task of a service, but says that it has so many, where it is told to."""

    def __init__(self, directory):
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        environment = bare_environment(directory, MOTO_ECS_SERVICE_RUNNING="1")
        Process.__init__(self, argv, directory / "moto.log", environment)
        self.endpoint = self.announces(r"Running on (http://127\.0\.0\.1:\d+)")[1]


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    moto = RunningServices(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def reader(services, request, tmp_path):
    """Somebody with this folder, a cluster, a VPC, and a shell."""
    services.reset()
    return Reader(services.endpoint, request.config.programs["ECS_DISCOVERY_BIN"], tmp_path)


class Reader:
    def __init__(self, endpoint, program, directory):
        self.account = Account(endpoint)
        self.client = lambda service: boto3.client(
            service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=TESTING.id,
            aws_secret_access_key=TESTING.secret,
        )
        self.folder = directory / "ecs"
        shutil.copytree(ECS, self.folder, ignore=shutil.ignore_patterns("README.md", ".terraform*"))
        self.cluster = self.account.cluster(placeholders()["CLUSTER_NAME"])
        [subnet] = self.account.ec2.describe_subnets(SubnetIds=[self.account.subnet])["Subnets"]
        group = {"GroupName": "application", "Description": "of the tasks", "VpcId": subnet["VpcId"]}
        self.own = {
            "vpc-0123456789abcdef0": subnet["VpcId"], "subnet-0123456789abcdef0": subnet["SubnetId"],
            "sg-0123456789abcdef0": self.account.ec2.create_security_group(**group)["GroupId"],
        }
        self.called = directory / "called"
        stands_for = {"docker": DOCKER, "terraform": NOTED}
        for name, script in stands_for.items():
            file = directory / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(script)
            file.chmod(0o755)
        path = [directory / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        self._environment = bare_environment(
            directory, PATH=os.pathsep.join(map(str, path)), AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID=TESTING.id,
            AWS_SECRET_ACCESS_KEY=TESTING.secret, AWS_EC2_METADATA_DISABLED="true", CALLED=str(self.called),
            PROGRAM=str(program), PROMTOOL=str(PROMETHEUS_PROGRAMS[-1].promtool),
        )

    def types(self, *blocks):
        """Types these one after the other into one shell, and the token when asked. What each printed."""
        script = "\n".join(["set -euo pipefail", *(f"{block}\nprintf '\\0'" for block in blocks)])
        for example, its_own in self.own.items():
            script = script.replace(example, its_own)
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self._environment, input=f"{TOKEN}\n", capture_output=True,
            text=True, timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.split("\0")[:-1]


STEPS = [step(number) for number in range(1, 9)]


def as_the_guide_shows(heading, said):
    expected = shown(heading).splitlines()
    lines = [line for line in said.splitlines() if line]
    expected = [line for line in expected if line]
    assert len(lines) == len(expected), said
    assert all(like(line).fullmatch(text) for line, text in zip(expected, lines, strict=True)), said


def test_the_steps_lead_to_a_service_and_show_what_the_guide_shows(reader):
    cluster = placeholders()["CLUSTER_NAME"]
    # moto starts no task of a service, and none with a container without a limit: one is started here, with one.
    limited = """sed 's/"name": "config",/& "memory": 64,/' task-definition.json"""
    start = f'''aws ecs register-task-definition --cli-input-json "$({limited})" >started
aws ecs run-task --cluster {cluster} --task-definition ecs-prometheus --launch-type FARGATE >>started \\
    --network-configuration "awsvpcConfiguration={{subnets=[$SUBNET_IDS],securityGroups=[$SECURITY_GROUP]}}"'''
    *said, _started, looked, changed, _stopped, wrong = reader.types(
        *(commands(heading) for heading in STEPS[:-1]), start, commands(STEPS[-1]), commands("To change it"),
        f'aws ecs stop-task --cluster {cluster} --task "$TASK"', commands("When something is wrong"),
    )

    for heading, text in zip(STEPS[:-1], said, strict=True):
        if shown(heading):
            as_the_guide_shows(heading, text)
    # Of a task moto shows the first container, and that on its way up.
    assert looked.split("\t")[0] == "log_router"
    assert changed.strip() == "ACTIVE"
    assert "0 targets in" in wrong
    made = reader.account
    [service] = made.ecs.describe_services(cluster=cluster, services=["ecs-prometheus"])["services"]
    assert service["taskDefinition"].endswith("ecs-prometheus:1")
    # moto does not keep this. It is what cloudformation.yaml has, for the reason that it gives.
    assert "minimumHealthyPercent=0,maximumPercent=100" in commands(step(7))
    secret = json.loads(made.secrets.get_secret_value(SecretId="ecs-prometheus")["SecretString"])
    assert secret == {"remote_write_token": TOKEN, "logs_authorization": f"Authorization Bearer {TOKEN}"}
    kept = made.s3.get_object(Bucket=placeholders()["CONFIG_BUCKET"], Key="prometheus.yml")["Body"].read().decode()
    assert yaml.safe_load(kept)["global"]["external_labels"] == {"cluster": cluster, "region": REGION}
    [execution] = made.iam.list_role_policies(RoleName="ecs-prometheus-execution")["PolicyNames"]
    assert execution == "execution-role"


def test_the_stack_comes_up_as_one_command(reader):
    reader.types(*(commands(heading) for heading in STEPS[:4]), commands("In one command"))

    [stack] = reader.client("cloudformation").describe_stacks(StackName="ecs-prometheus")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_terraform_is_given_all_that_it_asks_for(reader):
    reader.own["subnet-0123456789abcdef0"] = "subnet-a,subnet-b"
    _, terraform = [body for language, body, _ in BLOCK.findall(sections()["In one command"]) if language == "sh"]

    reader.types(*(commands(heading) for heading in (STEPS[0], STEPS[1], STEPS[3])), terraform)

    words = reader.called.read_text().splitlines()
    given = dict(word.split("=", 1) for option, word in zip(words, words[1:]) if option == "-var")
    variables = {name: body for (name,), body in Module(ECS / "terraform").blocks("variable").items()}
    assert {name for name, body in variables.items() if "default" not in body} | {"assign_public_ip"} == set(given)
    assert json.loads(given["subnet_ids"]) == ["subnet-a", "subnet-b"]
    assert all(given.values())
    assert words.count("-chdir=terraform") == 2 and {"init", "apply"} <= set(words)


def test_on_ones_own_machine_compose_has_what_it_asks_for(reader):
    block = commands("On your own machine")
    asked = {name for name in re.findall(r"\$\{(\w+):\?", (ECS / "compose.yaml").read_text())}
    assert asked == set(re.findall(r"\b([A-Z_]+)=", block.splitlines()[-1]))
    # The AWS CLI of these tests is version 1, which cannot export credentials.
    here = "\n".join(line for line in block.splitlines() if "export-credentials" not in line)
    reader.types(commands(STEPS[0]), here)
    assert "docker compose up" in reader.called.read_text()


def test_the_role_in_another_account_is_trusted_with_the_external_id(reader):
    given = "export MONITORING_ACCOUNT_ID=210987654321 EXTERNAL_ID=between-us ECS_DISCOVERY_IMAGE=x"
    reader.types(commands(STEPS[0]), given, commands(STEPS[2]), commands("A cluster of another account"))

    trust = reader.account.iam.get_role(RoleName="ecs-discovery")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"]["AWS"] == "arn:aws:iam::210987654321:role/ecs-prometheus-task"
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "between-us"}}
    # What has no value yet is left to fill in.
    assert "CLUSTER_ACCOUNT_ID:role" in (reader.folder / "iam" / "assume-discovery-role.json").read_text()


# --- What it says that one will see ----------------------------------------------------------------

WRONG = "When something is wrong"

# Containers, members and pages of other parts of this page; none is something that a program says.
NAMES = {
    "config", "prometheus", "stoppedReason", "reason", "/targets", "taskRoleArn", "skipped", "task_arn",
    "container_arn", "task_revision",
}  # fmt: skip

# Said by AWS, by FireLens's Fluent Bit (plugins/out_http/http.c) and by Thanos Receive: none of them runs here.
FROM_DOCUMENTATION = {
    "ResourceInitializationError", "unable to pull secrets", "CannotPullContainerError", "OutOfMemoryError",
    "HTTP status=401", "no upstream connections available", 'err="server returned HTTP status 409 Conflict',
}  # fmt: skip


@pytest.fixture(scope="module")
def heard(request, tmp_path_factory):
    """All that the program, Prometheus and the AWS CLI say when things go wrong, and when they do not."""
    scenes = [
        (ours, request.config.programs),
        *((theirs, program) for program in PROMETHEUS_PROGRAMS),
        (no_object, containers(ECS / "task-definition.json")["config"]),
    ]
    with ThreadPoolExecutor() as at_once:
        play = [at_once.submit(scene, what, tmp_path_factory.mktemp("scene")) for scene, what in scenes]
        return "\n".join(text for scene in play for text in scene.result())


def is_said(quoted, heard):
    """By a program, in one line; or in the source, whose texts have gaps where the guide has `…`."""
    return bool(like(quoted).search(heard)) or all(part in SOURCE for part in quoted.split("…"))


def test_what_the_table_of_symptoms_quotes_is_said(heard):
    quoted = {code for _, tell, _ in rows(WRONG) for code in codes(tell)} - NAMES - FROM_DOCUMENTATION
    assert {"code=ThrottlingException", "connection refused"} <= quoted
    unheard = {each for each in quoted if not is_said(each, heard)}
    if not any(program.version.startswith("3") for program in PROMETHEUS_PROGRAMS):
        unheard -= {each for each in unheard if "Content-Type" in each}  # of Prometheus 3
    assert unheard == set()


def test_nothing_is_excused_that_is_not_there():
    quoted = {code for _, tell, _ in rows(WRONG) for code in codes(tell)}
    assert FROM_DOCUMENTATION <= quoted


def test_the_logs_it_shows_are_written(heard):
    lines = re.findall(r"^(?:ts|time)=.*$", GUIDE, re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        # Of Prometheus only what it says: its lines look different in every major version.
        quoted = re.search(r'msg="[^"]*"', line)[0] if line.startswith("time=") else line
        assert is_said(quoted, heard), line


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


ON_INSTANCES = Path(__file__).parents[1] / "golden/worlds/network_modes/bridge_uses_published_port/world.json"
ONE = ["-config.cluster=prod"]
ROLE = ["-config.role-arn=arn:aws:iam::210987654321:role/ecs-discovery"]
LABELLED, UNLABELLED = world(docker_labels(9102)), world({})
NO_TASK = {"clusters": [{"name": "prod"}]}


def ours(programs, directory):
    """What the program says, and its health check."""
    scenes = [
        (LABELLED, ONE, None),
        (UNLABELLED, ONE, None),
        (NO_TASK, ONE, None),
        (LABELLED, ["-config.cluster=other"], None),
        (LABELLED, [*ONE, *ROLE], ("sts:AssumeRole", "denied")),
        (json.loads(ON_INSTANCES.read_text()), ONE, ("ec2:DescribeInstances", "denied")),
        *((LABELLED, ONE, ("ecs:ListTasks", kind)) for kind in ("denied", "throttle", "hang")),
    ]
    running = [scene(programs, directory / str(number), *each) for number, each in enumerate(scenes)]
    running.append(scene(programs, directory / "written", LABELLED, ONE, None, file="missing/ecs_file_sd.yml"))
    not_ours = directory / "left-alone"
    not_ours.mkdir()
    (not_ours / "ecs_file_sd.yml").write_text("- targets: [other:1]\n")
    running.append(scene(programs, not_ours, LABELLED, ONE, ("ecs:ListTasks", "denied")))
    said = []
    for aws, program in running:
        program.exit_code()
        aws.stop()
        # The port is the task definition's there, and the kernel's choice here.
        said.append(re.sub(r"(?<=message=listening address=127\.0\.0\.1:)\d+", "10779", program.said()))
    binary = programs["ECS_DISCOVERY_BIN"]
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true"}
    dead = "http://127.0.0.1:9"
    proxy = {"HTTP_PROXY": dead, "HTTPS_PROXY": dead}
    task_role = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role", "AWS_REGION": REGION, **proxy}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": REGION, "AWS_ENDPOINT_URL": dead}
    asked = containers(ECS / "task-definition.json")["ecs-discovery"]["healthCheck"]["command"]
    for flags, environment in (
        (["-config.scrape-times=1"], nowhere),
        (["-config.scrape-times=1"], nowhere | {"AWS_REGION": REGION}),
        (["-config.scrape-times=1", *ONE], nowhere | task_role),
        (["-config.scrape-times=1", *ONE], nowhere | keys),
        (asked[2:], {}),
        (asked[2:], {"ECS_DISCOVERY_WEB_LISTEN_ADDRESS": "127.0.0.1:9"}),
    ):
        environment = bare_environment(directory, ECS_DISCOVERY_CONFIG_WRITE_TO=str(directory / "x.yml"), **environment)
        ran = subprocess.run([binary, *flags], env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode != 0
        said.append(ran.stderr)
    return said


def scene(programs, directory, world, flags, fault, file="ecs_file_sd.yml"):
    """One refresh of the program, on its way, and the AWS that it asks."""
    directory.mkdir(exist_ok=True)
    aws = SimAws(programs["SIMAWS_BIN"], world, directory)
    if fault:
        body = json.dumps(dict(zip(("operation", "kind"), fault, strict=True))).encode()
        urllib.request.urlopen(urllib.request.Request(f"{aws.url}/_sim/faults", body, method="POST")).close()
    flags = ["-config.scrape-times=1", "-web.listen-address=127.0.0.1:0", *flags]
    return aws, Discovery(programs["ECS_DISCOVERY_BIN"], flags, directory / file, directory, aws.url, TESTING)


class Exporters(BaseHTTPRequestHandler):
    """/404 is not there, /hang says nothing, and the rest says it without its type."""

    def do_GET(self):
        if self.path == "/hang":
            self.server.told_to_stop.wait()
            return
        self.send_response(404 if self.path == "/404" else 200)
        self.end_headers()
        self.wfile.write(b"up 1\n")

    def log_message(self, *_):
        pass


def theirs(program, directory):
    """The Prometheus of prometheus.yml, with targets that are down, and a place to send to that refuses it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exporters)
    server.daemon_threads, server.told_to_stop = True, threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    gate = Gate("another", "http://127.0.0.1:9", directory)
    config = yaml.safe_load((ECS / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    token = directory / "token"
    token.write_text(TOKEN)
    [sent] = config["remote_write"]
    sent["url"] = sent["url"].replace("ASCENT_HOST", gate.host)
    sent["authorization"]["credentials_file"] = str(token)
    config["remote_write"].append({"url": "http://127.0.0.1:9"})
    down = {"closed": "127.0.0.1:9", "hang": host, "404": host, "untyped": host}
    config["scrape_configs"] = [
        {"job_name": path, "metrics_path": f"/{path}", "static_configs": [{"targets": [target]}]}
        for path, target in down.items()
    ]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    flags = [f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"]
    running = Prometheus(program, directory, *flags, SSL_CERT_FILE=str(gate.authority))
    try:
        def errors():
            with urllib.request.urlopen(f"{running.url}/api/v1/targets", timeout=30) as answer:
                found = [each["lastError"] for each in json.load(answer)["data"]["activeTargets"]]
            at_least = len(down) if program.version.startswith("3") else len(down) - 1  # 2 does not mind a missing type
            return found if sum(map(bool, found)) >= at_least else None

        down_because = until("targets are down", errors)
        until("it was refused", lambda: "401 Unauthorized" in running.said())
        until("it tries again", lambda: "Failed to send batch" in running.said())
        with urllib.request.urlopen(f"{running.url}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        return [running.said(), *down_because, metrics]
    finally:
        server.told_to_stop.set()
        running.popen.kill()  # told to stop, it would go on trying to send for a minute
        running.stop()
        gate.stop()
        server.shutdown()
        server.server_close()


def no_object(container, directory):
    """What the container `config` says where it may not read the object."""
    moto = Moto(directory)
    try:
        moto.check_permissions()
        copy = shlex.split(container["command"][0].split(";")[0])
        environment = bare_environment(
            directory, AWS_ENDPOINT_URL=moto.endpoint, AWS_DEFAULT_REGION=REGION, AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",
        )
        copy = [str(Path(sys.executable).with_name(copy[0])), *copy[1:]]
        ran = subprocess.run(copy, env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode != 0
        return [ran.stderr]
    finally:
        moto.stop()
