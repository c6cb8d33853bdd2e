"""cloudformation.yaml: linted, created in moto, and equal to the other files."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from examples import ECS, placeholders
from parts.account import REGION, TEST_KEYS, Account
from secret import with_lists, with_secret
from template import Template, as_api

FILE = ECS / "cloudformation.yaml"
NAME = "ecs-prometheus"

# The required parameters; the others have defaults.
REQUIRED = {
    "ClusterName", "ApplicationSecurityGroupId", "VpcId", "SubnetIds", "EcsDiscoveryImage", "ConfigBucket",
    "AscentHost", "SecretArn",
}


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
        account.cluster(self.cluster)
        self.subnet = account.subnet
        [subnet] = self.ec2.describe_subnets(SubnetIds=[self.subnet])["Subnets"]
        group = {"GroupName": "application", "Description": "of the tasks", "VpcId": subnet["VpcId"]}
        self.application = self.ec2.create_security_group(**group)["GroupId"]
        self.secret = secrets.create_secret(Name=NAME, SecretString="{}")["ARN"]
        given = {
            "ClusterName": self.cluster,
            "ApplicationSecurityGroupId": self.application,
            "VpcId": subnet["VpcId"],
            "SubnetIds": self.subnet,
            "EcsDiscoveryImage": example["ECS_DISCOVERY_IMAGE"],
            "ConfigBucket": example["CONFIG_BUCKET"],
            "AscentHost": example["ASCENT_HOST"],
            "SecretArn": self.secret,
        }
        assert given.keys() == REQUIRED
        cloudformation.create_stack(
            StackName=NAME, TemplateBody=FILE.read_text(), Capabilities=["CAPABILITY_IAM"],
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
        return with_secret(self.secret, file)


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

    expected = stack.example("task-definition.json")
    expected["taskRoleArn"], expected["executionRoleArn"] = stack.arn("TaskRole"), stack.arn("ExecutionRole")
    assert request == expected
    stack.ecs.register_task_definition(**request)


def test_parameters_set_the_size_of_the_task(moto, template):
    stack = Stack(moto, template, Cpu="1024", Memory="4096", PrometheusMemory="3000")
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    memory = {container["name"]: container.get("memory") for container in request["containerDefinitions"]}
    assert (request["cpu"], request["memory"], memory["prometheus"]) == ("1024", "4096", 3000)


def test_other_containers_fit_into_512_mib(template):
    """The parameter's description allows PrometheusMemory to be Memory less 512."""
    others = [each.get("Memory", 128) for each in template.document["Resources"]["TaskDefinition"]["Properties"]
              ["ContainerDefinitions"] if each["Name"] != "prometheus"]
    assert sum(others) <= 512
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
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/ecs-prometheus", 30)


def test_only_traffic_from_prometheus_to_the_tasks_is_allowed(stack):
    prometheus = stack.id["PrometheusSecurityGroup"]
    groups = stack.ec2.describe_security_groups(GroupIds=[stack.application, prometheus])["SecurityGroups"]
    rules = {group["GroupId"]: group["IpPermissions"] for group in groups}
    assert rules[prometheus] == []
    [rule] = rules[stack.application]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 1024, 65535)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [prometheus]
    assert not rule["IpRanges"] and not rule["Ipv6Ranges"]


def test_service_never_runs_two_tasks(stack):
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
