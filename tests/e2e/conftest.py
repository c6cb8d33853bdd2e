"""Fixtures: each gives one real part, and takes it away again."""

import os
import signal
from pathlib import Path

import pytest

pytest.register_assert_rewrite("parts")

from parts import prometheus as stock  # noqa: E402
from parts.account import TESTING, Account  # noqa: E402
from parts.browser import Browser  # noqa: E402
from parts.discovery import Discovery  # noqa: E402
from parts.exporter import Exporter, Road  # noqa: E402
from parts.moto import Moto  # noqa: E402
from parts.process import forget_settings  # noqa: E402
from parts.prometheus import Prometheus  # noqa: E402
from parts.stack import Stack  # noqa: E402

PROMETHEUS_PROGRAMS = stock.installed()


def pytest_configure(config):
    """No silent skip: without its real parts the suite does not start."""
    binary = os.environ.get("ECS_DISCOVERY_BIN", "")
    if not os.access(binary, os.X_OK):
        raise pytest.UsageError(f"ECS_DISCOVERY_BIN must name the program to test, not {binary!r}; see tests/run")
    if not PROMETHEUS_PROGRAMS:
        raise pytest.UsageError("no prometheus with promtool found; `tests/run e2e` gets one from Debian")
    config.binary = Path(binary).resolve()
    # Told to end, the suite still ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    forget_settings()


def _versions():
    versions = [program.version for program in PROMETHEUS_PROGRAMS]
    newest = "" if versions[-1][0] >= "3" else " ALONE: no Prometheus 3 could be had here"
    return f"Prometheus {' and '.join(versions)}{newest}"


def pytest_report_header(config):
    return [f"program: {config.binary}", _versions()]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"tested with {_versions()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows what the program said, and the file as it is now."""
    report = yield
    if report.failed:
        for started in getattr(item, "with_evidence", []):
            report.sections += [(f"{type(started).__name__} {what}", text) for what, text in started.evidence()]
    return report


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


@pytest.fixture
def passing_moto(tmp_path):
    """An AWS of the test's own, which it may take down."""
    moto = Moto(tmp_path)
    moto.reset()
    yield moto
    moto.stop()


@pytest.fixture
def account(moto):
    return Account(moto.endpoint)


@pytest.fixture
def sd_file(tmp_path):
    """Where the program writes: a directory that is otherwise empty."""
    directory = tmp_path / "output"
    directory.mkdir()
    return directory / "ecs_file_sd.yml"


@pytest.fixture
def discover(request, sd_file, tmp_path):
    """discover("-config.…") starts the real program; what runs at the end of the test is ended."""
    request.node.with_evidence = started = []

    def start(*flags, endpoint=None, keys=TESTING, file=sd_file, umask=0o022, **env):
        endpoint = endpoint or request.getfixturevalue("moto").endpoint
        home = tmp_path / f"discovery-{len(started)}"
        home.mkdir()
        program = Discovery(request.config.binary, flags, file, home, endpoint, keys, umask, **env)
        started.append(program)
        return program

    yield start
    for program in started:
        program.stop()


@pytest.fixture
def discover_once(discover):
    """One refresh; gives the program after its end."""
    def run(*flags, **how):
        program = discover("-config.scrape-times=1", *flags, **how)
        program.code = program.exit_code()
        return program

    return run


@pytest.fixture
def exporter():
    """exporter("word") is something to scrape."""
    started = []

    def start(word, **where):
        started.append(Exporter(word, **where))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def road():
    """The way to exporters behind addresses that only exist in AWS."""
    road = Road()
    yield road
    road.stop()


@pytest.fixture(params=PROMETHEUS_PROGRAMS, ids=lambda program: f"prometheus-{program.version}")
def prometheus_program(request):
    return request.param


@pytest.fixture
def prometheus(prometheus_program, tmp_path, sd_file):
    """prometheus() reads the file, from whenever it appears; or has these jobs, or this prometheus.yml."""
    started = []

    def start(file=sd_file, proxy=None, jobs=None, config=None):
        directory = tmp_path / f"prometheus-{len(started)}"
        directory.mkdir()
        jobs = jobs or [stock.from_file(file, **({"proxy_url": proxy} if proxy else {}))]
        config = config or stock.write_config(directory / "prometheus.yml", *jobs)
        started.append(Prometheus(prometheus_program, directory, *stock.its_files(config, directory)))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def stack(request, tmp_path):
    """stack(ground, program) is examples/ecs, ready to start, with a Prometheus of this program."""
    request.node.with_evidence = started = []

    def deploy(ground, program, **how):
        directory = tmp_path / f"stack-{len(started)}"
        started.append(Stack(directory, ground, request.config.binary, program, **how))
        return started[-1]

    yield deploy
    for each in started:
        each.stop()


@pytest.fixture
def browser(tmp_path):
    return Browser(tmp_path)
