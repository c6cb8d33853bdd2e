"""terraform/: formatted, evaluated by Terraform, and equal to the other files.

`terraform validate` and `plan` are not run, because they need the AWS provider from its registry. Instead the arguments
are checked against an excerpt of the provider's schema.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from examples import ECS, placeholders
from secret import SECRET_WITHOUT_SUFFIX, with_lists, with_secret
from template import Template
from terraform_module import Module, blocks_in, environment, programs

FOLDER = ECS / "terraform"
PROGRAMS = programs()
SECRET = f"{SECRET_WITHOUT_SUFFIX}-AbCdEf"
META_ARGUMENTS = {"depends_on"}


@pytest.fixture(scope="module")
def module():
    return Module(FOLDER)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda version: f"terraform-{version}")
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def given():
    """The variables without a default."""
    example = placeholders()
    return {
        "cluster_name": example["CLUSTER_NAME"],
        "application_security_group_id": "sg-application",
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "ecs_discovery_image": example["ECS_DISCOVERY_IMAGE"],
        "config_bucket": example["CONFIG_BUCKET"],
        "ascent_host": example["ASCENT_HOST"],
        "secret_arn": SECRET,
    }


@pytest.fixture(scope="module")
def evaluated(module, program, given, tmp_path_factory):
    return module.evaluate(program, tmp_path_factory.mktemp("module"), given)


@pytest.fixture(scope="module")
def resources(evaluated):
    _, resources = evaluated
    return resources


def test_terraform_is_available():
    assert PROGRAMS, "neither on the PATH nor from requirements.txt, whose package supports only Linux on x86_64"


def test_files_are_formatted(program, tmp_path):
    check = [program, "fmt", "-check", "-diff", "-recursive", FOLDER]
    done = subprocess.run(check, capture_output=True, text=True, env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_arguments_are_in_the_schema_of_the_provider(module):
    schema = json.loads(Path(__file__).with_name("aws_provider.json").read_text())["resources"]

    def check(where, body, known):
        blocks = blocks_in(body)
        arguments = body.keys() - blocks.keys() - META_ARGUMENTS
        assert arguments <= {*known["required"], *known["optional"]}, where
        assert arguments >= set(known["required"]), where
        for name, bodies in blocks.items():
            assert name in known["blocks"], where
            for each in bodies:
                check(f"{where}.{name}", each, known["blocks"][name])

    resources = module.blocks("resource")
    for (kind, name), body in resources.items():
        check(f"{kind}.{name}", body, schema[kind])
    assert {kind for kind, _ in resources} <= schema.keys()


def test_variables_and_outputs_are_described_and_variables_are_typed_and_used(module):
    text = "\n".join(file.read_text() for file in FOLDER.glob("[!v]*.tf"))
    for (name,), variable in module.blocks("variable").items():
        assert variable["description"].strip('"') and variable["type"], name
        assert re.search(rf"\bvar\.{name}\b", text), f"{name} is not used"
    assert all(output["description"].strip('"') for output in module.blocks("output").values())


def test_variables_match_the_parameters_of_the_stack(module):
    parameters = Template(ECS / "cloudformation.yaml").document["Parameters"]
    snake = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): each for name, each in parameters.items()}
    del snake["prometheus_memory"]  # computed: unlike CloudFormation, Terraform can subtract
    variables = {name: each for (name,), each in module.blocks("variable").items()}
    del variables["name"]  # the stack has a name anyway
    assert variables.keys() == snake.keys()
    assert [name for name in variables if ("default" in variables[name]) != ("Default" in snake[name])] == []


def test_provider_and_terraform_versions_are_required(module):
    [terraform] = module.parsed["terraform"]
    [providers] = terraform["required_providers"]
    assert providers["aws"] == {"source": '"hashicorp/aws"', "version": '"~> 6.0"'}
    assert "required_version" in terraform


def test_task_definition_equals_the_example(resources):
    task = resources["aws_ecs_task_definition.prometheus"]
    example = with_secret(SECRET, "task-definition.json")
    assert json.loads(task["container_definitions"]) == example["containerDefinitions"]
    assert {
        "family": task["family"],
        "requiresCompatibilities": task["requires_compatibilities"],
        "networkMode": task["network_mode"],
        "cpu": str(task["cpu"]),
        "memory": str(task["memory"]),
        "taskRoleArn": task["task_role_arn"],
        "executionRoleArn": task["execution_role_arn"],
        "runtimePlatform": [
            {"operatingSystemFamily": each["operating_system_family"], "cpuArchitecture": each["cpu_architecture"]}
            for each in task["runtime_platform"]
        ][0],
        "volumes": task["volume"],
    } == {key: value for key, value in example.items() if key != "containerDefinitions"}


def test_prometheus_gets_the_remaining_memory(module, program, given, tmp_path):
    _, resources = module.evaluate(program, tmp_path, given | {"memory": 4096})
    containers = json.loads(resources["aws_ecs_task_definition.prometheus"]["container_definitions"])
    assert {each["name"]: each.get("memory") for each in containers}["prometheus"] == 4096 - 512
    assert sum(each.get("memory", 128) for each in containers) <= 4096


@pytest.mark.parametrize("on_instances, discovery", [(True, "one-cluster"), (False, "fargate-only")])
def test_roles_equal_those_of_the_example(
    module, program, given, tmp_path, on_instances, discovery
):
    _, resources = module.evaluate(program, tmp_path, given | {"tasks_on_instances": on_instances})
    roles = {body["name"]: body for name, body in resources.items() if name.startswith("aws_iam_role.")}
    trust = with_secret(SECRET, "iam/trust-ecs-tasks.json")
    assert {name: json.loads(role["assume_role_policy"]) for name, role in roles.items()} == {
        "ecs-prometheus-task": trust, "ecs-prometheus-execution": trust,
    }
    policies = [body for name, body in resources.items() if name.startswith("aws_iam_role_policy.")]
    assert {(each["role"], each["name"]): with_lists(json.loads(each["policy"])) for each in policies} == {
        (role, name): with_lists(with_secret(SECRET, f"iam/{file}.json")) for role, name, file in [
            ("ecs-prometheus-task", "discovery", f"discovery-{discovery}"),
            ("ecs-prometheus-task", "config-bucket", "config-bucket"),
            ("ecs-prometheus-execution", "execution", "execution-role"),
        ]
    }


def test_only_traffic_from_prometheus_to_the_tasks_is_allowed(resources):
    rules = {name: body for name, body in resources.items() if name.startswith("aws_vpc_security_group_ingress_rule.")}
    [rule] = rules.values()
    prometheus = resources["aws_security_group.prometheus"]
    assert "ingress" not in prometheus
    assert (rule["security_group_id"], rule["referenced_security_group_id"]) == ("sg-application", prometheus["id"])
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("tcp", 1024, 65535)


def test_service_never_runs_two_tasks(resources):
    service = resources["aws_ecs_service.prometheus"]
    assert service["desired_count"] == 1
    assert (service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]) == (0, 100)
    assert service["deployment_circuit_breaker"] == [{"enable": True, "rollback": True}]
    assert service["availability_zone_rebalancing"] == "DISABLED"


def test_service_runs_the_task_on_fargate_in_its_security_group(resources, given):
    service = resources["aws_ecs_service.prometheus"]
    assert (service["launch_type"], service["cluster"]) == ("FARGATE", given["cluster_name"])
    assert service["task_definition"] == resources["aws_ecs_task_definition.prometheus"]["arn"]
    assert service["network_configuration"] == [{
        "subnets": given["subnet_ids"],
        "security_groups": [resources["aws_security_group.prometheus"]["id"]],
        "assign_public_ip": False,
    }]


def test_log_group_has_a_retention(resources):
    group = resources["aws_cloudwatch_log_group.prometheus"]
    assert (group["name"], group["retention_in_days"]) == ("/ecs/ecs-prometheus", 30)


def test_outputs_have_values(evaluated):
    outputs, resources = evaluated
    assert outputs["task_role_arn"] == resources["aws_iam_role.task"]["arn"]
    assert all(outputs.values())


@pytest.mark.parametrize("variable, value", [
    ("cluster_name", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"),
    ("ascent_host", "https://ascent.example.com"),
    ("secret_arn", SECRET_WITHOUT_SUFFIX),
    ("memory", 512),
])
def test_common_mistakes_are_rejected(module, program, given, tmp_path, variable, value):
    with pytest.raises(ValueError, match="Invalid value for variable"):
        module.evaluate(program, tmp_path, given | {variable: value})
