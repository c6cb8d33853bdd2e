"""CI and releases: the workflows and their scripts, CHANGELOG.md, issue templates and the labels of the image."""

import hashlib
import json
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
ISSUES = GITHUB / "ISSUE_TEMPLATE"
CARGO = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())
PACKAGE = CARGO["package"]
VERSION = PACKAGE["version"]
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
SCRIPTS = ["check-version", "licenses", "pack", "release-notes"]


def workflow(name):
    return yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text())


def script_of(job, step):
    """Returns the script of a named step in release.yml."""
    [found] = [each for each in workflow("release")["jobs"][job]["steps"] if each.get("name") == step]
    return found["run"]


def run(command, cwd=REPOSITORY, **environment):
    path = f"{TOOLS}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(cwd)} | {name: str(value) for name, value in environment.items()}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def run_step(job, step, cwd, **environment):
    """Runs a step of release.yml as `shell: bash` of a workflow does."""
    return run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script_of(job, step)], cwd, **environment)


@pytest.fixture
def copy(tmp_path):
    """copy(version, changelog) creates a repository with the files that a release needs."""
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
def fake_program(tmp_path):
    """fake_program("gh", 0) puts a program on the PATH that logs its arguments, one per line, and exits with 0."""
    def made(name, code):
        directory = tmp_path / "bin"
        directory.mkdir()
        program, logged = directory / name, tmp_path / f"{name}.arguments"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{logged}"\nexit {code}\n')
        program.chmod(0o755)
        return logged, {"PATH": f"{directory}:{os.environ['PATH']}"}

    return made


# --- Linters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    ["actionlint", f"-shellcheck={TOOLS}/shellcheck", *WORKFLOWS],
    ["zizmor", "--offline", "--no-progress", GITHUB],
    ["check-jsonschema", "--builtin-schema=vendor.dependabot", GITHUB / "dependabot.yml"],
    ["check-jsonschema", "--builtin-schema=vendor.github-issue-config", ISSUES / "config.yml"],
    ["check-jsonschema", "--builtin-schema=vendor.github-issue-forms", *ISSUES.glob("*-*.yml")],
    ["shellcheck", *(GITHUB / name for name in SCRIPTS)],
    ["hadolint", "--failure-threshold=info", REPOSITORY / "Dockerfile"],
], ids=lambda command: Path(command[-1]).name)  # fmt: skip
def test_linters_report_nothing(command):
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr


# --- Changelog and tag ---------------------------------------------------------------------------


def test_changelog_starts_with_unreleased_changes_or_the_version_of_the_package():
    headings = re.findall(r"^## (.*)", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    form = re.compile(r"\[(\d+\.\d+\.\d+(?:-[\w.]+)?)\] - (\d{4}-\d\d-\d\d)")
    unreleased = headings[:1] == ["[Unreleased]"]
    sections = [form.fullmatch(heading) for heading in headings[unreleased:]]
    assert headings and all(sections), headings
    assert unreleased or sections[0][1] == VERSION
    released = [section[2] for section in sections]
    assert released == sorted(released, reverse=True)


def check(top, tag):
    """Runs the step that accepts or rejects a tag; returns the process and its output for other jobs."""
    output = top / "output"
    done = run_step("version", "Check that tag, Cargo.toml and CHANGELOG.md agree", top, TAG=tag, GITHUB_OUTPUT=output)
    return done, output.read_text() if output.exists() else ""


def test_matching_tag_is_accepted(copy):
    done, output = check(copy(), "v1.2.3")
    assert (done.returncode, output) == (0, "version=1.2.3\n"), done.stderr


def test_release_candidate_is_accepted(copy):
    top = copy("1.2.3-rc.1", "# Changelog\n\n## [1.2.3-rc.1] - 2026-11-22\n\nSoon.\n")
    assert check(top, "v1.2.3-rc.1")[1] == "version=1.2.3-rc.1\n"


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2", "v1.2.3-rc.1", "v9.9.9", "v1x2x3", "v", "", "v$(id)"])
def test_tag_of_another_version_is_rejected(tag, copy):
    done, output = check(copy(), tag)
    assert done.returncode == 1 and output == ""
    assert f"tag {tag} does not match version 1.2.3 in Cargo.toml" in done.stderr


@pytest.mark.parametrize("top_section", [
    "## [1.2.2] - 2026-11-01\n",
    "## [1.2.3] - unreleased\n",
    "## [1.2.3]\n",
    "## [1x2.3] - 2026-11-22\n",
    "## [Unreleased]\n\n## [1.2.3] - 2026-11-22\n",
    "",
])  # fmt: skip
def test_version_without_dated_changelog_section_is_rejected(top_section, copy):
    done, output = check(copy(changelog=f"# Changelog\n\n{top_section}"), "v1.2.3")
    assert done.returncode == 1 and output == ""
    assert "## [1.2.3] - YEAR-MONTH-DAY" in done.stderr


def test_release_jobs_depend_on_version_check_and_ci():
    jobs = workflow("release")["jobs"]

    def waits_for(job):
        needed = jobs[job].get("needs", [])
        needed = {needed} if isinstance(needed, str) else set(needed)
        return needed.union(*map(waits_for, needed))

    assert all("version" in waits_for(job) for job in jobs if job != "version")
    assert {"ci", "image", "sbom"} <= waits_for("publish") and "ci" in waits_for("image")
    assert "publish" in waits_for("release")
    assert jobs["ci"]["uses"] == "./.github/workflows/ci.yml"


def test_image_is_named_after_the_repository_in_lower_case(tmp_path):
    output = tmp_path / "output"
    how = {"GITHUB_REPOSITORY": "OWNER/ecs-discovery", "GITHUB_OUTPUT": output}
    done = run_step("version", "Name the image", tmp_path, **how)
    assert (done.returncode, output.read_text()) == (0, "image=ghcr.io/owner/ecs-discovery\n"), done.stderr


@pytest.mark.parametrize("merged", [True, False])
def test_tag_of_a_commit_that_is_not_on_main_is_rejected(merged, tmp_path):
    def git(*arguments, cwd):
        done = run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments], cwd)
        assert done.returncode == 0, done.stderr

    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=origin)
    git("commit", "--quiet", "--allow-empty", "--message=on main", cwd=origin)
    git("checkout", "--quiet", "-b", "other", cwd=origin)
    git("commit", "--quiet", "--allow-empty", "--message=elsewhere", cwd=origin)
    git("tag", "v1.2.3", cwd=origin)
    if merged:
        git("checkout", "--quiet", "main", cwd=origin)
        git("merge", "--quiet", "--no-ff", "--message=merge", "other", cwd=origin)
    git("clone", "--quiet", str(origin), str(clone), cwd=tmp_path)
    git("checkout", "--quiet", "v1.2.3", cwd=clone)

    done = run_step("version", "Check that the commit is on main", clone)

    assert done.returncode == (0 if merged else 1), done.stdout + done.stderr
    assert merged or "is not on main" in done.stdout
    checkout = workflow("release")["jobs"]["version"]["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0, "a shallow clone has no main"


@pytest.mark.parametrize("released", [True, False])
def test_existing_release_is_not_replaced(released, tmp_path, fake_program):
    logged, path = fake_program("gh", 0 if released else 1)
    done = run_step("version", "Check that the version is not released yet", tmp_path, TAG="v1.2.3", **path)
    assert done.returncode == (1 if released else 0), done.stdout + done.stderr
    assert logged.read_text().split() == ["release", "view", "v1.2.3"]


# --- Release notes -------------------------------------------------------------------------------

TWO_VERSIONS = """# Changelog

## [1.2.3] - 2026-11-22

New: [a flag](README.md#flags), see also [that](https://example.org/x) and [there](#here).

### Fixed

- All.

## [1.2.30] - 2026-11-01

Old.

## [1.2.4] - 2026-10-01

"""


def test_release_notes_are_the_changelog_section_with_absolute_links(copy):
    done = run([".github/release-notes", "1.2.3", "https://example.org/v1.2.3/"], copy(changelog=TWO_VERSIONS))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "New: [a flag](https://example.org/v1.2.3/README.md#flags), "
        "see also [that](https://example.org/x) and [there](#here).\n\n### Fixed\n\n- All."
    )


@pytest.mark.parametrize("version", ["1.2", "1.2.5", "1.2.4", ".*", ""])
def test_version_without_notes_fails(version, copy):
    done = run([".github/release-notes", version, "https://example.org"], copy(changelog=TWO_VERSIONS))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"CHANGELOG.md has no notes for {version}" in done.stderr


def test_next_release_has_release_notes(copy):
    changelog = (REPOSITORY / "CHANGELOG.md").read_text().replace("## [Unreleased]\n", f"## [{VERSION}] - 2026-11-22\n")
    done = run([".github/release-notes", VERSION, "https://example.org"], copy(VERSION, changelog))
    assert done.returncode == 0 and "## [" not in done.stdout and "](docs" not in done.stdout, done


@pytest.mark.parametrize("version, prerelease", [("1.2.3", False), ("1.2.3-rc.1", True)])
def test_release_is_published_with_notes_and_files(version, prerelease, copy, fake_program):
    top = copy(version, f"# Changelog\n\n## [{version}] - 2026-11-22\n\nWhat is new.\n")
    (top / "dist").mkdir()
    (top / "dist" / "SHA256SUMS").touch()
    logged, path = fake_program("gh", 0)
    how = {"VERSION": version, "TAG": f"v{version}", "URL": "https://example.org", "IMAGE": "some/body"}
    done = run_step("release", "Publish", top, DIGEST="sha256:12", **how, **path)
    assert done.returncode == 0, done.stderr
    arguments = logged.read_text().split()
    assert arguments[:3] == ["release", "create", f"v{version}"] and "--verify-tag" in arguments
    assert ("--prerelease" in arguments) == prerelease and arguments[-1] == "dist/SHA256SUMS"
    assert (top / "notes.md").read_text() == f"What is new.\n\nImage: `some/body:{version}@sha256:12`\n"


# --- Files of a release --------------------------------------------------------------------------


def test_archive_holds_program_licenses_and_readme_and_is_reproducible(copy, tmp_path_factory):
    top, digests = copy(), []
    (top / "program").write_text("#!/bin/sh\n")
    (top / "licenses").mkdir()
    for name in ("LICENSE", "third-party-licenses.txt.gz", "rust-standard-library.html.gz"):
        (top / "licenses" / name).write_text(name)
    for mode in (0o600, 0o777):
        (top / "program").chmod(mode)
        elsewhere = tmp_path_factory.mktemp("packed")
        done = run([top / ".github" / "pack", "1.2.3", "arm64", top / "program", top / "licenses"], elsewhere)
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
        f"{name}/rust-standard-library.html.gz": ("0o644", 0, 0),
        f"{name}/third-party-licenses.txt.gz": ("0o644", 0, 0),
    }


FILES = [f"ecs-discovery-1.2.3-linux-{each}.{kind}" for each in ("amd64", "arm64") for kind in ("cdx.json", "tar.gz")]


@pytest.mark.parametrize("more, code", [([], 0), (["install.sh"], 1)], ids=["expected files", "another file"])
def test_checksums_list_archives_and_sboms_and_accept_no_other_file(more, code, tmp_path):
    (tmp_path / "dist").mkdir()
    for name in (*FILES, *more):
        (tmp_path / "dist" / name).write_text(name)
    done = run_step("publish", "Write the checksums", tmp_path, VERSION="1.2.3")
    assert done.returncode == code, done.stderr
    if not more:
        checked = run(["sha256sum", "--check", "--strict", "SHA256SUMS"], tmp_path / "dist")
        assert sorted(checked.stdout.splitlines()) == [f"{name}: OK" for name in FILES], checked.stderr


AMD64, ARM64, PLANTED = (f"sha256:{digit * 64}" for digit in "123")
DOCKER = """#!/bin/sh
case "$*" in
*--raw*) cat "$INDEX" ;;
*) echo "$@" ;;
esac
"""


@pytest.fixture
def index(tmp_path):
    """index(digests) puts a docker on the PATH that shows an index of images with these digests."""
    def made(*digests):
        (tmp_path / "docker").write_text(DOCKER)
        (tmp_path / "docker").chmod(0o755)
        raw = json.dumps({"schemaVersion": 2, "manifests": [{"digest": each, "size": 1} for each in digests]})
        (tmp_path / "index").write_text(raw)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "INDEX": tmp_path / "index", "IMAGE": "ghcr.io/o/n"}
        return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}", environment | {"VERSION": "1.2.3"}

    return made


@pytest.mark.parametrize("digests, code", [
    ([AMD64, ARM64], 0), ([AMD64, PLANTED], 1), ([AMD64, ARM64, PLANTED], 1), ([AMD64], 1),
], ids=["as built", "replaced", "one more", "one less"])  # fmt: skip
def test_index_of_other_images_than_those_built_is_not_signed(digests, code, index, tmp_path):
    digest, environment = index(*digests)
    output = tmp_path / "output"
    output.touch()
    how = {"AMD64": AMD64, "ARM64": ARM64, "GITHUB_OUTPUT": output, **environment}
    done = run_step("publish", "Combine both architectures in one image", tmp_path, **how)
    assert done.returncode == code, done.stderr
    assert output.read_text() == (f"digest={digest}\n" if code == 0 else "")
    assert "--tag ghcr.io/o/n:candidate-1.2.3" in done.stdout and "n:1.2.3" not in done.stdout


@pytest.mark.parametrize("moved", [False, True])
def test_tag_must_name_the_signed_index(moved, index, tmp_path):
    digest, environment = index(AMD64, ARM64)
    done = run_step("publish", "Tag the image", tmp_path, DIGEST=PLANTED if moved else digest, **environment)
    assert done.returncode == (1 if moved else 0), done.stderr
    assert "--tag ghcr.io/o/n:1.2.3 ghcr.io/o/n@sha256:" in done.stdout


def test_image_is_signed_and_attested_before_it_gets_its_tag():
    steps = workflow("release")["jobs"]["publish"]["steps"]
    signed = script_of("publish", "Sign image and checksums")
    assert 'cosign sign --yes --recursive "$IMAGE@$DIGEST"' in signed
    assert "cosign sign-blob --yes --bundle dist/SHA256SUMS.sigstore.json dist/SHA256SUMS" in signed
    names = [step.get("name", "") for step in steps]
    tagged = names.index("Tag the image")
    before = [step for step in steps[:tagged] if step.get("uses", "").startswith("actions/attest@")]
    assert names.index("Sign image and checksums") < tagged and len(before) == 4
    subjects = [(each["with"].get("subject-digest"), each["with"].get("predicate-type")) for each in before]
    assert subjects == [
        ("${{ steps.index.outputs.digest }}", None), ("${{ env.AMD64 }}", "https://cyclonedx.org/bom"),
        ("${{ env.ARM64 }}", "https://cyclonedx.org/bom"), (None, None),
    ]  # fmt: skip
    assert all(each["with"]["push-to-registry"] for each in before[:3])
    assert before[3]["with"] == {"subject-checksums": "dist/SHA256SUMS"}


def test_new_binary_runs_only_in_a_container_without_network():
    jobs = workflow("release")["jobs"]
    scripts = [step.get("run", "") for job in jobs.values() for step in job.get("steps", [])]
    assert not any(re.search(r"(^|[\s(])\./ecs-discovery", script) for script in scripts)
    [run_] = [script for script in scripts if "docker run" in script]
    assert run_.count("docker run") == 1
    assert "docker run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges" in run_


def test_jobs_hand_on_digests_as_outputs_and_files_by_exact_artifact_names():
    jobs = workflow("release")["jobs"]
    assert set(jobs["image"]["outputs"]) == {"amd64", "arm64"}
    uploaded, downloaded = set(), set()
    for job in jobs.values():
        for step in job.get("steps", []):
            if "/upload-artifact@" in step.get("uses", ""):
                uploaded.add(step["with"]["name"])
            if "/download-artifact@" in step.get("uses", ""):
                assert step["with"].keys() == {"name", "path"}, "a pattern would take what another job uploads"
                downloaded.add(step["with"]["name"])
    matrix = jobs["image"]["strategy"]["matrix"]["include"]
    archives = {f"archive-{each['architecture']}" for each in matrix}
    assert uploaded == {"archive-${{ matrix.architecture }}", "sbom", "dist"}
    assert downloaded == {*archives, "sbom", "dist"}


# --- Pinned actions and permissions --------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_commits_with_a_version_comment(path):
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", path.read_text(), re.M)
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert used and all(pinned.fullmatch(each) or each.startswith("./") for each in used), used


def test_each_action_is_pinned_to_one_commit():
    used = re.findall(r"uses: (\S+)@(\S+)", "".join(path.read_text() for path in WORKFLOWS))
    assert len(dict(used)) == len(set(used)), sorted(set(used))


# What the jobs of a release can write.
WRITABLE = {
    "image": {"packages"}, "publish": {"packages", "id-token", "attestations"}, "release": {"contents"},
}  # fmt: skip


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_least_permissions_and_a_timeout(path):
    read = yaml.safe_load(path.read_text())
    assert read["permissions"] == {} and "concurrency" in read
    for name, job in read["jobs"].items():
        writable = {scope for scope, access in job["permissions"].items() if access == "write"}
        assert writable == (WRITABLE.get(name, set()) if path.stem == "release" else set()), name
        assert job["permissions"]["contents"], name
        assert "uses" in job or job["timeout-minutes"] <= 120, name
        assert not writable or job["environment"] == "release", name


def test_no_job_has_a_long_lived_secret():
    assert [path.name for path in WORKFLOWS if re.search(r"\b(secrets|vars)\.", path.read_text())] == []


def test_third_party_tools_run_only_where_nothing_can_be_written():
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            if "cargo install" in str(job):
                assert job["permissions"] == {"contents": "read"}, f"{path.name}: {name}"


def test_each_tool_has_one_version():
    files = [*WORKFLOWS, REPOSITORY / "Dockerfile"]
    used = set(re.findall(r"cargo install --locked (?:--root \S+ )?(\S+)", "".join(file.read_text() for file in files)))
    assert all(re.fullmatch(r"[\w-]+@\d+\.\d+\.\d+", each) for each in used), used
    assert len({each.split("@")[0] for each in used}) == len(used) == 4, used


def test_weekly_workflow_rebuilds_scans_and_checks_the_advisories():
    weekly = workflow("weekly")
    assert weekly[True]["schedule"] and weekly["jobs"].keys() == {"dependencies", "rebuild", "scan"}
    assert "cargo deny check advisories" in str(weekly["jobs"]["dependencies"])
    assert "tests/image --pull" in str(weekly["jobs"]["rebuild"])
    assert "cargo audit --deny warnings bin" in str(weekly["jobs"]["scan"])


# --- Stages and Rust versions of CI --------------------------------------------------------------


def test_ci_runs_every_stage_of_tests_run():
    done = run(["tests/run", "help"])
    stages = done.stderr.strip().removeprefix("tests/run: unknown stage 'help'; the stages are: ").split()
    tests = workflow("ci")["jobs"]["tests"]
    matrix = tests["strategy"]["matrix"]["include"]
    assert {stage for each in matrix for stage in each["stages"].split()} == set(stages) > {"lint", "rust"}
    assert tests["steps"][-1]["run"] == "tests/run ${{ matrix.stages }}"
    assert any(each.get("runner") == "ubuntu-24.04-arm" and "rust" in each["stages"] for each in matrix)


def test_ci_tests_the_image_on_both_architectures():
    image = workflow("ci")["jobs"]["image"]
    assert {each["architecture"] for each in image["strategy"]["matrix"]["include"]} == {"amd64", "arm64"}
    assert image["steps"][-1]["run"].split()[-2:] == ["tests/image", "--pull"]


def test_contributing_describes_every_stage():
    contributing = (REPOSITORY / "CONTRIBUTING.md").read_text()
    described = set(re.findall(r"^\| `(\w+)` \|", contributing, re.M))
    matrix = workflow("ci")["jobs"]["tests"]["strategy"]["matrix"]["include"]
    assert described == {stage for each in matrix for stage in each["stages"].split()}


def test_ci_uses_the_toolchain_of_the_dockerfile_and_the_toolchain_file():
    """Otherwise rustup would download a second toolchain in the CI container."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    pinned = r"^FROM rust:([\d.]+)-slim-(\w+)@sha256:[0-9a-f]{64} AS build$"
    rust, suite = re.search(pinned, dockerfile, re.M).groups()
    toolchain = tomllib.loads((REPOSITORY / "rust-toolchain.toml").read_text())["toolchain"]
    assert toolchain["channel"] == rust
    tests = workflow("ci")["jobs"]["tests"]
    version = "${{ matrix.rust || '%s' }}" % rust
    assert tests["container"]["image"] == f"rust:{version}-{suite}"
    assert tests["env"]["RUSTUP_TOOLCHAIN"] == version
    [cache] = [step["with"] for step in tests["steps"] if "/cache@" in step.get("uses", "")]
    assert f"-{version}-" in cache["key"] and "matrix.name" in cache["key"] and "Cargo.lock" in cache["key"]


def test_image_build_does_not_see_the_toolchain_file():
    sent = (REPOSITORY / ".dockerignore").read_text().split()
    assert "*" in sent and "!rust-toolchain.toml" not in sent


def test_msrv_job_uses_the_rust_version_of_the_package():
    [msrv] = [each for each in workflow("ci")["jobs"]["tests"]["strategy"]["matrix"]["include"] if "rust" in each]
    assert (msrv["stages"], msrv["rust"]) == ("msrv", CARGO["workspace"]["package"]["rust-version"])


# --- Dependencies --------------------------------------------------------------------------------


def test_licences_and_sources_of_all_crates_are_allowed():
    """The part of `cargo deny check` that needs no further program."""
    allowed = set(tomllib.loads((REPOSITORY / "deny.toml").read_text())["licenses"]["allow"])
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packages = json.loads(done.stdout)["packages"]
    assert [each["id"] for each in packages if not acceptable(each["license"] or "", allowed)] == []
    sources = {each["source"] for each in packages} - {None}
    assert sources == {"registry+https://github.com/rust-lang/crates.io-index"}


def acceptable(expression, allowed):
    """Evaluates an SPDX expression: OR needs one allowed side, AND both, and WITH only grants more."""
    text = re.sub(r" WITH [\w.-]+", "", expression).replace("/", " OR ")
    words = re.findall(r"[\w.+-]+|[()]", text)
    values = {"OR": "or", "AND": "and", "(": "(", ")": ")"}
    return bool(words) and eval(" ".join(values.get(word, str(word in allowed)) for word in words))


@pytest.mark.parametrize("expression, expected", [
    ("MIT", True), ("GPL-3.0", False), ("MIT/GPL-3.0", True), ("(MIT OR X) AND ISC", True), ("MIT AND X", False),
    ("Apache-2.0 WITH LLVM-exception", True), ("", False),
])  # fmt: skip
def test_licence_expressions_are_evaluated(expression, expected):
    assert acceptable(expression, {"MIT", "ISC", "Apache-2.0"}) is expected


def test_licence_texts_cover_the_crates_of_the_binary():
    target = subprocess.check_output(["rustc", "--print", "host-tuple"], cwd=REPOSITORY, text=True).strip()
    done = subprocess.run([GITHUB / "licenses", target], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    headings = "\n".join(re.findall(r"^---- .*", done.stdout, re.M))
    crates = set(re.findall(r"([\w-]+) \d", headings))
    assert {"aws-sdk-ecs", "aws-config", "rustls", "ring", "tokio", "yaml_serde"} <= crates
    assert not {"proptest", "criterion", "syn", "serde_derive"} & crates, "not linked"


# --- Labels of the image -------------------------------------------------------------------------


def test_image_labels_match_the_package():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    final = dockerfile[dockerfile.index("\nFROM scratch\n"):]
    written = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="(.*)"', final))
    expected = {"title": PACKAGE["name"], "description": PACKAGE["description"], "licenses": "Apache-2.0"}
    assert written == expected
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
