"""The guide, examples/ecs/README.md, and the pages beside it, as sections, commands and tables."""

import re

from examples import ECS

GUIDE = (ECS / "README.md").read_text()
BACKENDS = (ECS / "backends.md").read_text()
DAY_TWO = (ECS / "day-two.md").read_text()
PAGES = {"README.md": GUIDE, "backends.md": BACKENDS, "day-two.md": DAY_TWO}
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


def blocks(heading, page=GUIDE):
    """Returns the blocks of commands of a section."""
    return [body for language, body, _ in BLOCK.findall(sections(page)[heading]) if language == "sh"]


def commands(heading, page=GUIDE):
    """Returns all commands of a section, as one script."""
    return "".join(blocks(heading, page))


def shown(heading, page=GUIDE):
    """Returns the output that the section shows below its commands."""
    return "".join(output for language, _, output in BLOCK.findall(sections(page)[heading]) if language == "sh")


def codes(text):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def rows(heading, page=GUIDE):
    table = [line for line in sections(page)[heading].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def like(quoted):
    """Returns a pattern for quoted text, in which `…` stands for anything on the line."""
    return re.compile(".*".join(map(re.escape, quoted.split("…"))))
