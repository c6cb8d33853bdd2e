"""cloudformation.yaml: linted, created in moto, and equal to the other files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from examples import ECS, actions, placeholders
from parts.account import REGION, TEST_KEYS, Account
from moto.events.models import EventPattern
from secret import with_lists, with_log_group, with_secret
from template import Template, as_api

FILE = ECS / "cloudformation.yaml"
NAME = "ecs-prometheus"

# The required parameters; the others have defaults. Those of the guide include two with a default, which depend on the
# backend.
REQUIRED = {
    "ClusterArns", "ServiceCluster", "ApplicationSecurityGroupId", "FirstPort", "LastPort", "VpcId", "SubnetIds",
    "EcsDiscoveryImage", "ConfigBucket", "ConfigKey",
}
OF_THE_GUIDE = REQUIRED | {"AscentHost", "SecretArn"}
TO_AMP = {"Backend": "amp", "WorkspaceId": placeholders()["WORKSPACE_ID"], "Logs": "cloudwatch"}


@pytest.fixture(scope="module")
def template():
    return Template(FILE)


class Stack:
    """The stack in an account with the resources that its parameters name."""

    def __init__(self, moto, template, **parameters):
        account = Account(moto.endpoint)
        self.iam, self.ecs, self.ec2 = account.iam, account.ecs, account.ec2
        cloudformation, secrets, self.logs = (
            boto3.client(
                service, endpoint_url=moto.endpoint, region_name=REGION,
                aws_access_key_id=TEST_KEYS.id, aws_secret_access_key=TEST_KEYS.secret,
            )
            for service in ("cloudformation", "secretsmanager", "logs")
        )
        example = placeholders()
        self.cluster = example["CLUSTER_NAME"]
        self.cluster_arn = account.cluster(self.cluster)
        self.subnet = account.subnet
        [subnet] = self.ec2.describe_subnets(SubnetIds=[self.subnet])["Subnets"]
        group = {"GroupName": "application", "Description": "of the tasks", "VpcId": subnet["VpcId"]}
        self.application = self.ec2.create_security_group(**group)["GroupId"]
        self.secret = secrets.create_secret(Name=NAME, SecretString="{}")["ARN"]
        given = {
            "ClusterArns": self.cluster_arn,
            "ServiceCluster": self.cluster,
            "ApplicationSecurityGroupId": self.application,
            "FirstPort": "9100",
            "LastPort": "9999",
            "VpcId": subnet["VpcId"],
            "SubnetIds": self.subnet,
            "EcsDiscoveryImage": example["ECS_DISCOVERY_IMAGE"],
            "ConfigBucket": example["CONFIG_BUCKET"],
            "ConfigKey": example["CONFIG_KEY"],
            "AscentHost": example["ASCENT_HOST"],
            "SecretArn": self.secret,
        }
        assert given.keys() == OF_THE_GUIDE
        cloudformation.create_stack(
            StackName=NAME, TemplateBody=json.dumps(template.without_conditions(given | parameters)), Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in (given | parameters).items()],
        )
        [made] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
        resources = cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
        # moto assigns no ID to a security group rule.
        self.id = {resource["LogicalResourceId"]: resource.get("PhysicalResourceId") for resource in resources}
        self.template = template
        self.names = {
            **self.id, **{each["ParameterKey"]: each["ParameterValue"] for each in made["Parameters"]},
            "SubnetIds": [self.subnet], "AWS::StackName": NAME, "AWS::Partition": "aws", "AWS::Region": REGION,
            "AWS::AccountId": example["ACCOUNT_ID"],
        }

    def role(self, name):
        """Returns a role's trust policy and its policies, as stored in IAM."""
        policies = {}
        for each in self.properties(name)["Policies"]:
            named = {"RoleName": self.id[name], "PolicyName": each["PolicyName"]}
            # moto has stored Python's text form of the policy, with None for AWS::NoValue.
            self.iam.put_role_policy(**named, PolicyDocument=json.dumps(each["PolicyDocument"]))
            policies[each["PolicyName"]] = self.iam.get_role_policy(**named)["PolicyDocument"]
        assert set(self.iam.list_role_policies(RoleName=self.id[name])["PolicyNames"]) == policies.keys()
        return self.iam.get_role(RoleName=self.id[name])["Role"]["AssumeRolePolicyDocument"], policies

    def arn(self, role):
        return self.iam.get_role(RoleName=self.id[role])["Role"]["Arn"]

    def properties(self, resource):
        """Returns the evaluated properties of a resource."""
        attributes = {
            **{f"{role}.Arn": self.arn(role) for role in ("TaskRole", "ExecutionRole")},
            "PrometheusSecurityGroup.GroupId": self.id["PrometheusSecurityGroup"],
        }
        return self.template.properties(resource, self.names, attributes)

    def request(self, resource, operation):
        """Returns the request that CloudFormation would send to ECS for this resource."""
        shape = self.ecs.meta.service_model.operation_model(operation).input_shape
        return as_api(shape, self.properties(resource))

    def example(self, file):
        """Returns the example file with the names that CloudFormation chooses."""
        return with_log_group(self.id["LogGroup"], with_secret(self.secret, file))

    def task_definition(self, file="task-definition.json"):
        """Returns the task definition of the example with the names and the ARN of the cluster of this stack."""
        expected = self.example(file)
        expected["taskRoleArn"], expected["executionRoleArn"] = self.arn("TaskRole"), self.arn("ExecutionRole")
        for container in expected["containerDefinitions"]:
            if container["name"] == "ecs-discovery":
                container["command"][0] = f"-config.cluster={self.cluster_arn}"
        return expected


@pytest.fixture
def stack(moto, template):
    return Stack(moto, template)


def test_linter_reports_nothing():
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "--include-checks", "I", "--", FILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_parameters_are_described_and_grouped(template):
    parameters = template.document["Parameters"]
    groups = template.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)
    assert [name for name, parameter in parameters.items() if not parameter.get("Description")] == []
    assert {name for name, parameter in parameters.items() if "Default" not in parameter} == REQUIRED


def test_task_definition_equals_the_example(stack):
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")

    assert request == stack.task_definition()
    stack.ecs.register_task_definition(**request)


@pytest.mark.parametrize("parameters, file", [
    (TO_AMP | {"SecretArn": "", "AscentHost": ""}, "backends/task-definition-amp.json"),
    ({"Backend": "basic-auth", "Logs": "cloudwatch", "AscentHost": ""}, "backends/task-definition-cloudwatch.json"),
    ({"Backend": "bearer-token", "Logs": "cloudwatch", "AscentHost": ""}, "backends/task-definition-cloudwatch.json"),
    ({"Logs": "cloudwatch"}, "backends/task-definition-cloudwatch.json"),
    ({"Backend": "basic-auth"}, "task-definition.json"),
], ids=["amp", "basic-auth", "bearer-token", "logs in cloudwatch", "logs in ascent"])
def test_task_definition_of_each_backend_equals_its_example(moto, template, parameters, file):
    stack = Stack(moto, template, **parameters)
    assert template.rejections(stack.names) == []
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    assert request == stack.task_definition(file)
    stack.ecs.register_task_definition(**request)


def test_roles_for_amp_can_write_to_the_workspace_and_read_no_secret(moto, template):
    stack = Stack(moto, template, **TO_AMP, SecretArn="", AscentHost="")
    written = stack.properties("RemoteWritePolicy")
    assert written["PolicyDocument"] == stack.example("iam/remote-write-amp.json")
    assert written["Roles"] == [stack.id["TaskRole"]]
    _, policies = stack.role("ExecutionRole")
    assert policies == {"execution": stack.example("iam/execution-role-without-secret.json")}


@pytest.mark.parametrize("parameters, missing", [
    ({"SecretArn": ""}, "SecretArn is required"),
    ({"AscentHost": ""}, "AscentHost is required"),
    (TO_AMP | {"WorkspaceId": ""}, "WorkspaceId is required"),
    ({"Backend": "basic-auth", "Logs": "cloudwatch", "SecretArn": ""}, "SecretArn is required"),
])
def test_parameters_that_the_backend_needs_are_required(moto, template, parameters, missing):
    # moto ignores Rules.
    [rejection] = template.rejections(Stack(moto, template, **parameters).names)
    assert rejection.startswith(missing)


def test_private_ca_reaches_prometheus_and_the_log_router(moto, template):
    stack = Stack(moto, template, CaCertificates="-----BEGIN CERTIFICATE-----\n…")
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    containers = {each["name"]: each for each in request["containerDefinitions"]}
    assert containers["config"]["environment"] == [
        {"name": "CA_CERTIFICATES", "value": "-----BEGIN CERTIFICATE-----\n…"}
    ]
    # Otherwise the router would start before the file exists.
    assert containers["log_router"]["dependsOn"] == [{"containerName": "config", "condition": "SUCCESS"}]
    mounted = {"sourceVolume": "config", "containerPath": "/config", "readOnly": True}
    assert mounted in containers["log_router"]["mountPoints"] and mounted in containers["prometheus"]["mountPoints"]
    for name in ("ecs-discovery", "prometheus"):
        assert containers[name]["logConfiguration"]["options"]["tls.ca_file"] == "/config/ca.pem"


def test_images_and_architecture_are_parameters(moto, template):
    images = {
        "prometheus": "PrometheusImage", "config": "ConfigImage", "log_router": "LogRouterImage",
        "ecs-discovery": "EcsDiscoveryImage",
    }
    given = {parameter: f"mirror.example/{name}:1" for name, parameter in images.items()}
    stack = Stack(moto, template, **given, CpuArchitecture="ARM64")
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    assert {each["name"]: each["image"] for each in request["containerDefinitions"]} == {
        name: f"mirror.example/{name}:1" for name in images
    }
    assert request["runtimePlatform"]["cpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("on_instances", ["true", "false"])
def test_all_clusters_are_scanned_if_none_is_given(moto, template, on_instances):
    stack = Stack(moto, template, ClusterArns="", TasksOnInstances=on_instances)
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    [sidecar] = [each for each in request["containerDefinitions"] if each["name"] == "ecs-discovery"]
    assert sidecar["command"][0] == "-config.cluster="
    _, policies = stack.role("TaskRole")
    allowed = actions(policies["discovery"])
    expected = actions(stack.example("iam/discovery-all-clusters.json"))
    instances = {"ecs:DescribeContainerInstances", "ec2:DescribeInstances"}
    assert allowed == (expected if on_instances == "true" else expected - instances)
    assert not any("Condition" in statement for statement in policies["discovery"]["Statement"])


def test_only_the_given_clusters_are_scanned(moto, template):
    arns = [f"arn:aws:ecs:eu-west-1:123456789012:cluster/{name}" for name in ("prod", "staging")]
    stack = Stack(moto, template, ClusterArns=",".join(arns))
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    [sidecar] = [each for each in request["containerDefinitions"] if each["name"] == "ecs-discovery"]
    assert sidecar["command"][0] == "-config.cluster=" + ",".join(arns)
    _, policies = stack.role("TaskRole")
    conditions = [each["Condition"] for each in policies["discovery"]["Statement"] if "Condition" in each]
    assert conditions == [{"ArnEquals": {"ecs:cluster": arns}}]


@pytest.mark.parametrize("parameter, valid, invalid", [
    ("ClusterArns", ["", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/a_b-c"], ["prod", "prod,staging"]),
    ("ConfigKey", ["prometheus-20261126T120000Z.yml"], ["prometheus.yml", "x/prometheus-1.yml"]),
    ("ServiceCluster", ["prod"], ["arn:aws:ecs:eu-west-1:123456789012:cluster/prod"]),
    ("AscentHost", ["", "example.apica.io"], ["https://example.apica.io", "example.apica.io/v1"]),
    ("SecretArn", [""], ["ecs-prometheus", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus"]),
    ("WorkspaceId", ["", "ws-0123abcd-4567"], ["arn:aws:aps:eu-west-1:123456789012:workspace/ws-1"]),
    ("StoppedTaskTopicArn", ["", "arn:aws:sns:eu-west-1:123456789012:ops"], ["ops@example.com"]),
])
def test_common_mistakes_are_rejected(template, parameter, valid, invalid):
    pattern = template.document["Parameters"][parameter]["AllowedPattern"]
    assert [text for text in valid if not re.fullmatch(pattern, text)] == []
    assert [text for text in invalid if re.fullmatch(pattern, text)] == []


def test_parameters_set_the_size_of_the_task(moto, template):
    stack = Stack(moto, template, Cpu="1024", Memory="4096", PrometheusMemory="3000")
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    memory = {container["name"]: container.get("memory") for container in request["containerDefinitions"]}
    assert (request["cpu"], request["memory"], memory["prometheus"]) == ("1024", "4096", 3000)


def test_other_containers_fit_into_512_mib(template):
    """The parameter's description allows PrometheusMemory to be Memory less 512."""
    defined = template.document["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    # The log router depends on a condition.
    defined = [each["Fn::If"][1] if "Fn::If" in each else each for each in defined]
    others = {each["Name"]: each.get("Memory", 128) for each in defined if each["Name"] != "prometheus"}
    assert len(others) == 3 and sum(others.values()) <= 512
    assert "Memory less 512" in template.document["Parameters"]["PrometheusMemory"]["Description"]


@pytest.mark.parametrize("on_instances, discovery", [("true", "one-cluster"), ("false", "fargate-only")])
def test_task_role_has_the_policies_of_the_example(moto, template, on_instances, discovery):
    stack = Stack(moto, template, TasksOnInstances=on_instances)
    trust, policies = stack.role("TaskRole")
    assert trust == stack.example("iam/trust-ecs-tasks.json")
    assert policies == {
        "discovery": with_lists(stack.example(f"iam/discovery-{discovery}.json")),
        "config-bucket": stack.example("iam/config-bucket.json"),
    }


def test_execution_role_can_read_only_this_secret(stack):
    trust, policies = stack.role("ExecutionRole")
    assert trust == stack.example("iam/trust-ecs-tasks.json")
    assert policies == {"execution": stack.example("iam/execution-role.json")}


def test_log_group_is_that_of_the_task_and_has_a_retention(stack):
    [group] = stack.logs.describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (stack.id["LogGroup"], 30)


def test_log_group_outlives_a_failed_deployment_and_is_not_in_the_way_of_the_next(template):
    group = template.document["Resources"]["LogGroup"]
    assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "LogGroupName" not in group["Properties"]


def test_only_traffic_from_prometheus_to_the_tasks_is_allowed(stack):
    prometheus = stack.id["PrometheusSecurityGroup"]
    groups = stack.ec2.describe_security_groups(GroupIds=[stack.application, prometheus])["SecurityGroups"]
    rules = {group["GroupId"]: group["IpPermissions"] for group in groups}
    assert rules[prometheus] == []
    [rule] = rules[stack.application]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 9100, 9999)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [prometheus]
    assert not rule["IpRanges"] and not rule["Ipv6Ranges"]


@pytest.mark.parametrize("port, ports", [("443", [443]), ("19291", [443, 19291])])
def test_outbound_traffic_is_limited_to_https_the_receiver_and_the_tasks(moto, template, port, ports):
    stack = Stack(moto, template, ReceiverPort=port)
    scrapes, *everywhere = stack.properties("PrometheusSecurityGroup")["SecurityGroupEgress"]
    assert [(int(each["FromPort"]), int(each["ToPort"])) for each in everywhere] == [(each, each) for each in ports]
    assert {each["IpProtocol"] for each in everywhere} == {"tcp"}
    assert scrapes["DestinationSecurityGroupId"] == stack.application
    assert (scrapes["IpProtocol"], scrapes["FromPort"], scrapes["ToPort"]) == ("tcp", "9100", "9999")


def event(**detail):
    stopped = {"lastStatus": "STOPPED", "stopCode": "EssentialContainerExited"}
    stopped["taskDefinitionArn"] = "arn:aws:ecs:eu-west-1:123456789012:task-definition/ecs-prometheus:7"
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": stopped | detail}


def test_rule_matches_tasks_that_failed_and_no_others(moto, template):
    stack = Stack(moto, template, StoppedTaskTopicArn="arn:aws:sns:eu-west-1:123456789012:ops")
    rule = stack.properties("StoppedTasks")
    assert rule["EventPattern"] == stack.example("stopped-tasks.json")
    assert rule["Targets"] == [{"Id": "topic", "Arn": "arn:aws:sns:eu-west-1:123456789012:ops"}]
    pattern = EventPattern.load(json.dumps(rule["EventPattern"]))
    assert pattern.matches_event(event())
    assert pattern.matches_event(event(stopCode="TaskFailedToStart"))
    another = "arn:aws:ecs:eu-west-1:123456789012:task-definition/ecs-prometheus-2:7"
    for detail in (
        {"stopCode": "ServiceSchedulerInitiated"}, {"lastStatus": "RUNNING"}, {"taskDefinitionArn": another},
    ):
        assert not pattern.matches_event(event(**detail)), detail


def test_there_is_no_rule_without_a_topic(stack):
    assert "StoppedTasks" not in stack.id


def test_deployment_stops_the_old_task_first(stack):
    request = stack.request("Service", "CreateService")
    assert request["desiredCount"] == 1
    assert request["deploymentConfiguration"] == {
        "minimumHealthyPercent": 0,
        "maximumPercent": 100,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    }
    assert request["availabilityZoneRebalancing"] == "DISABLED"


def test_service_runs_the_task_on_fargate_in_its_security_group(stack):
    assert stack.ecs.list_services(cluster=stack.cluster)["serviceArns"] == [stack.id["Service"]]
    # moto's CloudFormation passes on only the task definition and the count.
    service = stack.ecs.create_service(serviceName="complete", **stack.request("Service", "CreateService"))["service"]
    assert (service["launchType"], service["taskDefinition"]) == ("FARGATE", stack.id["TaskDefinition"])
    assert service["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": [stack.subnet],
        "securityGroups": [stack.id["PrometheusSecurityGroup"]],
        "assignPublicIp": "DISABLED",
    }


def test_outputs_have_values(stack, template):
    assert stack.outputs.keys() == template.document["Outputs"].keys()
    assert stack.outputs["TaskRole"] == stack.arn("TaskRole")
    assert stack.outputs["SecurityGroup"] == stack.id["PrometheusSecurityGroup"]
    assert all(stack.outputs.values())
