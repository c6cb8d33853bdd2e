"""The parts of tests/e2e are these tests' parts too; here are the programs that judge the files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
pytest.register_assert_rewrite("parts", "examples")

from parts import prometheus as stock  # noqa: E402
from parts.account import TESTING  # noqa: E402
from parts.discovery import Discovery  # noqa: E402
from parts.moto import Moto  # noqa: E402
from parts.process import forget_settings  # noqa: E402
from simaws import SimAws  # noqa: E402

PROMETHEUS_PROGRAMS = stock.installed()


def pytest_configure(config):
    """No silent skip: without what it needs the suite does not start."""
    config.programs = {}
    for variable in ("ECS_DISCOVERY_BIN", "SIMAWS_BIN"):
        binary = os.environ.get(variable, "")
        if not os.access(binary, os.X_OK):
            raise pytest.UsageError(f"{variable} must name a program built here, not {binary!r}; see tests/run")
        config.programs[variable] = Path(binary).resolve()
    if not PROMETHEUS_PROGRAMS:
        raise pytest.UsageError("no prometheus with promtool found; `tests/run deploy` gets one from Debian")
    forget_settings()


def pytest_report_header():
    return f"Prometheus {' and '.join(program.version for program in PROMETHEUS_PROGRAMS)}"


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def moto(moto_server):
    """An empty AWS."""
    moto_server.reset()
    return moto_server


@pytest.fixture(params=PROMETHEUS_PROGRAMS, ids=lambda program: f"prometheus-{program.version}")
def promtool(request):
    def run(*arguments):
        argv = [request.param.promtool, *arguments]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def simaws(request, tmp_path):
    """simaws(world) is an AWS that has this world and counts its calls."""
    started = []

    def start(world):
        started.append(SimAws(request.config.programs["SIMAWS_BIN"], world, tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def discover_once(request, tmp_path):
    """One refresh of the real program; gives the file that it wrote."""
    started = []

    def run(endpoint, *flags):
        file = tmp_path / "ecs_file_sd.yml"
        how = (file, tmp_path, endpoint, TESTING)
        program = Discovery(request.config.programs["ECS_DISCOVERY_BIN"], ["-config.scrape-times=1", *flags], *how)
        started.append(program)
        assert program.exit_code() == 0, program.said()
        return file

    yield run
    for each in started:
        each.stop()
