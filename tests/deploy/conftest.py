"""Fixtures, on top of the programs and services in tests/e2e/parts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
pytest.register_assert_rewrite("parts", "examples", "guide")

from parts import prometheus as stock  # noqa: E402
from parts.account import TEST_KEYS  # noqa: E402
from parts.discovery import Discovery  # noqa: E402
from parts.moto import Moto  # noqa: E402
from parts.process import clear_settings  # noqa: E402
from simaws import SimAws  # noqa: E402

PROMETHEUS_PROGRAMS = stock.installed()


def pytest_configure(config):
    """Fails the whole run, instead of skipping tests, if a program is missing."""
    config.programs = {}
    for variable in ("ECS_DISCOVERY_BIN", "SIMAWS_BIN"):
        binary = os.environ.get(variable, "")
        if not os.access(binary, os.X_OK):
            raise pytest.UsageError(f"{variable} must be a program built here, not {binary!r}; see tests/run")
        config.programs[variable] = Path(binary).resolve()
    if not PROMETHEUS_PROGRAMS:
        raise pytest.UsageError("prometheus and promtool not found; `tests/run deploy` unpacks them from Debian")
    clear_settings()


def pytest_report_header():
    return f"Prometheus {' and '.join(program.version for program in PROMETHEUS_PROGRAMS)}"


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def moto(moto_server):
    """The shared moto server, emptied."""
    moto_server.reset()
    return moto_server


@pytest.fixture(params=PROMETHEUS_PROGRAMS, ids=lambda program: f"prometheus-{program.version}")
def promtool(request):
    def run(*arguments):
        argv = [request.param.promtool, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def simaws(request, tmp_path):
    """simaws(world) starts a simulated AWS with this world, which counts calls."""
    started = []

    def start(world):
        started.append(SimAws(request.config.programs["SIMAWS_BIN"], world, tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def discover_once(request, tmp_path):
    """discover_once(endpoint, "-config.…") runs one refresh of the real program and returns the file."""
    started = []

    def run(endpoint, *flags):
        file = tmp_path / "ecs_file_sd.yml"
        binary = request.config.programs["ECS_DISCOVERY_BIN"]
        program = Discovery(binary, ["-config.scrape-times=1", *flags], file, tmp_path, endpoint, TEST_KEYS)
        started.append(program)
        assert program.exit_code() == 0, program.log()
        return file

    yield run
    for each in started:
        each.stop()
