"""examples/ecs/fleet: CloudFormation, Terraform and JSON agree, are valid, and allow exactly the calls of the program."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from examples import ECS, ROW, actions
from parliament import analyze_policy_string
from parts.account import REGION, TEST_KEYS, Account
from secret import with_lists
from template import Template, as_api
from terraform_module import Module, blocks_in, environment, programs
from worlds import ec2_app

FLEET = ECS / "fleet"
README = (FLEET / "README.md").read_text()
CENTRAL, MEMBER = FLEET / "cloudformation.yaml", FLEET / "member-role.yaml"
PROGRAMS = programs()
PORT = 10779
ACCOUNT, MEMBER_ACCOUNT = "123456789012", "210987654321"
MEMBER_ROLE = f"arn:aws:iam::{MEMBER_ACCOUNT}:role/ecs-discovery"
TASK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecs-discovery-task"
QUEUE = f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/ecs-discovery-events"
SURROUNDINGS = {
    "AWS::StackName": "ecs-discovery", "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT,
}  # fmt: skip
GIVEN = {
    "ServiceCluster": "monitoring", "VpcId": "vpc-1", "SubnetIds": ["subnet-1", "subnet-2"],
    "ReaderSecurityGroupId": "sg-readers", "EcsDiscoveryImage": "example/ecs-discovery:0.1.0",
}  # fmt: skip
# Parameters of the stack, the same as variables of the module, and the flags that follow.
CASES = {
    "own account, all clusters": ({}, {}, ["", "", "", ""]),
    "own account, one cluster": (
        {"Clusters": "prod", "ListClusters": "false"}, {"clusters": ["prod"], "list_clusters": False},
        ["prod", "", "", ""],
    ),
    "own account and a member": (
        {"MemberRoleArns": [MEMBER_ROLE], "ExternalId": "secret-id", "Clusters": "prod-*",
         "Regions": "eu-west-1,us-east-1"},
        {"member_role_arns": [MEMBER_ROLE], "external_id": "secret-id", "clusters": ["prod-*"],
         "regions": ["eu-west-1", "us-east-1"]},
        ["prod-*", "eu-west-1,us-east-1", f"self,{MEMBER_ROLE}", "secret-id"],
    ),
    "only a member": (
        {"OwnAccount": "false", "MemberRoleArns": [MEMBER_ROLE], "ExternalId": "secret-id"},
        {"own_account": False, "member_role_arns": [MEMBER_ROLE], "external_id": "secret-id"},
        ["", "", MEMBER_ROLE, "secret-id"],
    ),
}  # fmt: skip
WITH_EVENTS = (
    {"EventsQueueUrls": QUEUE, "Replicas": "1"}, {"events_queue_urls": [QUEUE], "replicas": 1}, ["", "", "", ""],
)  # fmt: skip


class Stack:
    """The evaluated template, with these parameters."""

    def __init__(self, file, given, parameters):
        self.template = Template(file)
        declared = self.template.document["Parameters"]
        defaults = {
            name: (each["Default"].split(",") if each["Type"] == "CommaDelimitedList" else each["Default"])
            for name, each in declared.items() if "Default" in each
        }  # fmt: skip
        self.parameters = defaults | given | parameters
        assert self.parameters.keys() == declared.keys()
        resources = self.template.document["Resources"]
        self.names = {**SURROUNDINGS, **self.parameters, **{name: name for name in resources}}
        self.names["LogGroup"] = "/ecs/ecs-discovery"
        self.attributes = {
            "TaskRole.Arn": TASK_ROLE, "ExecutionRole.Arn": f"arn:aws:iam::{ACCOUNT}:role/execution",
            "SecurityGroup.GroupId": "sg-discovery", "Namespace.Id": "ns-1", "DiscoveryName.Arn": "arn:srv-1",
        }  # fmt: skip

    def properties(self, resource):
        return self.template.properties(resource, self.names, self.attributes)

    def has(self, resource):
        condition = self.template.document["Resources"][resource].get("Condition")
        return condition is None or self.template._resolver(self.names, {}).condition(condition)

    def policies(self):
        """Returns the policies of the task role by name."""
        names = filter(self.has, ("OwnAccountPolicy", "MembersPolicy", "EventsPolicy"))
        made = [self.properties(name) for name in names]
        return {each["PolicyName"]: each["PolicyDocument"] for each in made}

    def container(self):
        request = self.request(boto3_client("ecs"), "TaskDefinition", "RegisterTaskDefinition")
        [container] = request["containerDefinitions"]
        return container

    def request(self, client, resource, operation):
        shape = client.meta.service_model.operation_model(operation).input_shape
        return as_api(shape, self.properties(resource))


def central(**parameters):
    return Stack(CENTRAL, GIVEN, parameters)


def member(**parameters):
    required = {"CentralTaskRoleArn": TASK_ROLE, "CentralAccountId": ACCOUNT, "ExternalId": "example-external-id"}
    stack = Stack(MEMBER, required, parameters)
    stack.names["AWS::AccountId"] = MEMBER_ACCOUNT
    return stack


def boto3_client(service, endpoint="http://127.0.0.1:9"):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=TEST_KEYS.id,
        aws_secret_access_key=TEST_KEYS.secret,
    )  # fmt: skip


def policy(name):
    text = (FLEET / "iam" / f"{name}.json").read_text()
    for placeholder, value in ROW.findall(README):
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return json.loads(text)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda version: f"terraform-{version}")
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture
def terraform(program, tmp_path):
    """terraform(variables) evaluates the module of the service; terraform(variables, "member") that of a member."""
    required = {
        "": {
            "service_cluster": "monitoring", "vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"],
            "reader_security_group_id": "sg-readers", "ecs_discovery_image": "example/ecs-discovery:0.1.0",
        },
        "member": {
            "central_account_id": ACCOUNT, "central_task_role_arn": TASK_ROLE, "external_id": "example-external-id",
        },
    }  # fmt: skip

    def evaluate(variables, module=""):
        return Module(FLEET / "terraform" / module).evaluate(program, tmp_path, required[module] | variables)

    return evaluate


# --- Linters, parameters, placeholders -----------------------------------------------------------


@pytest.mark.parametrize("file", [CENTRAL, MEMBER], ids=lambda file: file.stem)
def test_linter_accepts_the_templates(file):
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "--include-checks", "I", "--", file], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_modules_are_formatted(program, tmp_path):
    check = [program, "fmt", "-check", "-diff", "-recursive", FLEET / "terraform"]
    done = subprocess.run(check, capture_output=True, text=True, env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("module", ["", "member"], ids=["service", "member"])
def test_module_uses_arguments_of_the_provider_and_describes_its_variables(module):
    schema = json.loads(Path(__file__).with_name("aws_provider.json").read_text())["resources"]
    parsed = Module(FLEET / "terraform" / module)

    def check(where, body, known):
        blocks = blocks_in(body)
        arguments = body.keys() - blocks.keys() - {"depends_on", "count"}
        assert set(known["required"]) <= arguments <= {*known["required"], *known["optional"]}, where
        for name, bodies in blocks.items():
            for each in bodies:
                check(f"{where}.{name}", each, known["blocks"][name])

    for (kind, name), body in parsed.blocks("resource").items():
        check(f"{kind}.{name}", body, schema[kind])
    assert all(each["description"].strip('"') and each["type"] for each in parsed.blocks("variable").values())


@pytest.mark.parametrize("file, module", [(CENTRAL, ""), (MEMBER, "member")], ids=["service", "member"])
def test_variables_match_the_parameters(file, module):
    parameters = Template(file).document["Parameters"]
    snake = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): each for name, each in parameters.items()}
    variables = {name: each for (name,), each in Module(FLEET / "terraform" / module).blocks("variable").items()}
    assert variables.keys() - {"name", "tags"} == snake.keys()
    assert [name for name in snake if ("default" in variables[name]) != ("Default" in snake[name])] == []
    assert all(each["Description"] for each in parameters.values())


@pytest.mark.parametrize("file", sorted(FLEET.glob("iam/*.json")), ids=lambda file: file.stem)
def test_linter_accepts_the_policies(file):
    document = policy(file.stem)
    if file.stem.startswith("trust-"):
        for statement in document["Statement"]:
            statement["Resource"] = MEMBER_ROLE
    for finding in analyze_policy_string(json.dumps(document)).findings:
        # The same actions as in ../iam, where a condition narrows the star.
        assert finding.issue == "RESOURCE_STAR", finding
        assert set(finding.detail) <= {"ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeContainerInstances"}, finding


def test_placeholders_are_those_of_the_files():
    text = "".join(file.read_text() for file in FLEET.glob("iam/*.json"))
    used = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text))
    assert used == {placeholder for placeholder, _ in ROW.findall(README)}


def test_readme_links_to_every_file():
    named = {FLEET / target for target in re.findall(r"\]\(([^)#:]+)\)", README)}
    there = {file for file in FLEET.rglob("*") if file.is_file() and ".terraform" not in file.parts}
    assert {file for file in there if not {file, file.parent} & named} == {FLEET / "README.md"}


# --- Task, service, network ----------------------------------------------------------------------


@pytest.mark.parametrize("variables", [
    {"member_role_arns": [MEMBER_ACCOUNT]}, {"events_queue_urls": ["arn:aws:sqs:eu-west-1:123456789012:queue"]},
    {"service_cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/monitoring"}, {"replicas": 0},
    {"architecture": "arm64"},
], ids=lambda variables: next(iter(variables)))  # fmt: skip
def test_common_mistakes_are_rejected(variables, terraform):
    with pytest.raises(ValueError, match="Invalid value for variable"):
        terraform(variables)


@pytest.mark.parametrize("case", CASES)
def test_parameters_become_flags(case, terraform):
    parameters, variables, (clusters, regions, roles, external_id) = CASES[case]
    container = central(**parameters).container()
    assert container["command"] == [
        f"-config.cluster={clusters}", f"-config.region={regions}", f"-config.role-arn={roles}",
        f"-config.external-id={external_id}", "-config.scrape-interval=auto", "-config.meta-labels",
        "-config.write-to=/output/ecs_file_sd.yml",
    ]  # fmt: skip
    _, resources = terraform(variables)
    [same] = json.loads(resources["aws_ecs_task_definition.discovery"]["container_definitions"])
    assert same == container


def test_queue_is_a_flag_and_needs_a_single_task(terraform):
    parameters, variables, _ = WITH_EVENTS
    stack = central(**parameters)
    assert stack.container()["command"][-1] == f"-config.events-queue={QUEUE}"
    assert stack.template.rejections(stack.names) == []
    two = central(EventsQueueUrls=QUEUE)
    assert len(two.template.rejections(two.names)) == 1
    _, resources = terraform(variables)
    [same] = json.loads(resources["aws_ecs_task_definition.discovery"]["container_definitions"])
    assert same == stack.container()


def test_stack_that_would_discover_nothing_is_rejected():
    stack = central(OwnAccount="false", MemberRoleArns=[""])
    assert len(stack.template.rejections(stack.names)) == 1


def test_requests_are_accepted_and_run_two_tasks_behind_a_name(moto, terraform):
    stack, account = central(), Account(moto.endpoint)
    account.cluster("monitoring")
    names = boto3_client("servicediscovery", moto.endpoint)
    namespace = names.create_private_dns_namespace(**stack.properties("Namespace"), CreatorRequestId="1")
    assert namespace["OperationId"]
    [made] = names.list_namespaces()["Namespaces"]
    stack.attributes["Namespace.Id"] = made["Id"]
    registry = names.create_service(**stack.properties("DiscoveryName"), CreatorRequestId="2")["Service"]
    assert registry["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 10}]
    stack.attributes["DiscoveryName.Arn"] = registry["Arn"]
    definition = stack.request(account.ecs, "TaskDefinition", "RegisterTaskDefinition")
    task = account.ecs.register_task_definition(**definition)
    stack.names["SubnetIds"] = [account.subnet]
    [subnet] = account.ec2.describe_subnets(SubnetIds=[account.subnet])["Subnets"]
    group = account.ec2.create_security_group(GroupName="discovery", Description="of the tasks", VpcId=subnet["VpcId"])
    stack.attributes["SecurityGroup.GroupId"] = group["GroupId"]
    stack.names["TaskDefinition"] = task["taskDefinition"]["taskDefinitionArn"]

    request = stack.request(account.ecs, "Service", "CreateService")
    service = account.ecs.create_service(serviceName="ecs-discovery", **request)["service"]

    assert (service["desiredCount"], service["launchType"]) == (2, "FARGATE")
    assert request["serviceRegistries"] == [{"registryArn": registry["Arn"]}]
    rollout = request["deploymentConfiguration"]
    assert (rollout["minimumHealthyPercent"], rollout["maximumPercent"]) == (100, 200)
    _, resources = terraform({})
    same = resources["aws_ecs_service.discovery"]
    assert (same["desired_count"], same["deployment_minimum_healthy_percent"]) == (2, 100)
    assert same["service_registries"] == [{"registry_arn": resources["aws_service_discovery_service.discovery"]["arn"]}]


def test_only_readers_reach_the_port_and_only_https_leaves(terraform):
    group = central().properties("SecurityGroup")
    [inbound], [outbound] = group["SecurityGroupIngress"], group["SecurityGroupEgress"]
    assert (inbound["FromPort"], inbound["ToPort"], inbound["SourceSecurityGroupId"]) == (PORT, PORT, "sg-readers")
    assert (outbound["IpProtocol"], outbound["FromPort"], outbound["ToPort"]) == ("tcp", 443, 443)
    _, resources = terraform({})
    rules = {name.split(".")[0].split("_")[4]: body for name, body in resources.items() if "_rule." in name}
    assert {(rule["from_port"], rule["to_port"]) for rule in rules.values()} == {(PORT, PORT), (443, 443)}
    assert rules["ingress"]["referenced_security_group_id"] == "sg-readers"


def test_health_check_and_readers_use_the_port_of_the_task():
    container = central().container()
    assert container["healthCheck"]["command"] == ["CMD", "/bin/ecs-discovery", "-healthcheck"]
    assert container["environment"] == [{"name": "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", "value": f":{PORT}"}]
    assert container["portMappings"] == [{"containerPort": PORT, "protocol": "tcp"}]
    url = f"http://ecs-discovery.{central().parameters['NamespaceName']}:{PORT}/targets"
    assert url in (FLEET / "prometheus.yml").read_text()
    output = central().template.document["Outputs"]["TargetsUrl"]["Value"]["Fn::Sub"]
    assert output.replace("${NamespaceName}", central().parameters["NamespaceName"]) == url


def test_promtool_accepts_the_reader_with_the_alerts(promtool, tmp_path):
    shutil.copy(FLEET / "prometheus.yml", tmp_path)
    shutil.copy(ECS.parent / "alerts.yml", tmp_path)
    assert "SUCCESS" in promtool("check", "config", tmp_path / "prometheus.yml")


# --- Permissions ---------------------------------------------------------------------------------


def test_policies_of_the_task_role_follow_from_the_parameters(terraform):
    for parameters, variables, _ in (*CASES.values(), WITH_EVENTS):
        stack, (_, resources) = central(**parameters), terraform(variables)
        made = {
            body["name"]: json.loads(body["policy"]) for name, body in resources.items()
            if name.startswith("aws_iam_role_policy.") and body["role"] == "ecs-discovery-task"
        }  # fmt: skip
        assert {name: by_list(each) for name, each in made.items()} == {
            name: by_list(each) for name, each in stack.policies().items()
        }
    assert by_list(stack.policies()["events"]) == by_list(policy("central-events"))
    stack = central(MemberRoleArns=[MEMBER_ROLE])
    assert by_list(stack.policies()["members"]) == by_list(policy("central"))


def by_list(document):
    """Returns the policy with a list for each action and resource, which may be single strings."""
    for statement in with_lists(document)["Statement"]:
        if isinstance(statement["Resource"], str):
            statement["Resource"] = [statement["Resource"]]
    return document


@pytest.mark.parametrize("globs, name", [("true", "member-with-globs"), ("false", "member")])
def test_member_role_is_that_of_the_files(globs, name, terraform):
    role = member(ListClusters=globs, ClusterPattern="prod-*").properties("DiscoveryRole")
    assert role["AssumeRolePolicyDocument"] == policy("trust-central-account")
    [stored] = role["Policies"]
    assert stored["PolicyDocument"] == policy(name)
    _, resources = terraform({"list_clusters": globs == "true", "cluster_pattern": "prod-*"}, "member")
    made = json.loads(resources["aws_iam_role_policy.discovery"]["policy"])
    # The account of the evaluation is the central one.
    assert json.loads(json.dumps(made).replace(ACCOUNT, MEMBER_ACCOUNT)) == policy(name)
    same = resources["aws_iam_role.discovery"]
    assert json.loads(same["assume_role_policy"]) == policy("trust-central-account")
    assert same["name"] == role["RoleName"] == MEMBER_ROLE.split("/")[1]


def flags(**parameters):
    """Returns the flags of the task, except the path of the file and the queue."""
    command = central(**parameters).container()["command"]
    return [flag for flag in command if not flag.startswith(("-config.write-to", "-config.region", "-config.events"))]


@pytest.mark.parametrize("clusters, globs", [("", "true"), ("prod", "false")], ids=["all clusters", "one cluster"])
def test_own_account_policy_allows_exactly_the_calls(clusters, globs, simaws, discover_once):
    parameters = {"Clusters": clusters, "ListClusters": globs}
    aws = simaws(ec2_app())
    discover_once(aws.url, *flags(**parameters))
    assert aws.calls() == actions(central(**parameters).policies()["discovery"])


@pytest.mark.parametrize("clusters, name", [("", "member-with-globs"), ("prod", "member")], ids=["all", "one cluster"])
def test_member_policy_allows_exactly_the_calls(clusters, name, simaws, discover_once):
    parameters = {"OwnAccount": "false", "MemberRoleArns": [MEMBER_ROLE], "Clusters": clusters, "ExternalId": "an-id"}
    aws = simaws(ec2_app())
    discover_once(aws.url, *flags(**parameters))
    assert aws.calls() == actions(policy(name)) | actions(policy("central"))


@pytest.mark.parametrize("clusters, globs, name", [
    ("prod", "false", "member"), ("pro?,!staging", "true", "member-with-globs"),
], ids=["one cluster", "globs"])  # fmt: skip
def test_each_role_is_used_for_its_own_account_in_every_region(clusters, globs, name, simaws, discover_once):
    parameters = {"Clusters": clusters, "ListClusters": globs, "MemberRoleArns": [MEMBER_ROLE], "ExternalId": "an-id"}
    regions = (REGION, "us-east-1")
    scopes = [(account, region) for account in (ACCOUNT, MEMBER_ACCOUNT) for region in regions]
    worlds = [ec2_app() | {"account": account, "region": region} for account, region in scopes]
    aws = simaws(worlds[0] | {"others": worlds[1:]})

    file = discover_once(aws.url, *flags(**parameters), f"-config.region={','.join(regions)}")

    own, by_member = actions(central(**parameters).policies()["discovery"]), actions(policy(name))
    calls = aws.calls_by_scope()
    for region in regions:
        assert calls[f"{ACCOUNT}/{region}"] - {"sts:GetCallerIdentity"} == own
        assert calls[f"{MEMBER_ACCOUNT}/{region}"] - {"sts:AssumeRole"} == by_member
    assert calls.keys() == {f"{account}/{region}" for account, region in scopes}
    assert "sts:AssumeRole" in aws.calls()
    found = {group["labels"]["cluster_arn"] for group in yaml.safe_load(file.read_text())}
    assert found == {f"arn:aws:ecs:{region}:{account}:cluster/prod" for account, region in scopes}


# --- The steps -----------------------------------------------------------------------------------

AWS = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >>"$CALLED"
echo >>"$CALLED"
"""


def test_steps_pass_the_parameters_of_the_templates(tmp_path):
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    called = tmp_path / "called"
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLED": str(called)}
    script = "\n".join(["set -euo pipefail", *blocks])
    done = subprocess.run(["bash", "-c", script], cwd=FLEET, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = [call.split("\n") for call in called.read_text().strip("\n").split("\n\n")]
    by_name = {call[1]: call for call in calls}

    deploy = by_name["deploy"]
    given = dict(word.split("=", 1) for word in deploy[deploy.index("--parameter-overrides") + 1 :])
    declared = Template(CENTRAL).document["Parameters"]
    assert {name for name, each in declared.items() if "Default" not in each} <= given.keys() <= declared.keys()
    assert all(re.fullmatch(declared[name].get("AllowedPattern", ".*"), text) for name, text in given.items())
    assert (FLEET / deploy[deploy.index("--template-file") + 1]).exists()

    member_call = by_name["create-stack-set"]
    given = dict(re.findall(r"ParameterKey=(\w+),ParameterValue=(\S+)", "\n".join(member_call)))
    declared = Template(MEMBER).document["Parameters"]
    assert {name for name, each in declared.items() if "Default" not in each} == given.keys()
    assert all(re.fullmatch(declared[name]["AllowedPattern"], text) for name, text in given.items())
    assert [call[1] for call in calls][-4:] == [
        "delete-stack", "wait", "delete-stack-instances", "delete-stack-set",
    ]  # fmt: skip
