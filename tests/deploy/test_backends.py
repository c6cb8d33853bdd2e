"""backends.md: its files differ from those of the guide only where they must, and its commands work."""

import copy
import json
import re

import pytest
import yaml
from examples import CONFIGS, ECS, VARIANTS, containers, document, filled_in, placeholders
from guide import BACKENDS, blocks, commands, rows, step
from parts.account import REGION
from reader import TOKEN, Reader
from test_guide_commands import BUCKET, key_of, secret, service, services, uploaded  # noqa: F401

AMP = "Amazon Managed Service for Prometheus"
BASIC = "Grafana Cloud or Mimir"
BEARER = "Any receiver with a bearer token"
CLOUDWATCH = "Logs in CloudWatch"
STEPS = [step(number) for number in range(1, 8)]


@pytest.fixture
def reader(services, request, tmp_path):  # noqa: F811
    services.reset()
    return Reader(services.endpoint, request.config.programs["ECS_DISCOVERY_BIN"], tmp_path)


# --- The files -----------------------------------------------------------------------------------


def without_router(task):
    """Returns the task definition with logs in CloudWatch instead of the log router."""
    task = copy.deepcopy(task)
    task["containerDefinitions"] = [each for each in task["containerDefinitions"] if each["name"] != "log_router"]
    [config] = [each for each in task["containerDefinitions"] if each["name"] == "config"]
    for container in task["containerDefinitions"]:
        container["logConfiguration"] = config["logConfiguration"]
        left = [each for each in container.pop("dependsOn", []) if each["containerName"] != "log_router"]
        if left:
            container["dependsOn"] = left
    return task


def without_secret(task):
    task = copy.deepcopy(task)
    for container in task["containerDefinitions"]:
        container.pop("secrets", None)
    return task


def test_variants_differ_only_in_the_router_and_the_secret():
    to_cloudwatch = without_router(document(ECS / "task-definition.json"))
    assert document(ECS / "backends" / "task-definition-cloudwatch.json") == to_cloudwatch
    assert document(ECS / "backends" / "task-definition-amp.json") == without_secret(to_cloudwatch)
    assert len(VARIANTS) == 2
    assert "secretsmanager" not in json.dumps(document(ECS / "backends" / "task-definition-amp.json"))
    for file in VARIANTS:
        assert list(containers(file)) == ["config", "ecs-discovery", "prometheus"]


def test_configurations_differ_only_in_remote_write():
    base, *others = (yaml.safe_load(filled_in(file)) for file in CONFIGS)
    [vendor] = base.pop("remote_write")
    assert len(others) == 3
    for other in others:
        [sent] = other.pop("remote_write")
        assert other == base
        assert sent["queue_config"] == vendor["queue_config"]


def test_each_configuration_has_its_own_authentication():
    example = placeholders()
    sent = {file.stem: yaml.safe_load(filled_in(file))["remote_write"][0] for file in CONFIGS}
    workspace = f"https://aps-workspaces.{REGION}.amazonaws.com/workspaces/{example['WORKSPACE_ID']}"
    assert sent["prometheus-amp"]["url"] == f"{workspace}/api/v1/remote_write"
    assert sent["prometheus-amp"]["sigv4"] == {"region": REGION}
    token = "/config/remote-write-token"
    assert sent["prometheus-basic-auth"]["basic_auth"] == {
        "username": int(example["REMOTE_WRITE_USERNAME"]), "password_file": token,
    }
    assert sent["prometheus-bearer-token"]["authorization"] == {"type": "Bearer", "credentials_file": token}
    for name in ("prometheus-basic-auth", "prometheus-bearer-token"):
        assert sent[name]["url"] == example["REMOTE_WRITE_URL"]
    for each in sent.values():
        assert len({"authorization", "basic_auth", "sigv4"} & each.keys()) == 1


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_promtool_accepts_each_configuration_in_agent_mode(promtool, file, tmp_path):
    token = tmp_path / "token"
    token.write_text("not-a-token")
    config = tmp_path / "prometheus.yml"
    config.write_text(filled_in(file).replace("/config/remote-write-token", str(token)))
    assert "SUCCESS" in promtool("check", "config", "--agent", config)


@pytest.mark.parametrize("file", [file for file in CONFIGS if "amp" not in file.stem], ids=lambda file: file.stem)
def test_commented_ca_is_valid(promtool, file, tmp_path):
    text, found = re.subn(r"# (tls_config: .*)", r"\1", filled_in(file))
    assert found == 1
    config = tmp_path / "prometheus.yml"
    for name in ("remote-write-token", "ca.pem"):
        (tmp_path / name).write_text("x")
        text = text.replace(f"/config/{name}", str(tmp_path / name))
    config.write_text(text)
    assert "SUCCESS" in promtool("check", "config", "--agent", config)


def test_table_names_every_file():
    table = " ".join(" ".join(row) for row in rows("Other receivers, and logs in CloudWatch", BACKENDS))
    for file in (*VARIANTS, *CONFIGS):
        assert file.name in table, file


# --- The commands --------------------------------------------------------------------------------


def deployed(reader):
    """Returns the containers of the task definition that the service runs, and its prometheus.yml."""
    revision = service(reader)["taskDefinition"]
    defined = reader.account.ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    config = yaml.safe_load(uploaded(reader, key_of(reader, revision)))
    return {each["name"]: each for each in defined["containerDefinitions"]}, config


def policies(reader, role):
    return set(reader.account.iam.list_role_policies(RoleName=f"ecs-prometheus-{role}")["PolicyNames"])


def test_stack_for_amp_has_no_secret(reader):
    roles, _put = blocks(STEPS[4])
    before, put = blocks(AMP, BACKENDS)
    reader.run(
        *map(commands, STEPS[:2]), before, commands(STEPS[2]), roles, put, *map(commands, STEPS[5:]),
    )

    defined, config = deployed(reader)
    assert "secrets" not in defined["config"] and "log_router" not in defined
    [workspace] = reader.client("amp").list_workspaces()["workspaces"]
    assert workspace["workspaceId"] in config["remote_write"][0]["url"]
    assert policies(reader, "task") == {"discovery-one-cluster", "config-bucket", "remote-write-amp"}
    assert policies(reader, "execution") == {"execution-role-without-secret"}
    written = reader.account.iam.get_role_policy(RoleName="ecs-prometheus-task", PolicyName="remote-write-amp")
    [statement] = written["PolicyDocument"]["Statement"]
    assert statement["Resource"] == workspace["arn"]
    assert reader.account.secrets.list_secrets()["SecretList"] == []


@pytest.mark.parametrize("heading", [BASIC, BEARER])
def test_stack_for_another_receiver_sends_there(reader, heading):
    before = commands(heading, BACKENDS)
    reader.run(*map(commands, STEPS[:2]), before, *map(commands, STEPS[2:]))

    defined, config = deployed(reader)
    [sent] = config["remote_write"]
    assert sent["url"] == re.search(r"REMOTE_WRITE_URL=(\S+)", before)[1]
    assert list(defined) == ["config", "ecs-discovery", "prometheus"]
    assert {each["logConfiguration"]["logDriver"] for each in defined.values()} == {"awslogs"}
    assert secret(reader)["remote_write_token"] == TOKEN


def test_private_ca_is_written_into_the_task_definition(reader):
    (reader.folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMII+/=\n-----END CERTIFICATE-----\n")
    [added] = blocks("A private CA", BACKENDS)
    *_, counted = reader.run(*map(commands, STEPS[:2]), commands(CLOUDWATCH, BACKENDS), added)

    assert counted.strip() == "1"
    task = json.loads((reader.folder / "task-definition.json").read_text())
    [config] = [each for each in task["containerDefinitions"] if each["name"] == "config"]
    assert config["environment"] == [{"name": "CA_CERTIFICATES", "value": (reader.folder / "ca.pem").read_text()}]
    [sent] = yaml.safe_load((reader.folder / "prometheus.yml").read_text())["remote_write"]
    assert sent["tls_config"] == {"ca_file": "/config/ca.pem"}


def test_private_ca_of_the_log_router_is_that_of_the_stack():
    """Adds what the page says to the task definition, whose result test_stack compares with the template's."""
    section = BACKENDS.split("\n## A private CA\n")[1]
    router, options = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    assert json.loads(f"{{{options.rstrip().rstrip(',')}}}") == {"tls.ca_file": "/config/ca.pem"}
    assert json.loads(f"{{{router.rstrip().rstrip(',')}}}") == {
        "dependsOn": [{"containerName": "config", "condition": "SUCCESS"}],
        "mountPoints": [{"sourceVolume": "config", "containerPath": "/config", "readOnly": True}],
    }


def test_parameters_of_the_page_exist():
    template = yaml.compose((ECS / "cloudformation.yaml").read_text())
    [parameters] = [value for key, value in template.value if key.value == "Parameters"]
    named = {key.value for key, _ in parameters.value}
    variables = set(re.findall(r'^variable "(\w+)"', (ECS / "terraform" / "variables.tf").read_text(), re.MULTILINE))
    section = BACKENDS.split("\n## CloudFormation and Terraform\n")[1]
    assert set(re.findall(r"\b([A-Z][A-Za-z]+)=", section)) - {"CA"} <= named
    assert set(re.findall(r'-var "?([a-z_]+)=', section)) <= variables
