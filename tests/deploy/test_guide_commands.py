"""The guide: its commands work and print the output that it shows."""

import json
import re

import pytest
import yaml
from examples import ECS, placeholders
from guide import DAY_TWO, GUIDE, blocks, commands, shown, step
from parts.account import REGION
from reader import NEXT_TOKEN, TOKEN, Reader, RunningServices, assert_output_as_shown
from template import Template
from terraform_module import Module


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    moto = RunningServices(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def reader(services, request, tmp_path):
    """A reader of the guide, with a copy of this directory, a cluster, a VPC, and a shell."""
    services.reset()
    return Reader(services.endpoint, request.config.programs["ECS_DISCOVERY_BIN"], tmp_path)


STEPS = [step(number) for number in range(1, 9)]
CLUSTER = placeholders()["CLUSTER_NAME"]
BUCKET = placeholders()["CONFIG_BUCKET"]


def of(heading, page=GUIDE):
    return commands(heading, page)


def service(reader):
    [found] = reader.account.ecs.describe_services(cluster=CLUSTER, services=["ecs-prometheus"])["services"]
    return found


def secret(reader):
    return json.loads(reader.account.secrets.get_secret_value(SecretId="ecs-prometheus")["SecretString"])


def key_of(reader, task_definition):
    """Returns the key of prometheus.yml that a registered task definition names."""
    defined = reader.account.ecs.describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    [command] = [each["command"] for each in defined["containerDefinitions"] if each["name"] == "config"]
    return re.search(rf"s3://{BUCKET}/(\S+)", command[0])[1]


def uploaded(reader, key):
    return reader.account.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


def test_steps_create_the_service_and_print_the_shown_output(reader):
    # moto starts no tasks of a service, and no tasks that have a container without a memory limit. So start one here.
    limited = """sed 's/"name": "config",/& "memory": 64,/' task-definition.json"""
    start = f'''aws ecs register-task-definition --cli-input-json "$({limited})" >started
aws ecs run-task --cluster {CLUSTER} --task-definition ecs-prometheus --launch-type FARGATE >>started \\
    --network-configuration "awsvpcConfiguration={{subnets=[$SUBNET_IDS],securityGroups=[$SECURITY_GROUP]}}"'''
    *outputs, _started, checked, _stopped, wrong = reader.run(
        *map(of, STEPS[:-1]), start, of(STEPS[-1]), f'aws ecs stop-task --cluster {CLUSTER} --task "$TASK"',
        of("When something is wrong"),
    )

    for heading, text in zip(STEPS[:-1], outputs, strict=True):
        assert_output_as_shown(shown(heading), text)
    # moto reports only the first container of a task, as PENDING.
    assert checked.split("\t")[0] == "log_router"
    assert "0 targets in" in wrong
    assert service(reader)["taskDefinition"].endswith("ecs-prometheus:1")
    # moto does not store this. cloudformation.yaml gives the reason for it.
    assert "minimumHealthyPercent=0,maximumPercent=100" in of(step(7))
    assert secret(reader) == {"remote_write_token": TOKEN, "logs_authorization": f"Authorization Bearer {TOKEN}"}
    key = key_of(reader, "ecs-prometheus:1")
    assert re.fullmatch(r"prometheus-\d{8}T\d{6}Z\.yml", key)
    assert yaml.safe_load(uploaded(reader, key))["global"]["external_labels"] == {"cluster": CLUSTER, "region": REGION}
    [execution] = reader.account.iam.list_role_policies(RoleName="ecs-prometheus-execution")["PolicyNames"]
    assert execution == "execution-role"


def test_security_group_allows_only_https_and_the_tasks_outbound(reader):
    reader.run(of(STEPS[0]), of(STEPS[5]))

    groups = reader.account.ec2.describe_security_groups()["SecurityGroups"]
    [group] = [each for each in groups if each["GroupName"] == "ecs-prometheus"]
    ports = {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]): rule for rule in group["IpPermissionsEgress"]}
    assert ports.keys() == {("tcp", 443, 443), ("tcp", 9100, 9999)}
    application = reader.ids["sg-0123456789abcdef0"]
    assert [pair["GroupId"] for pair in ports["tcp", 9100, 9999]["UserIdGroupPairs"]] == [application]
    assert group["IpPermissions"] == []


def test_typed_into_a_terminal_the_token_is_on_no_command_line(reader):
    terminal = reader.terminal()
    try:
        for heading in STEPS[:7]:
            for block in map(reader.of_account, blocks(heading)):
                if "read -rs" in block:
                    # By itself: what follows in the same paste would be read as the token.
                    assert block == "read -rs TOKEN\n"
                    terminal.answer(block, TOKEN)
                else:
                    terminal.paste(block)
        screen = terminal.close()
    finally:
        terminal.kill()

    assert secret(reader)["remote_write_token"] == TOKEN
    assert service(reader)["taskDefinition"].endswith("ecs-prometheus:1")
    assert "create-secret" in terminal.history.read_text() and "create-secret" in reader.arguments()
    for seen in screen, terminal.history.read_text(), reader.arguments():
        assert TOKEN not in seen


def test_token_would_leak_if_the_next_line_were_pasted_with_read(reader):
    """Shows that the terminal is one in which this matters."""
    terminal = reader.terminal()
    try:
        terminal.paste("")
        terminal.paste_ahead("read -rs TOKEN\nprintf %s swallowed\n")
        terminal.paste(TOKEN)
        screen = terminal.close()
    finally:
        terminal.kill()
    assert TOKEN in screen and TOKEN in terminal.history.read_text()


def test_day_two_in_its_order(reader):
    pages = [
        "Deploy", "Upgrade", "Roll back", "Change the configuration", "Rotate the token", "What to watch", "Remove it",
    ]
    texts = {heading: blocks(heading, DAY_TWO) for heading in pages}
    # The second block is for CloudFormation.
    upgrade, _stack = texts["Upgrade"]
    teardown, _stack, rest = texts["Remove it"]
    workspace = 'WORKSPACE_ID=$(aws amp create-workspace --alias ecs-prometheus --query workspaceId --output text)'
    edit = "perl -pi -e 's/scrape_interval: 30s/scrape_interval: 15s/' prometheus.yml"
    rules = "aws amp describe-rule-groups-namespace --workspace-id $WORKSPACE_ID --name ecs-discovery"
    (
        *_, upgraded, rolled_back, _edit, changed, rotated, _workspace, loaded, alarm, described, _removed, _rest,
    ) = reader.run(
        *map(of, STEPS[:7]), *texts["Deploy"], upgrade, *texts["Roll back"], edit, *texts["Change the configuration"],
        "".join(texts["Rotate the token"]), workspace, *texts["What to watch"], rules, teardown, rest,
    )  # fmt: skip

    for heading, output in (
        ("Upgrade", upgraded), ("Roll back", rolled_back), ("Change the configuration", changed),
        ("Rotate the token", rotated),
    ):
        assert_output_as_shown(shown(heading, DAY_TWO), output)
    assert "ACTIVE" in loaded or "CREATING" in loaded
    assert_output_as_shown(shown("What to watch", DAY_TWO), alarm)
    assert "arn:aws:aps:" in described

    made = reader.account
    images = {
        number: [
            each["image"] for each in made.ecs.describe_task_definition(taskDefinition=f"ecs-prometheus:{number}")
            ["taskDefinition"]["containerDefinitions"] if each["name"] == "ecs-discovery"
        ][0].rsplit(":")[-1] for number in (1, 2, 3)
    }  # fmt: skip
    assert images == {1: "0.1.0", 2: "0.2.0", 3: "0.2.0"}
    assert_nothing_is_left(reader)


def assert_nothing_is_left(reader):
    made = reader.account
    # moto goes on listing it.
    assert service(reader)["status"] == "INACTIVE"
    assert made.ecs.list_task_definitions(familyPrefix="ecs-prometheus")["taskDefinitionArns"] == []
    assert made.iam.list_roles()["Roles"] == []
    groups = made.ec2.describe_security_groups()["SecurityGroups"]
    assert "ecs-prometheus" not in {group["GroupName"] for group in groups}
    application = reader.ids["sg-0123456789abcdef0"]
    [group] = [group for group in groups if group["GroupId"] == application]
    assert group["IpPermissions"] == []
    assert made.s3.list_buckets()["Buckets"] == []
    assert reader.client("ecr").describe_repositories()["repositories"] == []
    assert reader.client("logs").describe_log_groups()["logGroups"] == []
    assert reader.client("events").list_rules()["Rules"] == []
    assert reader.client("sns").list_topics()["Topics"] == []
    [left] = made.secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert "DeletedDate" in left


def test_changed_configuration_has_a_key_of_its_own_and_a_rollback_reads_the_old_one(reader):
    change = of("Change the configuration", DAY_TWO)
    # A second version in the same second would replace the first.
    wait = 'until [ "$(date -u +%Y%m%dT%H%M%SZ)" != "${CONFIG_KEY:11:16}" ]; do :; done'
    edit = "perl -pi -e 's/scrape_interval: 30s/scrape_interval: 15s/' prometheus.yml"
    reader.run(*map(of, STEPS[:7]), of("Deploy", DAY_TWO), edit, wait, change)

    old, new = (key_of(reader, f"ecs-prometheus:{number}") for number in (1, 2))
    intervals = [yaml.safe_load(uploaded(reader, key))["global"]["scrape_interval"] for key in (old, new)]
    assert old != new and intervals == ["30s", "15s"]
    assert service(reader)["taskDefinition"].endswith("ecs-prometheus:2")


@pytest.mark.parametrize("invalid", ["scrape_configs: []x", "rule_files: [alerts.yml]"], ids=["syntax", "agent mode"])
def test_invalid_configuration_is_neither_uploaded_nor_deployed(reader, invalid):
    change = of("Change the configuration", DAY_TWO)
    reader.run(*map(of, STEPS[:7]), of("Deploy", DAY_TWO), f"echo '{invalid}' >>prometheus.yml\n{change.rstrip()} || true")

    assert len(reader.account.s3.list_objects_v2(Bucket=BUCKET)["Contents"]) == 1
    assert service(reader)["taskDefinition"].endswith("ecs-prometheus:1")


def test_rotated_token_replaces_both_keys_of_the_secret(reader):
    reader.run(*map(of, STEPS[:7]), of("Rotate the token", DAY_TWO))
    assert secret(reader) == {
        "remote_write_token": NEXT_TOKEN, "logs_authorization": f"Authorization Bearer {NEXT_TOKEN}",
    }


def test_stack_is_created_upgraded_and_removed(reader):
    stack, _terraform = blocks("With CloudFormation or Terraform")
    _upgrade, upgrade = blocks("Upgrade", DAY_TWO)
    _teardown, teardown, _rest = blocks("Remove it", DAY_TWO)
    cloudformation = reader.client("cloudformation")

    *_, names = reader.run(*map(of, STEPS[:4]), stack, 'echo "$SERVICE $LOG_GROUP"')

    [made] = cloudformation.describe_stacks(StackName="ecs-prometheus")["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    [log_group] = reader.client("logs").describe_log_groups()["logGroups"]
    assert names.split() == [*reader.account.ecs.list_services(cluster=CLUSTER)["serviceArns"], log_group["logGroupName"]]

    # moto updates resources whose condition is false, and cannot keep the previous value of a list.
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in made["Parameters"]}
    file = reader.folder / "cloudformation.yaml"
    file.write_text(json.dumps(Template(file).without_conditions(parameters)))
    subnets = f" SubnetIds={reader.account.subnet}"
    image = "export ECS_DISCOVERY_IMAGE=example/ecs-discovery:0.2.0 AWS_DEFAULT_REGION=eu-west-1"
    reader.run(image, upgrade.rstrip() + subnets)

    [made] = cloudformation.describe_stacks(StackName="ecs-prometheus")["Stacks"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in made["Parameters"]}
    assert made["StackStatus"] == "UPDATE_COMPLETE"
    assert parameters["EcsDiscoveryImage"] == "example/ecs-discovery:0.2.0"
    assert parameters["ServiceCluster"] == CLUSTER, "the others keep their values"

    reader.run("export AWS_DEFAULT_REGION=eu-west-1", teardown)
    assert cloudformation.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])["StackSummaries"] == []


def test_terraform_command_sets_all_required_variables(reader):
    reader.ids["subnet-0123456789abcdef0"] = "subnet-a,subnet-b"
    _, terraform = blocks("With CloudFormation or Terraform")

    reader.run(*map(of, (STEPS[0], STEPS[1])), "export CONFIG_KEY=prometheus-1.yml", of(STEPS[3]), terraform)

    words = reader.called.read_text().splitlines()
    given = dict(word.split("=", 1) for option, word in zip(words, words[1:]) if option == "-var")
    variables = {name: body for (name,), body in Module(ECS / "terraform").blocks("variable").items()}
    required = {name for name, body in variables.items() if "default" not in body}
    assert required | {"assign_public_ip", "cpu_architecture", "ascent_host", "secret_arn"} == set(given)
    assert json.loads(given["subnet_ids"]) == ["subnet-a", "subnet-b"]
    assert json.loads(given["cluster_arns"]) == [f"arn:aws:ecs:eu-west-1:123456789012:cluster/{CLUSTER}"]
    assert all(given.values())
    assert words.count("-chdir=terraform") == 2 and {"init", "apply"} <= set(words)


def test_compose_command_sets_all_required_variables(reader):
    block = commands("Run it locally")
    required = {name for name in re.findall(r"\$\{(\w+):\?", (ECS / "compose.yaml").read_text())}
    assert required == set(re.findall(r"\b([A-Z_]+)=", block.splitlines()[-1]))
    # Version 1 of the AWS CLI, which these tests use, cannot export credentials.
    commands_here = "\n".join(line for line in block.splitlines() if "export-credentials" not in line)
    reader.run(commands(STEPS[0]), commands_here)
    assert "docker compose up" in reader.called.read_text()


def test_role_in_another_account_trusts_an_existing_role_and_requires_the_external_id(reader):
    of_prometheus, of_cluster = blocks("A cluster of another account")
    roles, _put = blocks(STEPS[4])
    # Both accounts are the same one here. IAM rejects a trust policy that names a role that does not exist.
    given = "export CLUSTER_ACCOUNT_ID=123456789012 MONITORING_ACCOUNT_ID=123456789012 EXTERNAL_ID=between-us"
    exists = "aws iam get-role --role-name ecs-prometheus-task --query Role.Arn --output text"
    *_, trusted, _created = reader.run(
        of(STEPS[0]), f"{given} ECS_DISCOVERY_IMAGE=x", of(STEPS[2]), roles, of_prometheus, exists, of_cluster,
    )

    iam = reader.account.iam
    trust = iam.get_role(RoleName="ecs-discovery")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"]["AWS"] == trusted.strip()
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "between-us"}}
    assumed = iam.get_role_policy(RoleName="ecs-prometheus-task", PolicyName="assume-discovery-role")["PolicyDocument"]
    assert assumed["Statement"][0]["Resource"] == "arn:aws:iam::123456789012:role/ecs-discovery"


def test_placeholders_without_a_value_stay(reader):
    reader.run(of(STEPS[0]), "export ECS_DISCOVERY_IMAGE=x", of(STEPS[2]))
    assert "CLUSTER_ACCOUNT_ID:role" in (reader.folder / "iam" / "assume-discovery-role.json").read_text()
