"""What is under examples/ecs, and the tools that judge it."""

import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))  # its parts are these tests' parts too

EXAMPLES = REPOSITORY / "examples" / "ecs"


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES
