"""terraform/: formatted, evaluated by Terraform, and equal to the other files.

`terraform validate` and `plan` are not run, because they need the AWS provider from its registry. Instead the arguments
are checked against an excerpt of the provider's schema.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from examples import ECS, actions, placeholders
from secret import SECRET_WITHOUT_SUFFIX, with_lists, with_secret
from template import Template
from terraform_module import META_ARGUMENTS, META_BLOCKS, Module, blocks_in, environment, programs

FOLDER = ECS / "terraform"
PROGRAMS = programs()
SECRET = f"{SECRET_WITHOUT_SUFFIX}-AbCdEf"
CLUSTER = f"arn:aws:ecs:eu-west-1:123456789012:cluster/{placeholders()['CLUSTER_NAME']}"
TO_AMP = {"backend": "amp", "workspace_id": placeholders()["WORKSPACE_ID"], "logs": "cloudwatch"}
# Variables that are not parameters of the stack, which has a name and tags anyway.
ONLY_TERRAFORM = {"name", "tags", "wait_for_steady_state", "keep_log_group"}


@pytest.fixture(scope="module")
def module():
    return Module(FOLDER)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda version: f"terraform-{version}")
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def given():
    """The variables of the guide: those without a default, and what the backend needs."""
    example = placeholders()
    return {
        "cluster_arns": [CLUSTER],
        "service_cluster": example["CLUSTER_NAME"],
        "application_security_group_id": "sg-application",
        "first_port": 9100,
        "last_port": 9999,
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "ecs_discovery_image": example["ECS_DISCOVERY_IMAGE"],
        "config_bucket": example["CONFIG_BUCKET"],
        "config_key": example["CONFIG_KEY"],
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
            if name in META_BLOCKS:
                continue
            assert name in known["blocks"], where
            for each in bodies:
                check(f"{where}.{name}", each, known["blocks"][name])

    resources = module.blocks("resource")
    for (kind, name), body in resources.items():
        check(f"{kind}.{name}", body, schema[kind])
    assert {kind for kind, _ in resources} == schema.keys()


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
    for name in ONLY_TERRAFORM:
        del variables[name]
    assert variables.keys() == snake.keys()
    assert [name for name in variables if ("default" in variables[name]) != ("Default" in snake[name])] == []


def test_provider_and_terraform_versions_are_required(module):
    [terraform] = module.parsed["terraform"]
    [providers] = terraform["required_providers"]
    assert providers["aws"] == {"source": '"hashicorp/aws"', "version": '"~> 6.0"'}
    assert "required_version" in terraform


def task_definition(file="task-definition.json"):
    """Returns the task definition of the example with the ARN of the cluster."""
    example = with_secret(SECRET, file)
    for container in example["containerDefinitions"]:
        if container["name"] == "ecs-discovery":
            container["command"][0] = f"-config.cluster={CLUSTER}"
    return example


def containers(resources):
    return json.loads(resources["aws_ecs_task_definition.prometheus"]["container_definitions"])


def test_task_definition_equals_the_example(resources):
    task = resources["aws_ecs_task_definition.prometheus"]
    example = task_definition()
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
    defined = containers(resources)
    assert {each["name"]: each.get("memory") for each in defined}["prometheus"] == 4096 - 512
    assert sum(each.get("memory", 128) for each in defined) <= 4096


@pytest.mark.parametrize("variables, file", [
    (TO_AMP | {"secret_arn": "", "ascent_host": ""}, "backends/task-definition-amp.json"),
    ({"backend": "basic-auth", "logs": "cloudwatch", "ascent_host": ""}, "backends/task-definition-cloudwatch.json"),
    ({"backend": "bearer-token", "logs": "cloudwatch", "ascent_host": ""}, "backends/task-definition-cloudwatch.json"),
    ({"logs": "cloudwatch"}, "backends/task-definition-cloudwatch.json"),
    ({"backend": "basic-auth"}, "task-definition.json"),
], ids=["amp", "basic-auth", "bearer-token", "logs in cloudwatch", "logs in ascent"])
def test_task_definition_of_each_backend_equals_its_example(module, program, given, tmp_path, variables, file):
    _, resources = module.evaluate(program, tmp_path, given | variables)
    assert containers(resources) == task_definition(file)["containerDefinitions"]


def test_roles_for_amp_can_write_to_the_workspace_and_read_no_secret(module, program, given, tmp_path):
    _, resources = module.evaluate(program, tmp_path, given | TO_AMP | {"secret_arn": ""})
    written = resources["aws_iam_role_policy.remote_write"]
    assert json.loads(written["policy"]) == with_secret(SECRET, "iam/remote-write-amp.json")
    execution = json.loads(resources["aws_iam_role_policy.execution"]["policy"])
    assert execution == with_secret(SECRET, "iam/execution-role-without-secret.json")


def test_private_ca_reaches_prometheus_and_the_log_router(module, program, given, tmp_path):
    _, resources = module.evaluate(program, tmp_path, given | {"ca_certificates": "-----BEGIN CERTIFICATE-----\n…"})
    defined = {each["name"]: each for each in containers(resources)}
    assert defined["config"]["environment"] == [{"name": "CA_CERTIFICATES", "value": "-----BEGIN CERTIFICATE-----\n…"}]
    # Otherwise the router would start before the file exists.
    assert defined["log_router"]["dependsOn"] == [{"containerName": "config", "condition": "SUCCESS"}]
    mounted = {"sourceVolume": "config", "containerPath": "/config", "readOnly": True}
    assert mounted in defined["log_router"]["mountPoints"] and mounted in defined["prometheus"]["mountPoints"]
    for name in ("ecs-discovery", "prometheus"):
        assert defined[name]["logConfiguration"]["options"]["tls.ca_file"] == "/config/ca.pem"


def test_images_and_architecture_are_variables(module, program, given, tmp_path):
    images = {name: f"mirror.example/{name}:1" for name in ("prometheus", "config", "log_router", "ecs_discovery")}
    variables = {f"{name}_image": image for name, image in images.items()} | {"cpu_architecture": "ARM64"}
    _, resources = module.evaluate(program, tmp_path, given | variables)
    assert {each["name"].replace("-", "_"): each["image"] for each in containers(resources)} == images
    [platform] = resources["aws_ecs_task_definition.prometheus"]["runtime_platform"]
    assert platform["cpu_architecture"] == "ARM64"


@pytest.mark.parametrize("on_instances", [True, False])
def test_all_clusters_are_scanned_if_none_is_given(module, program, given, tmp_path, on_instances):
    variables = {"cluster_arns": [], "tasks_on_instances": on_instances}
    _, resources = module.evaluate(program, tmp_path, given | variables)
    [sidecar] = [each for each in containers(resources) if each["name"] == "ecs-discovery"]
    assert sidecar["command"][0] == "-config.cluster="
    policy = json.loads(resources["aws_iam_role_policy.discovery"]["policy"])
    expected = actions(with_secret(SECRET, "iam/discovery-all-clusters.json"))
    instances = {"ecs:DescribeContainerInstances", "ec2:DescribeInstances"}
    assert actions(policy) == (expected if on_instances else expected - instances)
    assert not any("Condition" in statement for statement in policy["Statement"])


def test_every_resource_and_the_task_have_the_tags(module, program, given, tmp_path):
    tags = {"team": "platform"}
    _, resources = module.evaluate(program, tmp_path, given | {"tags": tags, "stopped_task_topic_arn": "arn:aws:sns:x"})
    without = {name for name, body in resources.items() if body.get("tags") != tags}
    # The others have no tags.
    assert {name.split(".")[0] for name in without} == {"aws_iam_role_policy", "aws_cloudwatch_event_target"}
    assert resources["aws_ecs_service.prometheus"]["propagate_tags"] == "SERVICE"


def test_rule_matches_the_example(module, program, given, tmp_path):
    topic = "arn:aws:sns:eu-west-1:123456789012:ops"
    _, resources = module.evaluate(program, tmp_path, given | {"stopped_task_topic_arn": topic})
    rule, target = (resources[f"aws_cloudwatch_event_{kind}.stopped_tasks"] for kind in ("rule", "target"))
    assert json.loads(rule["event_pattern"]) == with_secret(SECRET, "stopped-tasks.json")
    assert (target["rule"], target["arn"]) == (rule["name"], topic)


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
    assert not {"ingress", "egress"} & prometheus.keys()
    assert (rule["security_group_id"], rule["referenced_security_group_id"]) == ("sg-application", prometheus["id"])
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("tcp", 9100, 9999)


@pytest.mark.parametrize("port, ports", [(443, {443}), (19291, {443, 19291})])
def test_outbound_traffic_is_limited_to_https_the_receiver_and_the_tasks(
    module, program, given, tmp_path, port, ports
):
    _, resources = module.evaluate(program, tmp_path, given | {"receiver_port": port})
    rules = [body for name, body in resources.items() if name.startswith("aws_vpc_security_group_egress_rule.")]
    assert {rule["ip_protocol"] for rule in rules} == {"tcp"}
    assert {rule["from_port"] for rule in rules if rule.get("cidr_ipv4") and rule["from_port"] == rule["to_port"]} == ports
    [scrapes] = [rule for rule in rules if "cidr_ipv4" not in rule]
    assert (scrapes["referenced_security_group_id"], scrapes["from_port"], scrapes["to_port"]) == (
        "sg-application", 9100, 9999,
    )


def test_deployment_stops_the_old_task_first(resources):
    service = resources["aws_ecs_service.prometheus"]
    assert service["desired_count"] == 1
    assert (service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]) == (0, 100)
    assert service["deployment_circuit_breaker"] == [{"enable": True, "rollback": True}]
    assert service["availability_zone_rebalancing"] == "DISABLED"
    assert service["wait_for_steady_state"] is True


def test_service_runs_the_task_on_fargate_in_its_security_group(resources, given):
    service = resources["aws_ecs_service.prometheus"]
    assert (service["launch_type"], service["cluster"]) == ("FARGATE", given["service_cluster"])
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
    ("name", "a name"),
    ("cluster_arns", ["prod"]),
    ("service_cluster", CLUSTER),
    ("application_security_group_id", "application"),
    ("first_port", 0),
    ("last_port", 65536),
    ("subnet_ids", []),
    ("config_key", "prometheus.yml"),
    ("cpu_architecture", "amd64"),
    ("cpu", 500),
    ("memory", 512),
    ("backend", "thanos"),
    ("secret_arn", SECRET_WITHOUT_SUFFIX),
    ("workspace_id", "arn:aws:aps:eu-west-1:123456789012:workspace/ws-1"),
    ("logs", "none"),
    ("ascent_host", "https://ascent.example.com"),
    ("log_retention_in_days", 31),
])
def test_common_mistakes_are_rejected(module, program, given, tmp_path, variable, value):
    with pytest.raises(ValueError, match="Invalid value for variable"):
        module.evaluate(program, tmp_path, given | {variable: value})


# Runs that expect the failure of a resource, which does not exist without the provider.
OF_RESOURCES = re.compile(r'^run "\w+" \{(?:\n(?!\}).*)*expect_failures = \[aws_.*\n\}\n', re.MULTILINE)


def test_tests_of_the_module_pass(module, tmp_path):
    """Runs them on the module without the provider, and therefore without its mock."""
    newest = max(PROGRAMS, key=lambda version: [int(part) for part in version.split(".")])
    if newest.startswith(("0.", "1.0.", "1.1.", "1.2.", "1.3.", "1.4.", "1.5.")):
        pytest.skip(f"Terraform {newest} has no terraform test")
    text = (FOLDER / "tests" / "module.tftest.hcl").read_text()
    assert text.count('mock_provider "aws" {}\n') == 1 and len(OF_RESOURCES.findall(text)) == 1
    text = OF_RESOURCES.sub("", text.replace('mock_provider "aws" {}\n', ""))
    module.write(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "module.tftest.hcl").write_text(text)
    env = environment(tmp_path)
    for arguments in (["init"], ["test", "-no-color"]):
        command = [PROGRAMS[newest], *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{text.count('run ')} passed, 0 failed" in done.stdout


def test_examples_of_the_readme_are_valid_and_complete(module, program, tmp_path):
    whole, amp = re.findall(r"```hcl\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    backend = re.search(r'^  ascent_host .*\n  secret_arn .*\n', whole, re.MULTILINE)[0]
    for number, text in enumerate((whole, whole.replace(backend, amp))):
        arguments = re.search(r'^module "\w+" \{\n  source = [^\n]*\n(.*)^\}', text, re.MULTILINE | re.DOTALL)[1]
        directory = tmp_path / str(number)
        directory.mkdir()
        check = [program, "fmt", "-check", "-"]
        done = subprocess.run(check, input=text, capture_output=True, text=True, env=environment(directory))
        assert done.returncode == 0 or number, done.stdout
        (directory / "example.auto.tfvars").write_text(arguments)
        _, resources = module.evaluate(program, directory, {})
        assert resources["aws_ecs_service.prometheus"]["tags"] == {"team": "platform"}


@pytest.mark.parametrize("variables, missing", [
    ({"secret_arn": ""}, "secret_arn is required"),
    ({"ascent_host": ""}, "ascent_host is required"),
    (TO_AMP | {"workspace_id": ""}, "workspace_id is required"),
    ({"backend": "basic-auth", "logs": "cloudwatch", "secret_arn": ""}, "secret_arn is required"),
])
def test_variables_that_the_backend_needs_are_required(module, program, given, tmp_path, variables, missing):
    with pytest.raises(ValueError, match=missing):
        module.evaluate(program, tmp_path, given | variables)
