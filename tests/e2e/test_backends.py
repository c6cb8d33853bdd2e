"""examples/ecs/backends.md: each prometheus.yml delivers metrics to its receiver, which checks who sends."""

import json

import pytest
from parts.account import REGION, Account
from parts.authorization import basic, bearer, sigv4
from parts.prometheus import installed
from parts.stack import TOKEN, VALUES, Prerequisites
from parts.wait import until

PROGRAMS = installed()
NEWEST = PROGRAMS[-1]
# Debian builds Prometheus 2 without SigV4: it sends unsigned requests.
SIGNING = [program for program in PROGRAMS if not program.version.startswith("2.")]
signs = pytest.mark.skipif(not SIGNING, reason="Debian's Prometheus 2 does not sign requests")

AMP = ("backends/task-definition-amp.json", "backends/prometheus-amp.yml")
BASIC = ("backends/task-definition-cloudwatch.json", "backends/prometheus-basic-auth.yml")
BEARER = ("backends/task-definition-cloudwatch.json", "backends/prometheus-bearer-token.yml")


@pytest.fixture
def prerequisites(moto, account):
    owner = Account(moto.endpoint, account.user_with("*", name="owner"))
    owner.cluster(VALUES["CLUSTER_NAME"])
    created = Prerequisites(owner)
    moto.enforce_permissions()
    yield created
    created.stop()


def deliver(*stacks):
    """Starts the stacks and waits until their own metrics have arrived."""
    for each in stacks:
        each.upload_and_start()
    for each in stacks:
        # A scrape interval is 30 s.
        until("metrics have arrived", lambda: jobs(each) == {"ecs-discovery", "prometheus"}, within=120)
        assert each.receiver_proxy.accepted > 0 and each.receiver_proxy.rejected == 0


def jobs(stack):
    return {series["job"] for series in stack.receiver.query('up{cluster="prod-eu"} == 1')}


def test_metrics_arrive_with_a_password_and_with_a_token(prerequisites, stack):
    receivers = {BASIC: basic(VALUES["REMOTE_WRITE_USERNAME"], TOKEN), BEARER: bearer(TOKEN)}
    deliver(*(
        stack(prerequisites, program, authorized=authorized, files=files)
        for files, authorized in receivers.items() for program in PROGRAMS
    ))


@signs
def test_metrics_arrive_with_a_signature(prerequisites, stack):
    authorized = sigv4(prerequisites.session, "aps", REGION)
    deliver(*(stack(prerequisites, program, authorized=authorized, files=AMP) for program in SIGNING))


@signs
def test_wrong_signature_is_rejected(prerequisites, stack):
    """Shows that the receiver verifies each part of the signature."""
    session = prerequisites.session
    rejecting = [
        stack(prerequisites, NEWEST, authorized=authorized, files=AMP) for authorized in (
            sigv4(session, "execute-api", REGION),
            sigv4(session, "aps", "us-east-1"),
            sigv4(session | {"SecretAccessKey": "another"}, "aps", REGION),
            sigv4(session | {"SessionToken": "another"}, "aps", REGION),
        )
    ]  # fmt: skip
    for each in rejecting:
        each.upload_and_start()
    for each in rejecting:
        until("a request was rejected", lambda: each.receiver_proxy.rejected > 0)
        assert each.receiver_proxy.accepted == 0


def with_ca(text, authority):
    """Adds a private CA as backends.md describes it; a test in tests/deploy runs the commands."""
    if not text.startswith("{"):
        assert text.count("# tls_config:") == 1
        return text.replace("# tls_config:", "tls_config:")
    definition = json.loads(text)
    [config] = [each for each in definition["containerDefinitions"] if each["name"] == "config"]
    config["environment"] = [{"name": "CA_CERTIFICATES", "value": authority.read_text()}]
    return json.dumps(definition)


def test_private_ca_is_delivered(prerequisites, stack):
    deliver(*(stack(prerequisites, program, files=BEARER, edit=with_ca) for program in PROGRAMS))


def test_certificate_of_an_unknown_ca_is_rejected(prerequisites, stack):
    unknown = stack(prerequisites, NEWEST, files=BEARER, edit=lambda text, authority: text)

    sender = unknown.upload_and_start()

    until("the certificate is rejected", lambda: "certificate signed by unknown authority" in sender.log())
    assert unknown.receiver_proxy.accepted == 0
