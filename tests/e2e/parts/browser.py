"""Chromium, headless."""

import shutil
import subprocess
from collections import namedtuple
from html.parser import HTMLParser

from .process import clean_environment

Page = namedtuple("Page", "html tables links console")

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]


class Browser:
    def __init__(self, directory):
        self.program = shutil.which("chromium")
        assert self.program, "chromium is not on the PATH: run apt-get install --no-install-recommends chromium"
        self.directory = directory

    def open(self, url):
        """Loads the page; returns the resulting DOM and the messages on the console."""
        profile = self.directory / "chromium"
        argv = [self.program, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
        env = clean_environment(self.directory)
        run = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=180)
        assert run.returncode == 0 and run.stdout, f"chromium: exit {run.returncode}\n{run.stderr}"
        reader = _Reader()
        reader.feed(run.stdout)
        console = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
        return Page(run.stdout, reader.tables, reader.links, console)


class _Reader(HTMLParser):
    """Collects tables as lists of rows of texts, and the targets of links."""

    def __init__(self):
        super().__init__()
        self.tables, self.links, self.cell = [], [], None

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = []
        elif tag == "br" and self.cell is not None:
            self.cell.append(" ")
        elif tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append("".join(self.cell))
            self.cell = None
