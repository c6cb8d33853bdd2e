"""AWS is away, or the sidecar is told to go."""

import os
import socket

import pytest
from parts.account import Account, docker_labels
from parts.sd_file import with_cache
from parts.wait import until


@pytest.fixture
def mute_aws():
    """An AWS that takes the call and never answers; gives its endpoint and the wait for the call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        calls = []

        def has_been_called():
            calls.append(listener.accept()[0])
            return calls[-1].recv(1)

        yield f"http://127.0.0.1:{listener.getsockname()[1]}", has_been_called
        for call in calls:
            call.close()


def test_a_restart_during_an_outage_keeps_the_targets(passing_moto, discover, sd_file):
    account = Account(passing_moto.endpoint)
    account.fargate_task(account.cluster("prod"), "web", docker_labels(9102))
    flags = ["-config.cluster=prod", "-config.scrape-interval=1s"]
    before = discover(*flags, endpoint=passing_moto.endpoint)
    until("the file is there", sd_file.exists)
    known = sd_file.read_bytes()
    assert b"9102" in known
    assert before.sigterm()[0] == 0
    passing_moto.stop()

    restarted = discover(*flags, endpoint=passing_moto.endpoint)
    until("a refresh has failed, and the log says so", lambda: "ListTasks" in restarted.said())

    assert sd_file.read_bytes() == known
    code, seconds = restarted.sigterm()
    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert sd_file.read_bytes() == known
    assert sorted(os.listdir(sd_file.parent)) == with_cache(sd_file)


def test_a_limited_run_during_an_outage_fails_and_keeps_the_file(passing_moto, discover_once, sd_file):
    account = Account(passing_moto.endpoint)
    account.fargate_task(account.cluster("prod"), "web", docker_labels(9102))
    assert discover_once("-config.cluster=prod", endpoint=passing_moto.endpoint).code == 0
    known = sd_file.read_bytes()
    passing_moto.stop()

    assert discover_once("-config.cluster=prod", endpoint=passing_moto.endpoint).code == 1

    assert sd_file.read_bytes() == known


def test_sigterm_ends_a_waiting_program_at_once(account, discover, sd_file):
    account.cluster("prod")
    program = discover("-config.cluster=prod")
    until("the file is there", sd_file.exists)

    code, seconds = program.sigterm()

    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert os.listdir(sd_file.parent) == [sd_file.name]


def test_sigterm_ends_a_program_in_the_middle_of_a_hanging_call(mute_aws, discover, sd_file):
    endpoint, has_been_called = mute_aws
    program = discover("-config.cluster=prod", endpoint=endpoint)
    until("the call is under way", has_been_called)

    code, seconds = program.sigterm()

    assert (code, seconds < 1) == (0, True), f"exit {code} after {seconds:.2f} s"
    assert os.listdir(sd_file.parent) == []
