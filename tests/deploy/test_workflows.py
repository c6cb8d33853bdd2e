"""What is released, and how: CHANGELOG.md, the workflows with their scripts, the labels of the image."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
GITHUB = REPOSITORY / ".github"
PACKAGE = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]
VERSION = PACKAGE["version"]
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
SCRIPTS = ["check-version", "pack", "release-notes"]


def workflow(name):
    return yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text())


def script_of(job, step):
    """What the named step of release.yml runs."""
    [found] = [each for each in workflow("release")["jobs"][job]["steps"] if each.get("name") == step]
    return found["run"]


def run(command, cwd=REPOSITORY, **environment):
    path = f"{TOOLS}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(cwd)} | {name: str(value) for name, value in environment.items()}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def run_step(job, step, cwd, **environment):
    """Runs it as `shell: bash` of a workflow does."""
    return run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script_of(job, step)], cwd, **environment)


@pytest.fixture
def copy(tmp_path):
    """copy(version, changelog) is a repository of its own, as far as a release goes."""
    def made(version="1.2.3", changelog="# Changelog\n\n## [1.2.3] - 2026-11-22\n\nWhat is new.\n"):
        shutil.copytree(GITHUB, tmp_path / ".github")
        (tmp_path / "Cargo.toml").write_text(
            f'[workspace.package]\nversion = "9.9.9"\n\n[package]\nversion = "{version}"\n\n[dependencies]\n'
        )
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        for name in ("LICENSE", "README.md"):
            (tmp_path / name).write_text(name)
        return tmp_path

    return made


@pytest.fixture
def stand_in(tmp_path):
    """stand_in("gh", 0) is a program on the PATH that notes its arguments, a line each, and ends like this."""
    def made(name, code):
        directory = tmp_path / "stand-ins"
        directory.mkdir()
        program, noted = directory / name, tmp_path / f"{name}.arguments"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{noted}"\nexit {code}\n')
        program.chmod(0o755)
        return noted, {"PATH": f"{directory}:{os.environ['PATH']}"}

    return made


# --- What the linters say ------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    ["actionlint", f"-shellcheck={TOOLS}/shellcheck", *WORKFLOWS],
    ["zizmor", "--offline", "--no-progress", GITHUB],
    ["check-jsonschema", "--builtin-schema=vendor.dependabot", GITHUB / "dependabot.yml"],
    ["shellcheck", *(GITHUB / name for name in SCRIPTS)],
    ["hadolint", "--failure-threshold=info", REPOSITORY / "Dockerfile"],
], ids=lambda command: command[0])  # fmt: skip
def test_linters_have_nothing_to_say(command):
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr


# --- The changelog, and what a tag has to agree with ---------------------------------------------


def test_the_changelog_has_unreleased_changes_or_begins_with_the_programs_version():
    headings = re.findall(r"^## (.*)", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    form = re.compile(r"\[(\d+\.\d+\.\d+(?:-[\w.]+)?)\] - (\d{4}-\d\d-\d\d)")
    unreleased = headings[:1] == ["[Unreleased]"]
    sections = [form.fullmatch(heading) for heading in headings[unreleased:]]
    assert headings and all(sections), headings
    assert unreleased or sections[0][1] == VERSION
    released = [section[2] for section in sections]
    assert released == sorted(released, reverse=True)


def check(top, tag):
    """The step of the workflow that decides whether a tag is released, and what it hands on."""
    output = top / "output"
    done = run_step("version", "Tag, Cargo.toml and CHANGELOG.md agree", top, TAG=tag, GITHUB_OUTPUT=output)
    return done, output.read_text() if output.exists() else ""


def test_a_tag_that_agrees_is_released(copy):
    done, output = check(copy(), "v1.2.3")
    assert (done.returncode, output) == (0, "version=1.2.3\n"), done.stderr


def test_a_candidate_for_a_release_is_one_too(copy):
    top = copy("1.2.3-rc.1", "# Changelog\n\n## [1.2.3-rc.1] - 2026-11-22\n\nSoon.\n")
    assert check(top, "v1.2.3-rc.1")[1] == "version=1.2.3-rc.1\n"


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2", "v1.2.3-rc.1", "v9.9.9", "v1x2x3", "v", "", "v$(id)"])
def test_a_tag_that_is_not_the_programs_version_is_refused(tag, copy):
    done, output = check(copy(), tag)
    assert done.returncode == 1 and output == ""
    assert f"the tag is {tag}, and Cargo.toml has version 1.2.3" in done.stderr


@pytest.mark.parametrize("top_section", [
    "## [1.2.2] - 2026-11-01\n",
    "## [1.2.3] - unreleased\n",
    "## [1.2.3]\n",
    "## [1x2.3] - 2026-11-22\n",
    "## [Unreleased]\n\n## [1.2.3] - 2026-11-22\n",
    "",
])  # fmt: skip
def test_a_version_of_which_the_changelog_does_not_tell_is_refused(top_section, copy):
    done, output = check(copy(changelog=f"# Changelog\n\n{top_section}"), "v1.2.3")
    assert done.returncode == 1 and output == ""
    assert "## [1.2.3] - YEAR-MONTH-DAY" in done.stderr


def test_every_other_job_waits_for_this_decision_and_what_is_published_for_the_tests():
    jobs = workflow("release")["jobs"]

    def waits_for(job):
        needed = jobs[job].get("needs", [])
        needed = {needed} if isinstance(needed, str) else set(needed)
        return needed.union(*map(waits_for, needed))

    assert all("version" in waits_for(job) for job in jobs if job != "version")
    assert {"ci", "image", "sbom"} <= waits_for("publish") and "ci" in waits_for("image")
    assert jobs["ci"]["uses"] == "./.github/workflows/ci.yml"


def test_without_a_name_for_the_image_nothing_begins(tmp_path):
    step = ("version", "There is a place for the image", tmp_path)
    refused = run_step(*step, IMAGE="")
    assert refused.returncode != 0 and "set the repository variable IMAGE" in refused.stderr
    assert run_step(*step, IMAGE="somebody/ecs-discovery").returncode == 0


@pytest.mark.parametrize("released", [True, False])
def test_what_is_released_is_not_released_again(released, tmp_path, stand_in):
    noted, path = stand_in("gh", 0 if released else 1)
    done = run_step("version", "What is released already stays as it is", tmp_path, TAG="v1.2.3", **path)
    assert done.returncode == (1 if released else 0), done.stdout + done.stderr
    assert noted.read_text().split() == ["release", "view", "v1.2.3"]


# --- The page of a release -----------------------------------------------------------------------

TWO_VERSIONS = """# Changelog

## [1.2.3] - 2026-11-22

New: [a flag](README.md#flags), see also [that](https://example.org/x) and [there](#here).

### Fixed

- All.

## [1.2.30] - 2026-11-01

Old.

## [1.2.4] - 2026-10-01

"""


def test_the_notes_are_the_section_of_the_version_with_links_that_lead_somewhere(copy):
    done = run([".github/release-notes", "1.2.3", "https://example.org/v1.2.3/"], copy(changelog=TWO_VERSIONS))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "New: [a flag](https://example.org/v1.2.3/README.md#flags), "
        "see also [that](https://example.org/x) and [there](#here).\n\n### Fixed\n\n- All."
    )


@pytest.mark.parametrize("version", ["1.2", "1.2.5", "1.2.4", ".*", ""])
def test_a_version_without_notes_has_no_page(version, copy):
    done = run([".github/release-notes", version, "https://example.org"], copy(changelog=TWO_VERSIONS))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"CHANGELOG.md says nothing of {version}" in done.stderr


def test_the_notes_of_the_next_release_can_be_made(copy):
    changelog = (REPOSITORY / "CHANGELOG.md").read_text().replace("## [Unreleased]\n", f"## [{VERSION}] - 2026-11-22\n")
    done = run([".github/release-notes", VERSION, "https://example.org"], copy(VERSION, changelog))
    assert done.returncode == 0 and "## [" not in done.stdout and "](docs" not in done.stdout, done


@pytest.mark.parametrize("version, prerelease", [("1.2.3", False), ("1.2.3-rc.1", True)])
def test_a_release_is_published_with_its_notes_and_files(version, prerelease, copy, stand_in):
    top = copy(version, f"# Changelog\n\n## [{version}] - 2026-11-22\n\nWhat is new.\n")
    (top / "dist").mkdir()
    (top / "dist" / "SHA256SUMS").touch()
    noted, path = stand_in("gh", 0)
    how = {"VERSION": version, "TAG": f"v{version}", "URL": "https://example.org", "IMAGE": "some/body"}
    done = run_step("publish", "Publish", top, DIGEST="sha256:12", **how, **path)
    assert done.returncode == 0, done.stderr
    arguments = noted.read_text().split()
    assert arguments[:3] == ["release", "create", f"v{version}"] and "--verify-tag" in arguments
    assert ("--prerelease" in arguments) == prerelease and arguments[-1] == "dist/SHA256SUMS"
    assert (top / "notes.md").read_text() == f"What is new.\n\nImage: `some/body:{version}@sha256:12`\n"


# --- The files of a release ----------------------------------------------------------------------


def test_an_archive_holds_program_license_and_readme_and_is_the_same_each_time(copy, tmp_path_factory):
    top, digests = copy(), []
    (top / "program").write_text("#!/bin/sh\n")
    for mode in (0o600, 0o777):
        (top / "program").chmod(mode)
        elsewhere = tmp_path_factory.mktemp("packed")
        done = run([top / ".github" / "pack", "1.2.3", "arm64", top / "program"], elsewhere)
        assert done.returncode == 0, done.stderr
        [archive] = elsewhere.iterdir()
        digests.append(hashlib.sha256(archive.read_bytes()).hexdigest())
    name = "ecs-discovery-1.2.3-linux-arm64"
    assert archive.name == f"{name}.tar.gz" and digests[0] == digests[1]
    with tarfile.open(archive) as packed:
        found = {each.name: (oct(each.mode), each.uid, each.gid) for each in packed if each.isfile()}
    assert found == {
        f"{name}/LICENSE": ("0o644", 0, 0),
        f"{name}/README.md": ("0o644", 0, 0),
        f"{name}/ecs-discovery": ("0o755", 0, 0),
    }


def test_every_file_is_in_the_checksums_and_no_other_name(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("a.tar.gz", "b.tar.gz", "a.cdx.json", "amd64.digest"):
        (parts / name).write_text(name)
    done = run_step("publish", "Checksums", tmp_path)
    assert done.returncode == 0, done.stderr
    checked = run(["sha256sum", "--check", "--strict", "SHA256SUMS"], tmp_path / "dist")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines() == ["a.cdx.json: OK", "a.tar.gz: OK", "b.tar.gz: OK"]


def test_image_and_checksums_are_signed_and_attested():
    steps = workflow("release")["jobs"]["publish"]["steps"]
    signed = script_of("publish", "Sign")
    assert "cosign sign --yes --recursive \"$IMAGE@$DIGEST\"" in signed
    assert "cosign sign-blob --yes --bundle dist/SHA256SUMS.sigstore.json dist/SHA256SUMS" in signed
    attested = [step["with"] for step in steps if step.get("uses", "").startswith("actions/attest@")]
    assert {"subject-checksums": "dist/SHA256SUMS"} in attested
    assert any(each.get("subject-digest") == "${{ steps.image.outputs.digest }}" for each in attested)


# --- What a workflow may do, and with whose code -------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_with_the_version_beside_it(path):
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", path.read_text(), re.M)
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert used and all(pinned.fullmatch(each) or each.startswith("./") for each in used), used


def test_one_action_is_pinned_to_one_commit():
    used = re.findall(r"uses: (\S+)@(\S+)", "".join(path.read_text() for path in WORKFLOWS))
    assert len(dict(used)) == len(set(used)), sorted(set(used))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_may_do_only_what_they_need_and_end(path):
    read = yaml.safe_load(path.read_text())
    assert read["permissions"] == {} and "concurrency" in read
    for name, job in read["jobs"].items():
        may = {what for what, how in job["permissions"].items() if how == "write"}
        wanted = {"contents", "id-token", "attestations"} if name == "publish" else set()
        assert may == wanted and job["permissions"]["contents"], name
        assert "uses" in job or job["timeout-minutes"] <= 120, name


def test_secrets_are_only_where_the_environment_guards_them():
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            assert "secrets." not in str(job) or job.get("environment") == "release", f"{path.name}: {name}"


# --- What CI runs --------------------------------------------------------------------------------


def test_ci_runs_what_the_readme_says_and_nothing_in_its_place():
    readme = (REPOSITORY / "README.md").read_text()
    assert re.search(r"^```sh\n(?:.*\n)*?tests/run\n```$", readme, re.M), "the README does not say: tests/run"
    jobs = workflow("ci")["jobs"]
    assert [step["run"] for step in jobs["tests"]["steps"] if "run" in step][-1] == "tests/run"
    assert jobs["image"]["steps"][-1]["run"].split()[-2:] == ["tests/image", "--pull"]


def test_ci_tests_with_the_rust_that_the_image_is_built_with():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    rust, suite = re.search(r"^FROM rust:([\d.]+)-slim-(\w+) AS build$", dockerfile, re.M).groups()
    tests = workflow("ci")["jobs"]["tests"]
    assert tests["container"]["image"] == f"rust:{rust}-{suite}"
    [cache] = [step["with"] for step in tests["steps"] if "/cache@" in step.get("uses", "")]
    assert cache["key"].startswith(f"cargo-rust-{rust}-{suite}-") and "Cargo.lock" in cache["key"]


# --- The labels of the image ---------------------------------------------------------------------


def test_the_labels_of_the_image_are_true():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    final = dockerfile[dockerfile.index("\nFROM scratch\n"):]
    written = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="(.*)"', final))
    wanted = {"title": PACKAGE["name"], "description": PACKAGE["description"], "licenses": "Apache-2.0"}
    assert written == wanted
    [build] = [step["with"] for step in workflow("release")["jobs"]["image"]["steps"] if step.get("id") == "build"]
    passed = dict(line.split("=", 1) for line in build["labels"].splitlines())
    prefix, here = "org.opencontainers.image.", "${{ github.server_url }}/${{ github.repository }}"
    assert passed == {
        f"{prefix}version": "${{ needs.version.outputs.version }}",
        f"{prefix}revision": "${{ github.sha }}",
        f"{prefix}source": here,
        f"{prefix}documentation": here + "/blob/${{ github.ref_name }}/README.md",
    }
    assert build["build-args"] == "REVISION=${{ github.sha }}"
