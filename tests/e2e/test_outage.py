"""AWS outages, restarts and SIGTERM."""

import os
import socket

import pytest
from parts.account import Account, docker_labels
from parts.sd_file import file_and_cache
from parts.wait import until


@pytest.fixture
def hanging_aws():
    """An AWS endpoint that accepts calls and never responds; returns it and a function that waits for a call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        calls = []

        def has_call():
            calls.append(listener.accept()[0])
            return calls[-1].recv(1)

        yield f"http://127.0.0.1:{listener.getsockname()[1]}", has_call
        for call in calls:
            call.close()


def test_restart_during_an_outage_keeps_the_targets(own_moto, discover, sd_file):
    account = Account(own_moto.endpoint)
    account.fargate_task(account.cluster("prod"), "web", docker_labels(9102))
    flags = ["-config.cluster=prod", "-config.scrape-interval=1s"]
    before = discover(*flags, endpoint=own_moto.endpoint)
    until("the file exists", sd_file.exists)
    known = sd_file.read_bytes()
    assert b"9102" in known
    assert before.sigterm()[0] == 0
    own_moto.stop()

    restarted = discover(*flags, endpoint=own_moto.endpoint)
    until("the log reports a failed refresh", lambda: "ListTasks" in restarted.log())

    assert sd_file.read_bytes() == known
    code, seconds = restarted.sigterm()
    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert sd_file.read_bytes() == known
    assert sorted(os.listdir(sd_file.parent)) == file_and_cache(sd_file)


def test_limited_run_during_an_outage_fails_and_keeps_the_file(own_moto, discover_once, sd_file):
    account = Account(own_moto.endpoint)
    account.fargate_task(account.cluster("prod"), "web", docker_labels(9102))
    assert discover_once("-config.cluster=prod", endpoint=own_moto.endpoint).code == 0
    known = sd_file.read_bytes()
    own_moto.stop()

    assert discover_once("-config.cluster=prod", endpoint=own_moto.endpoint).code == 1

    assert sd_file.read_bytes() == known


def test_sigterm_stops_an_idle_program_at_once(account, discover, sd_file):
    account.cluster("prod")
    program = discover("-config.cluster=prod")
    until("the file exists", sd_file.exists)

    code, seconds = program.sigterm()

    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert os.listdir(sd_file.parent) == [sd_file.name]


def test_sigterm_stops_a_program_during_a_hanging_call(hanging_aws, discover, sd_file):
    endpoint, has_call = hanging_aws
    program = discover("-config.cluster=prod", endpoint=endpoint)
    until("a call has arrived", has_call)

    code, seconds = program.sigterm()

    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert os.listdir(sd_file.parent) == []
