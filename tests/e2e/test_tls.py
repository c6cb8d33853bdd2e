"""AWS over TLS: certificates are verified."""

import pytest
import trustme
from parts.account import Account, docker_labels
from parts.moto import Moto
from parts.sd_file import read


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def trust(authority, tmp_path):
    """The path of the authority's certificate."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return str(tmp_path / "authority.pem")


@pytest.fixture
def moto(authority, tmp_path):
    moto = Moto(tmp_path, authority)
    moto.reset()
    yield moto
    moto.stop()


@pytest.fixture
def account(moto, trust):
    return Account(moto.endpoint, trust=trust)


def test_task_is_found_over_tls(account, moto, trust, discover_once, sd_file):
    assert moto.endpoint.startswith("https://")
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    role = "-config.role-arn=arn:aws:iam::123456789012:role/reader"
    for flags, variable in ([], "SSL_CERT_FILE"), ([role], "SSL_CERT_FILE"), ([role], "AWS_CA_BUNDLE"):
        program = discover_once("-config.cluster=prod", *flags, **{variable: trust})
        assert program.code == 0, program.log()
    assert read(sd_file) == [account.target_group(cluster, task, f"{account.address(cluster, task)}:9102")]


def test_untrusted_certificate_is_rejected(account, discover_once, sd_file, tmp_path):
    account.cluster("prod")
    trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
    program = discover_once("-config.cluster=prod", SSL_CERT_FILE=str(tmp_path / "another.pem"))
    assert program.code == 1
    assert "ListTasks failed" in program.log() and "UnknownIssuer" in program.log(), program.log()
    assert not sd_file.exists()
