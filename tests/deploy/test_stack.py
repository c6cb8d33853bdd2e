"""cloudformation.yaml: what the linter says of it, what comes into being, and that it is what the other files say."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from examples import ECS, placeholders
from parts.account import REGION, TESTING, Account
from secret import with_lists, with_secret
from template import Template, as_api

FILE = ECS / "cloudformation.yaml"
NAME = "ecs-prometheus"

# What a user has to say; the rest has defaults.
ASKED = {
    "ClusterName", "ApplicationSecurityGroupId", "VpcId", "SubnetIds", "EcsDiscoveryImage", "ConfigBucket",
    "AscentHost", "SecretArn",
}


@pytest.fixture(scope="module")
def template():
    return Template(FILE)


class Stack:
    """The stack in an account that has what it asks for."""

    def __init__(self, moto, template, **parameters):
        account = Account(moto.endpoint)
        self.iam, self.ecs, self.ec2 = account.iam, account.ecs, account.ec2
        cloudformation, secrets, self.logs = (
            boto3.client(
                service, endpoint_url=moto.endpoint, region_name=REGION,
                aws_access_key_id=TESTING.id, aws_secret_access_key=TESTING.secret,
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
        assert given.keys() == ASKED
        cloudformation.create_stack(
            StackName=NAME, TemplateBody=FILE.read_text(), Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in (given | parameters).items()],
        )
        [made] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
        resources = cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
        # moto gives a security group's rule no id.
        self.id = {resource["LogicalResourceId"]: resource.get("PhysicalResourceId") for resource in resources}
        self.template = template
        self.names = {
            **self.id, **{each["ParameterKey"]: each["ParameterValue"] for each in made["Parameters"]},
            "SubnetIds": [self.subnet], "AWS::StackName": NAME, "AWS::Partition": "aws", "AWS::Region": REGION,
            "AWS::AccountId": example["ACCOUNT_ID"],
        }

    def role(self, name):
        """A role's trust policy as IAM has it, and its policies as it would have them."""
        policies = {}
        for each in self.properties(name)["Policies"]:
            named = {"RoleName": self.id[name], "PolicyName": each["PolicyName"]}
            # moto has put there what Python prints of it, with None for AWS::NoValue.
            self.iam.put_role_policy(**named, PolicyDocument=json.dumps(each["PolicyDocument"]))
            policies[each["PolicyName"]] = self.iam.get_role_policy(**named)["PolicyDocument"]
        assert set(self.iam.list_role_policies(RoleName=self.id[name])["PolicyNames"]) == policies.keys()
        return self.iam.get_role(RoleName=self.id[name])["Role"]["AssumeRolePolicyDocument"], policies

    def arn(self, role):
        return self.iam.get_role(RoleName=self.id[role])["Role"]["Arn"]

    def properties(self, resource):
        """What is asked for, with this stack's names in it."""
        attributes = {
            **{f"{role}.Arn": self.arn(role) for role in ("TaskRole", "ExecutionRole")},
            "PrometheusSecurityGroup.GroupId": self.id["PrometheusSecurityGroup"],
        }
        return self.template.properties(resource, self.names, attributes)

    def request(self, resource, operation):
        """What CloudFormation asks of ECS for this resource."""
        shape = self.ecs.meta.service_model.operation_model(operation).input_shape
        return as_api(shape, self.properties(resource))

    def as_in(self, file):
        return with_secret(self.secret, file)


@pytest.fixture
def stack(moto, template):
    return Stack(moto, template)


def test_the_linter_has_nothing_to_say():
    linter = Path(sys.executable).with_name("cfn-lint")
    ran = subprocess.run([linter, "--include-checks", "I", "--", FILE], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_every_parameter_is_described_and_in_one_group_of_the_form(template):
    parameters = template.document["Parameters"]
    groups = template.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)
    assert [name for name, parameter in parameters.items() if not parameter.get("Description")] == []
    assert {name for name, parameter in parameters.items() if "Default" not in parameter} == ASKED


def test_the_task_definition_is_the_example_s(stack):
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")

    expected = stack.as_in("task-definition.json")
    expected["taskRoleArn"], expected["executionRoleArn"] = stack.arn("TaskRole"), stack.arn("ExecutionRole")
    assert request == expected
    stack.ecs.register_task_definition(**request)


def test_the_parameters_reach_the_task_definition(moto, template):
    stack = Stack(moto, template, Cpu="1024", Memory="4096", PrometheusMemory="3000")
    request = stack.request("TaskDefinition", "RegisterTaskDefinition")
    memory = {container["name"]: container.get("memory") for container in request["containerDefinitions"]}
    assert (request["cpu"], request["memory"], memory["prometheus"]) == ("1024", "4096", 3000)


def test_prometheus_leaves_the_others_their_memory(template):
    """The Description promises that PrometheusMemory may be all of Memory but this."""
    others = [each.get("Memory", 128) for each in template.document["Resources"]["TaskDefinition"]["Properties"]
              ["ContainerDefinitions"] if each["Name"] != "prometheus"]
    assert sum(others) <= 512
    assert "Memory less 512" in template.document["Parameters"]["PrometheusMemory"]["Description"]


@pytest.mark.parametrize("on_instances, discovery", [("true", "one-cluster"), ("false", "fargate-only")])
def test_the_task_role_may_do_what_the_policies_of_the_examples_allow(moto, template, on_instances, discovery):
    stack = Stack(moto, template, TasksOnInstances=on_instances)
    trust, policies = stack.role("TaskRole")
    assert trust == stack.as_in("iam/trust-ecs-tasks.json")
    assert policies == {
        "discovery": with_lists(stack.as_in(f"iam/discovery-{discovery}.json")),
        "config-bucket": stack.as_in("iam/config-bucket.json"),
    }


def test_the_execution_role_reads_this_secret_alone(stack):
    trust, policies = stack.role("ExecutionRole")
    assert trust == stack.as_in("iam/trust-ecs-tasks.json")
    assert policies == {"execution": stack.as_in("iam/execution-role.json")}


def test_the_log_group_is_that_of_the_task_and_forgets(stack):
    [group] = stack.logs.describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/ecs-prometheus", 30)


def test_prometheus_reaches_the_tasks_and_nothing_reaches_prometheus(stack):
    prometheus = stack.id["PrometheusSecurityGroup"]
    groups = stack.ec2.describe_security_groups(GroupIds=[stack.application, prometheus])["SecurityGroups"]
    rules = {group["GroupId"]: group["IpPermissions"] for group in groups}
    assert rules[prometheus] == []
    [rule] = rules[stack.application]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 1024, 65535)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [prometheus]
    assert not rule["IpRanges"] and not rule["Ipv6Ranges"]


def test_the_service_never_runs_two_tasks(stack):
    asked = stack.request("Service", "CreateService")
    assert asked["desiredCount"] == 1
    assert asked["deploymentConfiguration"] == {
        "minimumHealthyPercent": 0,
        "maximumPercent": 100,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    }
    assert asked["availabilityZoneRebalancing"] == "DISABLED"


def test_the_service_runs_the_task_on_fargate_in_the_security_group_of_the_rule(stack):
    assert stack.ecs.list_services(cluster=stack.cluster)["serviceArns"] == [stack.id["Service"]]
    # moto's CloudFormation has asked for no more than the task definition and the count.
    service = stack.ecs.create_service(serviceName="as-asked", **stack.request("Service", "CreateService"))["service"]
    assert (service["launchType"], service["taskDefinition"]) == ("FARGATE", stack.id["TaskDefinition"])
    assert service["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": [stack.subnet],
        "securityGroups": [stack.id["PrometheusSecurityGroup"]],
        "assignPublicIp": "DISABLED",
    }


def test_every_output_is_something(stack, template):
    assert stack.outputs.keys() == template.document["Outputs"].keys()
    assert stack.outputs["TaskRole"] == stack.arn("TaskRole")
    assert stack.outputs["SecurityGroup"] == stack.id["PrometheusSecurityGroup"]
    assert all(stack.outputs.values())
