"""compose.yaml: what Compose reads, and what the two programs make of it."""

import re
import socket
import subprocess
import sys

import pytest
import yaml
from examples import ECS, containers, placeholders
from parts import sd_file
from parts.account import REGION, Account, docker_labels
from parts.process import Process, bare_environment
from parts.wait import until

# ${NAME}, ${NAME:-default} and ${NAME:?message}, as the Compose specification has them.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


FILE = ECS / "compose.yaml"


@pytest.fixture
def services():
    return yaml.safe_load(FILE.read_text())["services"]


@pytest.fixture
def at(tmp_path):
    """The text as a user's shell has it interpolated, with /output in a directory of the test's own."""
    def interpolated(text, **variables):
        text = VARIABLE.sub(lambda found: variables.get(found["name"]) or found["rest"], text)
        return text.replace("/output", str(tmp_path))

    return interpolated


def test_compose_accepts_it():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    subprocess.run(check, check=True)


def test_what_a_user_has_to_give_is_the_cluster_and_the_region():
    variables = list(VARIABLE.finditer(FILE.read_text()))
    assert {each["name"] for each in variables if each["kind"] == "?"} == {"CLUSTER", "AWS_REGION"}
    assert {each["name"]: each["rest"] for each in variables if each["kind"] != "?"} == {"IMAGE": "ecs-discovery"}


def test_credentials_come_from_the_shell_alone(services):
    environment = services["ecs-discovery"]["environment"]
    credentials = {name for name in environment if name.startswith("AWS_")} - {"AWS_REGION"}
    assert credentials == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert {environment[name] for name in credentials} == {None}


def test_only_the_sidecar_writes_the_shared_volume_at_the_path_that_the_image_made_its_own(services):
    mounted = {name: [volume.split(":") for volume in service["volumes"]] for name, service in services.items()}
    assert mounted["ecs-discovery"] == [["ecs-discovery", "/output"]]
    assert ["ecs-discovery", "/output", "ro"] in mounted["prometheus"]
    assert 'VOLUME ["/output"]' in (ECS.parents[1] / "Dockerfile").read_text()
    declared = yaml.safe_load(FILE.read_text())["volumes"]
    assert {volume for volumes in mounted.values() for volume, *_ in volumes} == set(declared)


@pytest.mark.parametrize("name", ["ecs-discovery", "prometheus"])
def test_a_container_can_do_no_more_than_it_must(services, name):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "no login: for this machine only"


def test_the_programs_are_started_as_on_ecs(services, at):
    on_ecs = containers(ECS / "task-definition.json")
    cluster = placeholders()["CLUSTER_NAME"]
    for name, service in services.items():
        words = [at(word, CLUSTER=cluster) for word in service["command"]]
        assert words == [at(word) for word in on_ecs[name]["command"]]
    assert services["prometheus"]["image"] == on_ecs["prometheus"]["image"]
    assert services["ecs-discovery"]["healthcheck"]["test"] == on_ecs["ecs-discovery"]["healthCheck"]["command"]


def test_prometheus_scrapes_what_it_scrapes_on_ecs_and_sends_nothing():
    [shown] = yaml.safe_load(FILE.read_text())["configs"].values()
    here = (ECS / shown["file"]).read_text()
    on_ecs = yaml.safe_load((ECS / "prometheus.yml").read_text())
    del on_ecs["remote_write"], on_ecs["global"]["external_labels"]
    assert yaml.safe_load(here.replace("ecs-discovery:10779", "127.0.0.1:10779")) == on_ecs


def test_promtool_accepts_its_prometheus_file(promtool):
    promtool("check", "config", ECS / "compose-prometheus.yml")


@pytest.fixture
def account(moto):
    return Account(moto.endpoint)


@pytest.fixture
def environment(services, account, at, tmp_path):
    """What the sidecar has in Compose, on a port that is free here."""
    shell = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    said = services["ecs-discovery"]["environment"]
    given = {name: shell.get(name) if text is None else at(text, AWS_REGION=REGION) for name, text in said.items()}
    given["ECS_DISCOVERY_WEB_LISTEN_ADDRESS"] = given["ECS_DISCOVERY_WEB_LISTEN_ADDRESS"].replace("10779", free_port())
    given = {name: text for name, text in given.items() if text is not None}
    return bare_environment(tmp_path, AWS_ENDPOINT_URL=account.endpoint, **given)


def test_the_sidecar_finds_targets_and_says_that_it_is_healthy(request, services, account, environment, at, tmp_path):
    account.cluster("prod")
    task = account.fargate_task("prod", "web", docker_labels(9102))
    sidecar = services["ecs-discovery"]
    program = request.config.programs["ECS_DISCOVERY_BIN"]

    def healthy():
        _cmd, _its_path, *flags = sidecar["healthcheck"]["test"]
        return subprocess.run([program, *flags], env=environment, timeout=30).returncode == 0

    assert not healthy(), "nothing runs yet"
    command = [program, *(at(word, CLUSTER="prod") for word in sidecar["command"])]
    running = Process(command, tmp_path / "sidecar.log", environment)
    try:
        until("healthy", lambda: running.is_running() and healthy())
        written = tmp_path / "ecs_file_sd.yml"
        [group] = until("a target", lambda: written.exists() and sd_file.read(written))
        assert group["targets"] == [f"{account.address('prod', task)}:9102"]
    finally:
        assert running.stop() == 0, running.said()


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return str(it.getsockname()[1])
