"""Every file parses, and files and README have the same placeholders."""

import json
import re

import pytest
import yaml
from examples import ECS, WITH_PLACEHOLDERS, filled_in, placeholders

# Words in capitals that are not placeholders.
NOT_PLACEHOLDERS = {
    "X86_64",
    "REMOTE_WRITE_TOKEN",
    "CA_CERTIFICATES",
    "ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL",
    "ECS_DISCOVERY_WEB_LISTEN_ADDRESS",
}


@pytest.mark.parametrize("file", sorted([*ECS.rglob("*.json"), *ECS.rglob("*.y*ml")]), ids=lambda file: file.name)
def test_every_file_parses(file):
    text = file.read_text()
    if file.suffix == ".json":
        assert json.loads(text)
    else:
        assert yaml.compose(text)  # without constructing values, because of CloudFormation's tags


@pytest.mark.parametrize("file", WITH_PLACEHOLDERS, ids=lambda file: file.name)
def test_table_has_every_placeholder_of_the_file(file):
    left = set(re.findall(r"\b[A-Z0-9]+(?:_[A-Z0-9]+)+\b", "\n".join(values(filled_in(file)))))
    assert left - NOT_PLACEHOLDERS == set()
    assert not re.search(r"\bREGION\b|[<{}]|\bnull\b", "\n".join(values(filled_in(file))))


def test_every_placeholder_of_the_table_is_used():
    text = "\n".join(file.read_text() for file in WITH_PLACEHOLDERS)
    assert [word for word in placeholders() if not re.search(rf"\b{word}\b", text)] == []


def values(text):
    """Returns the values of a document, without its keys, as text."""
    def walk(node):
        if isinstance(node, dict):
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)
        else:
            yield json.dumps(node)

    return list(walk(yaml.safe_load(text)))
