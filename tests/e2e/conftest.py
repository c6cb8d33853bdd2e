"""Fixtures: each one provides a real program or service and stops it after the test."""

import itertools
import os
import shutil
import signal
from pathlib import Path

import pytest

pytest.register_assert_rewrite("parts")

from parts import prometheus as stock  # noqa: E402
from parts.account import TEST_KEYS, Account  # noqa: E402
from parts.browser import Browser  # noqa: E402
from parts.discovery import Discovery  # noqa: E402
from parts.exporter import Exporter, VpcProxy  # noqa: E402
from parts.moto import Moto  # noqa: E402
from parts.process import clear_settings  # noqa: E402
from parts.prometheus import Prometheus  # noqa: E402
from parts.stack import Stack  # noqa: E402
from parts.vmagent import Vmagent  # noqa: E402
from parts.vmagent import version as vmagent_version  # noqa: E402

PROMETHEUS_PROGRAMS = stock.installed()


def pytest_configure(config):
    """Fails the whole run, instead of skipping tests, if a program is missing."""
    binary = os.environ.get("ECS_DISCOVERY_BIN", "")
    if not os.access(binary, os.X_OK):
        raise pytest.UsageError(f"ECS_DISCOVERY_BIN must be the program to test, not {binary!r}; see tests/run")
    if not PROMETHEUS_PROGRAMS:
        raise pytest.UsageError("prometheus and promtool not found; `tests/run e2e` unpacks them from Debian")
    if not shutil.which("vmagent"):
        raise pytest.UsageError("vmagent not found; `tests/run e2e` installs it from Debian's package victoria-metrics")
    config.binary = Path(binary).resolve()
    # On SIGTERM, still run the fixtures' clean-up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clear_settings()


def _versions():
    versions = [program.version for program in PROMETHEUS_PROGRAMS]
    missing = "" if versions[-1][0] >= "3" else " ONLY: Prometheus 3 is not available here"
    return f"Prometheus {' and '.join(versions)}{missing}, vmagent {vmagent_version()}"


def pytest_report_header(config):
    return [f"program: {config.binary}", _versions()]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"tested with {_versions()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds logs and files of the programs under test to the report of a failing test."""
    report = yield
    if report.failed:
        for started in itertools.chain(*getattr(item, "with_diagnostics", [])):
            report.sections += [(f"{type(started).__name__} {what}", text) for what, text in started.diagnostics()]
    return report


def _with_diagnostics(request):
    """Returns a list for started programs, whose logs and files are added to the report of a failing test."""
    lists = request.node.__dict__.setdefault("with_diagnostics", [])
    lists.append([])
    return lists[-1]


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


@pytest.fixture
def own_moto(tmp_path):
    """A separate moto server, which the test may stop."""
    moto = Moto(tmp_path)
    moto.reset()
    yield moto
    moto.stop()


@pytest.fixture
def account(moto):
    return Account(moto.endpoint)


@pytest.fixture
def sd_file(tmp_path):
    """The path of the file, in an empty directory."""
    directory = tmp_path / "output"
    directory.mkdir()
    return directory / "ecs_file_sd.yml"


@pytest.fixture
def discover(request, sd_file, tmp_path):
    """discover("-config.…") starts the real program, which is stopped after the test."""
    started = _with_diagnostics(request)

    def start(*flags, endpoint=None, keys=TEST_KEYS, file=sd_file, umask=0o022, **env):
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
    """discover_once("-config.…") runs one refresh and returns the program with its exit code in `code`."""
    def run(*flags, **how):
        program = discover("-config.scrape-times=1", *flags, **how)
        program.code = program.exit_code()
        return program

    return run


@pytest.fixture
def exporter():
    """exporter("name") starts an exporter."""
    started = []

    def start(name, **where):
        started.append(Exporter(name, **where))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def vpc_proxy():
    """Makes exporters reachable at private addresses that exist only in moto."""
    proxy = VpcProxy()
    yield proxy
    proxy.stop()


@pytest.fixture(params=PROMETHEUS_PROGRAMS, ids=lambda program: f"prometheus-{program.version}")
def prometheus_program(request):
    return request.param


@pytest.fixture
def prometheus(prometheus_program, tmp_path, sd_file):
    """prometheus() starts a server that reads the file; or with other jobs, or with another prometheus.yml."""
    started = []

    def start(file=sd_file, proxy=None, jobs=None, config=None):
        directory = tmp_path / f"prometheus-{len(started)}"
        directory.mkdir()
        jobs = jobs or [stock.from_file(file, **({"proxy_url": proxy} if proxy else {}))]
        config = config or stock.write_config(directory / "prometheus.yml", *jobs)
        started.append(Prometheus(prometheus_program, directory, *stock.path_flags(config, directory)))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def receiver(prometheus_program, tmp_path):
    """A Prometheus that receives samples, and scrapes nothing."""
    directory = tmp_path / "receiver"
    directory.mkdir()
    files = stock.path_flags(stock.write_config(directory / "prometheus.yml"), directory)
    server = Prometheus(prometheus_program, directory, *files, "--web.enable-remote-write-receiver")
    yield server
    server.stop()


@pytest.fixture
def vmagent(request, receiver, tmp_path):
    """vmagent(config) starts vmagent, which sends to the receiver."""
    started = _with_diagnostics(request)

    def start(config):
        started.append(Vmagent(config, tmp_path, receiver.url))
        return started[-1]

    yield start
    # Before its receiver, or it would retry.
    for each in started:
        each.stop()


@pytest.fixture
def stack(request, tmp_path):
    """stack(prerequisites, program) is a deployment of examples/ecs, not yet started, with this Prometheus."""
    started = _with_diagnostics(request)

    def deploy(prerequisites, program, **how):
        directory = tmp_path / f"stack-{len(started)}"
        started.append(Stack(directory, prerequisites, request.config.binary, program, **how))
        return started[-1]

    yield deploy
    for each in started:
        each.stop()


@pytest.fixture
def browser(tmp_path):
    return Browser(tmp_path)
