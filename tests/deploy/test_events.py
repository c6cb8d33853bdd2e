"""events/: the queue of task events, linted, created in moto, and the same in CloudFormation and Terraform."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from examples import ECS, document
from parts.account import REGION, TEST_KEYS
from template import Template
from terraform_module import Module, environment, programs

FOLDER = ECS / "events"
FILE = FOLDER / "cloudformation.yaml"
PROGRAMS = programs()

NAME = "ecs-discovery"
QUEUE = f"arn:aws:sqs:eu-west-1:123456789012:{NAME}"
URL = f"https://sqs.eu-west-1.amazonaws.com/123456789012/{NAME}"
RULE = f"arn:aws:events:eu-west-1:123456789012:rule/{NAME}"

PATTERN = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}


def client(moto, service):
    return boto3.client(
        service, endpoint_url=moto.endpoint, region_name=REGION,
        aws_access_key_id=TEST_KEYS.id, aws_secret_access_key=TEST_KEYS.secret,
    )


@pytest.fixture(scope="module")
def properties():
    """The evaluated properties of the template's resources."""
    template = Template(FILE)
    names = {"QueueName": NAME, "Queue": URL}
    attributes = {"Queue.Arn": QUEUE, "Rule.Arn": RULE}
    return {name: template.properties(name, names, attributes) for name in ("Queue", "QueuePolicy", "Rule")}


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda version: f"terraform-{version}")
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def resources(program, tmp_path_factory):
    _, resources = Module(FOLDER / "terraform").evaluate(program, tmp_path_factory.mktemp("events"), {})
    return resources


def test_linter_accepts_the_template():
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "--include-checks", "I", "--", FILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_module_is_formatted(program, tmp_path):
    check = [program, "fmt", "-check", "-diff", "-recursive", FOLDER]
    done = subprocess.run(check, capture_output=True, text=True, env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_queue_keeps_events_for_five_minutes_and_is_encrypted_by_sqs(properties):
    assert properties["Queue"] == {
        "QueueName": NAME, "MessageRetentionPeriod": 300, "SqsManagedSseEnabled": True,
    }


def test_only_the_rule_may_send_and_only_over_tls(properties):
    allow, deny = properties["QueuePolicy"]["PolicyDocument"]["Statement"]
    assert (allow["Effect"], allow["Action"]) == ("Allow", "sqs:SendMessage")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE}}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Resource"] == deny["Resource"] == QUEUE


def test_rule_sends_task_state_changes_to_the_queue(properties):
    assert properties["Rule"]["EventPattern"] == PATTERN
    assert [target["Arn"] for target in properties["Rule"]["Targets"]] == [QUEUE]


def test_terraform_describes_the_same(properties, resources):
    queue, rule = resources["aws_sqs_queue.events"], resources["aws_cloudwatch_event_rule.tasks"]
    policy = json.loads(resources["aws_sqs_queue_policy.events"]["policy"])
    assert (queue["message_retention_seconds"], queue["sqs_managed_sse_enabled"]) == (300, True)
    assert json.loads(rule["event_pattern"]) == PATTERN
    assert resources["aws_cloudwatch_event_target.queue"]["arn"] == QUEUE
    assert policy == properties["QueuePolicy"]["PolicyDocument"]


def test_stack_can_be_created_and_feeds_the_queue(moto):
    cloudformation, sqs, events = (client(moto, service) for service in ("cloudformation", "sqs", "events"))
    cloudformation.create_stack(StackName=NAME, TemplateBody=FILE.read_text())
    [stack] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    event = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": '{"version": 1}'}

    events.put_events(Entries=[event, event | {"DetailType": "ECS Deployment State Change"}])

    received = sqs.receive_message(QueueUrl=outputs["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail"] for message in received] == [{"version": 1}]


def test_policy_allows_what_the_program_calls_on_the_queue():
    [statement] = document(ECS / "iam" / "discovery-events.json")["Statement"]
    assert set(statement["Action"]) == {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert statement["Resource"] == QUEUE
