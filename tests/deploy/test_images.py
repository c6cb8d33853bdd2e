"""The stock images: one version each in all files, without a login, and watched by Renovate."""

import json
import re
from pathlib import Path

import pytest
from examples import ECS

REPOSITORY = Path(__file__).parents[2]
[MANAGER] = json.loads((REPOSITORY / ".renovaterc.json").read_text())["customManagers"]
# Patterns in slashes are regular expressions of JavaScript, whose named groups Python spells differently.
FILES = [re.compile(pattern.strip("/")) for pattern in MANAGER["managerFilePatterns"]]
[IMAGE] = [re.compile(pattern.replace("(?<", "(?P<")) for pattern in MANAGER["matchStrings"]]
PINS = {found["depName"]: found["currentValue"] for found in IMAGE.finditer((ECS / "images.env").read_text())}
WITH_IMAGES = sorted(
    file for file in ECS.rglob("*")
    if file.is_file() and file.suffix != ".md" and re.search(r"(quay\.io|public\.ecr\.aws)/", file.read_text())
    and file.relative_to(ECS).parts[0] not in ("events", "fleet")
)  # fmt: skip


def test_every_pin_is_a_line_of_its_own():
    lines = (ECS / "images.env").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) == len(PINS) == 3
    assert all(re.fullmatch(rf"[A-Z_]+=({IMAGE.pattern})", line) for line in pins)


@pytest.mark.parametrize("file", WITH_IMAGES, ids=lambda file: str(file.relative_to(ECS)))
def test_images_are_those_of_the_pins_and_are_watched(file):
    path = str(file.relative_to(REPOSITORY))
    assert any(pattern.search(path) for pattern in FILES), "not watched"
    text = file.read_text()
    found = {(image["depName"], image["currentValue"]) for image in IMAGE.finditer(text)}
    assert found and found <= set(PINS.items())
    assert len(IMAGE.findall(text)) == len(re.findall(r"(?:quay\.io|public\.ecr\.aws)/", text)), "not all are matched"


def test_no_stock_image_comes_from_a_registry_with_a_rate_limit():
    for file in WITH_IMAGES:
        assert not re.search(r"""["' :](?:amazon|prom|grafana)/[a-z-]+:""", file.read_text()), file
    assert len(WITH_IMAGES) == 8
