"""The guide, examples/ecs/README.md, as sections, commands and tables."""

import re

from examples import ECS

GUIDE = (ECS / "README.md").read_text()
# The program's source, which has the messages and names that the guide quotes.
SOURCE = "\n".join(file.read_text() for file in sorted((ECS.parents[1] / "src").rglob("*.rs")))

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def sections(text=GUIDE):
    """Returns headings and the text below each, up to the next heading of any level."""
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def step(number):
    [name] = [heading for heading in sections() if heading.startswith(f"{number}. ")]
    return name


def commands(heading):
    """Returns the first block of commands of a section."""
    return next(body for language, body, _ in BLOCK.findall(sections()[heading]) if language == "sh")


def shown(heading):
    """Returns the output that the section shows right below its commands."""
    return next(output for language, _, output in BLOCK.findall(sections()[heading]) if language == "sh")


def codes(text):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def rows(heading):
    table = [line for line in sections()[heading].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def like(quoted):
    """Returns a pattern for quoted text, in which `…` stands for anything on the line."""
    return re.compile(".*".join(map(re.escape, quoted.split("…"))))
