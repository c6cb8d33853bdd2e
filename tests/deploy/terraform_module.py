"""Evaluates a Terraform module with Terraform, but without the AWS provider, which is not on any package registry.

Resources and data sources become local values, so that Terraform itself evaluates variables, functions, references and
validations. The few attributes that only AWS knows get fixed values.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hcl2
from hcl2 import SerializationOptions
from parts.process import clean_environment

# Attributes that only AWS knows, as expressions; {name} is the expression of that argument.
ATTRIBUTES = {
    "aws_iam_role": {"arn": 'format("arn:aws:iam::123456789012:role/%s", {name})'},
    "aws_cloudwatch_log_group": {"arn": 'format("arn:aws:logs:eu-west-1:123456789012:log-group:%s", {name})'},
    "aws_security_group": {"id": 'format("sg-of-%s", {name})'},
    "aws_service_discovery_private_dns_namespace": {"id": 'format("ns-of-%s", {name})'},
    "aws_service_discovery_service": {
        "arn": 'format("arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-of-%s", {name})',
    },
    "aws_sqs_queue": {
        "arn": 'format("arn:aws:sqs:eu-west-1:123456789012:%s", {name})',
        "url": 'format("https://sqs.eu-west-1.amazonaws.com/123456789012/%s", {name})',
    },
    "aws_cloudwatch_event_rule": {"arn": 'format("arn:aws:events:eu-west-1:123456789012:rule/%s", {name})'},
    "aws_ecs_task_definition": {"arn": 'format("arn:aws:ecs:eu-west-1:123456789012:task-definition/%s:1", {family})'},
}
DATA = {
    "aws_caller_identity": {"account_id": '"123456789012"'},
    "aws_partition": {"partition": '"aws"'},
    "aws_region": {"region": '"eu-west-1"'},
}
WITHOUT_COMMENTS = SerializationOptions(with_comments=False)
MARK = "__is_block__"  # set by the parser
META_ARGUMENTS = {"count", "depends_on"}
META_BLOCKS = {"lifecycle"}
REFERENCE = re.compile(r"\b(data\.)?(aws_\w+)\.(\w+)\b")


def programs():
    """Returns the Terraform programs by version: the machine's, if any, and that of requirements.txt."""
    found = []
    on_path = shutil.which("terraform")
    # In the virtual environment it would be the package's wrapper script, which prints an extra line.
    if on_path and Path(on_path).parent != Path(sys.prefix, "bin"):
        found.append(Path(on_path))
    packaged = Path(sys.prefix, "lib", "terraform_linux")
    if packaged.exists():
        packaged.chmod(0o755)  # the package lacks the mode
        found.append(packaged)
    return {_version(program): program for program in found}


def _version(program):
    output = subprocess.check_output([program, "version"], text=True, env=environment("/nonexistent"))
    return re.search(r"v(\d+\.\d+\.\d+)", output)[1]


def environment(home):
    """Returns an environment without the user's settings and without the check for a newer Terraform."""
    return clean_environment(home, CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1")


class Module:
    def __init__(self, folder):
        self.parsed = {}
        for file in sorted(folder.glob("*.tf")):
            with file.open() as text:
                for kind, blocks in hcl2.load(text, serialization_options=WITHOUT_COMMENTS).items():
                    self.parsed.setdefault(kind, []).extend(blocks)

    def blocks(self, kind):
        """Returns labelled blocks by their labels: ("aws_iam_role", "task"), or ("name",)."""
        return {labels: body for block in self.parsed.get(kind, []) for labels, body in _labelled(block)}

    def evaluate(self, program, directory, variables):
        """Returns outputs and the arguments of every resource. Raises ValueError with Terraform's error."""
        self.write(directory)
        (directory / "terraform.tfvars.json").write_text(json.dumps(variables))
        self._run(program, directory, "apply", "-auto-approve", "-no-color", "-input=false")
        printed = json.loads(self._run(program, directory, "output", "-json"))
        outputs = {name: output["value"] for name, output in printed.items()}
        for message, holds in outputs.pop("preconditions").items():
            if not holds:
                raise ValueError(message)
        # Resources with a count are lists.
        resources = {
            name: body[0] if isinstance(body, list) else body
            for name, body in outputs.pop("resources").items() if body != []
        }  # fmt: skip
        return outputs, resources

    def write(self, directory):
        """Writes the module with its resources as local values."""
        (directory / "module.tf").write_text(self._without_provider())

    @staticmethod
    def _run(program, directory, *arguments):
        argv, env = [program, *arguments], environment(directory)
        done = subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout

    def _without_provider(self):
        local = {name: value for block in self.parsed["locals"] for name, value in _arguments(block).items()}
        for (kind, name), _ in self.blocks("data").items():
            local[f"{kind}__{name}"] = DATA[kind]
        preconditions = {}
        for (kind, name), body in self.blocks("resource").items():
            for lifecycle in blocks_in(body).get("lifecycle", []):
                preconditions |= {each["error_message"]: each["condition"] for each in blocks_in(lifecycle)["precondition"]}
            known = {key: value for key, value in body.items() if key not in META_ARGUMENTS | META_BLOCKS}
            arguments = {key: _expression(value) for key, value in known.items()}
            attributes = {key: f"${{{text.format(**arguments)}}}" for key, text in ATTRIBUTES.get(kind, {}).items()}
            local[f"{kind}__{name}"] = known | attributes
            if "count" in body:
                one = _expression(local[f"{kind}__{name}"])
                local[f"{kind}__{name}"] = f"${{[for number in range({_expression(body['count'])}) : {one}]}}"
        resources = {f'"{kind}.{name}"': f"${{local.{kind}__{name}}}" for kind, name in self.blocks("resource")}
        lines = [
            *(f'variable "{name}" {_block(body)}' for (name,), body in self.blocks("variable").items()),
            *(f'output "{name}" {_block(body)}' for (name,), body in self.blocks("output").items()),
            *(f"locals {{\n{name} = {_expression(value)}\n}}" for name, value in local.items()),
        ]
        text = REFERENCE.sub(r"local.\2__\3", "\n".join(lines))
        text += f'\noutput "preconditions" {_block({"value": preconditions})}'
        return text + f'\noutput "resources" {_block({"value": resources})}\n'


def blocks_in(body):
    """Returns the nested blocks of a body: names to lists of bodies."""
    return {
        name: [_arguments(each) for each in value] for name, value in body.items()
        if isinstance(value, list) and any(isinstance(each, dict) and MARK in each for each in value)
    }


def _labelled(block, labels=()):
    """Yields labels and body of a block, which the parser nests as quoted keys down to the marked body."""
    if MARK in block:
        yield labels, _arguments(block)
    else:
        for label, inner in block.items():
            yield from _labelled(inner, (*labels, label.strip('"')))


def _arguments(body):
    return {key: value for key, value in body.items() if key != MARK}


def _block(body):
    """Returns the body of a block as source text."""
    blocks = blocks_in(body)
    lines = [f"{key} = {_expression(value)}" for key, value in body.items() if key not in blocks]
    lines += [f"{name} {_block(each)}" for name, bodies in blocks.items() for each in bodies]
    return "{\n" + "\n".join(lines) + "\n}"


def _expression(value):
    """Returns a value as source text; in the parser's values strings have quotes, and expressions are in ${}."""
    if isinstance(value, dict):
        return "{\n" + "\n".join(f"{key} = {_expression(inner)}" for key, inner in _arguments(value).items()) + "\n}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_expression, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith("${"):
        return value.removeprefix("${").removesuffix("}")
    return str(value)
