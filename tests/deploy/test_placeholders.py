"""Every file parses, and has no placeholder that the README's table lacks, and the other way round."""

import json
import re

import pytest
import yaml
from examples import ECS, TO_FILL_IN, filled_in, placeholders

# Words that look like placeholders and are meant as they are.
MEANT = {"X86_64", "REMOTE_WRITE_TOKEN", "ECS_DISCOVERY_WEB_LISTEN_ADDRESS"}


@pytest.mark.parametrize("file", sorted([*ECS.rglob("*.json"), *ECS.rglob("*.y*ml")]), ids=lambda file: file.name)
def test_every_file_parses(file):
    text = file.read_text()
    if file.suffix == ".json":
        assert json.loads(text)
    else:
        assert yaml.compose(text)  # nodes only: CloudFormation has tags of its own


@pytest.mark.parametrize("file", TO_FILL_IN, ids=lambda file: file.name)
def test_nothing_is_left_to_fill_in(file):
    left = set(re.findall(r"\b[A-Z0-9]+(?:_[A-Z0-9]+)+\b", "\n".join(values(filled_in(file)))))
    assert left - MEANT == set()
    assert not re.search(r"\bREGION\b|[<{}]|\bnull\b", "\n".join(values(filled_in(file))))


def test_every_placeholder_of_the_table_is_somewhere():
    text = "\n".join(file.read_text() for file in TO_FILL_IN)
    assert [word for word in placeholders() if not re.search(rf"\b{word}\b", text)] == []


def values(text):
    """The values of a document, without its keys, as text."""
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
