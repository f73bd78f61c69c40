"""What the forge and pre-commit run is what the Makefile runs, for every supported version; the forms know the parts of the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tests.support.makefile import make_plan, make_targets
from tests.unit.test_airflow_lines import LINES

REPOSITORY = Path(__file__).resolve().parents[2]
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*"))
FORMS = sorted(path for path in GITHUB.glob("ISSUE_TEMPLATE/*") if path.stem != "config")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


class StrictLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that a mapping has twice: YAML forbids it, GitHub refuses it, and PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"{node.start_mark}: a key stands there twice: {keys}"
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), StrictLoader)


def jobs() -> dict[str, dict[str, Any]]:
    return {f"{path.name}: {name}": job for path in WORKFLOWS for name, job in read(path)["jobs"].items()}


def values_of(job: dict[str, Any]) -> list[dict[str, str]]:
    """Return the values of the matrix for each time that a job runs; of one without a matrix, none, once."""
    matrix: dict[str, Any] = job.get("strategy", {}).get("matrix", {})
    if "include" in matrix:
        assert list(matrix) == ["include"]
        included: list[dict[str, str]] = matrix["include"]
        return included
    assert len(matrix) <= 1
    return [{name: value} for name, values in matrix.items() for value in values] or [{}]


def commands_of(job: dict[str, Any]) -> list[str]:
    def filled(text: str, values: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda match: values[match[1]], text)

    return [filled(step["run"], values) for values in values_of(job) for step in job["steps"] if "run" in step]


def test_every_file_can_be_read() -> None:
    files = [path for path in GITHUB.rglob("*") if path.suffix in {".yml", ".yaml"}]

    assert set(WORKFLOWS + FORMS) <= set(files)
    assert all(isinstance(read(path), dict) for path in files)


def test_the_jobs_call_the_targets_of_the_makefile_and_nothing_else() -> None:
    commands = [command for job in jobs().values() for command in commands_of(job)]
    targets = {command.removeprefix("make ") for command in commands}

    assert [command for command in commands if not command.startswith("make ")] == []
    assert targets - make_targets() == set()
    required = " ".join(re.findall(r"^run(?: --jobs=\d+)? (.+)$", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)).split()
    assert {"lint", "docs", "test"} <= set(required) <= targets


def test_the_jobs_run_every_line_of_airflow_on_the_python_that_it_is_held_to() -> None:
    (newest,) = re.findall(r"^apache-airflow==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)

    assert jobs()["ci.yml: line"]["strategy"]["matrix"]["include"] == [
        {"airflow": version, "python": python} for version, _, python, _ in LINES if version != newest
    ]
    assert {name for name in make_targets() if name.startswith("test-airflow-")} == {
        f"test-airflow-{version}" for version, *_ in LINES if version != newest
    }


def test_a_line_by_itself_runs_what_it_runs_among_all() -> None:
    for version, _, _, runs in LINES:
        if f"test-airflow-{version}" in make_targets():
            plan = make_plan("--always-make", f"test-airflow-{version}")
            assert f"make-line-venv.sh {version}\n" in plan
            assert f"for line in {version};" in plan
            assert ("airflow_cbr.cli demo" in plan) == (runs == "demo")


def test_the_newest_airflow_is_tested_on_every_python_that_is_promised() -> None:
    promised = [version for name in PROJECT["classifiers"] for version in re.findall(r"^Programming Language :: Python :: (3\.\d+)$", name)]

    assert jobs()["ci.yml: test"]["strategy"]["matrix"]["python"] == promised


def test_each_job_uses_the_python_that_it_names() -> None:
    """The runner has others on its path, which tools/find-python.sh would take first because they are newer."""
    for path in WORKFLOWS:
        assert read(path)["env"]["PYTHON"] == "python"
    for name, job in jobs().items():
        (python,) = (step["with"]["python-version"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
        assert isinstance(python, str), f"{name}: {python} is no text; of 3.10, YAML makes 3.1"


def test_the_jobs_may_read_the_code_and_nothing_else() -> None:
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        assert {"group", "cancel-in-progress"} == set(workflow["concurrency"])
        # PyYAML reads the key "on" as YAML 1.1 does. A pull_request_target would run foreign code with rights.
        assert "pull_request_target" not in workflow[True]
        assert "secrets." not in path.read_text()
    for name, job in jobs().items():
        assert "permissions" not in job, name
        assert job["timeout-minutes"] <= 180, name
        (checkout,) = (step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@"))
        assert checkout["with"]["persist-credentials"] is False, name


def test_the_actions_are_pinned_to_a_commit_that_is_named_by_its_version() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    unpinned = [line for line in lines if not re.fullmatch(r" +(- )?uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]

    assert lines
    assert unpinned == []
    assert len({line.split("@")[0]: line for line in lines}) == len({*lines}), "one action is used in two versions"


def test_pre_commit_runs_the_commands_of_make_lint() -> None:
    (repository,) = read(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    hooks = repository["hooks"]

    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in hooks] == make_plan("--assume-old", ".venv/.installed", "lint").splitlines()
    assert all(hook["language"] == "system" and hook["always_run"] and not hook["pass_filenames"] for hook in hooks)


def test_a_report_of_a_bug_can_name_every_part() -> None:
    from airflow_cbr.hooks import cbr as hooks
    from airflow_cbr.operators import cbr as operators
    from airflow_cbr.sensors import cbr as sensors

    (part,) = (field for field in read(GITHUB / "ISSUE_TEMPLATE/bug.yml")["body"] if field.get("id") == "part")
    options = part["attributes"]["options"]
    named = {name for option in options for name in re.findall(r"Cbr\w+", option)}

    assert {*operators.__all__, *sensors.__all__, *hooks.__all__} - {"restore_drills"} <= named
    source = "\n".join(path.read_text() for path in (REPOSITORY / "airflow_cbr").rglob("*.py"))
    assert [name for name in named if f"class {name}(" not in source] == []


def test_the_forms_are_ones_that_github_accepts() -> None:
    for path in FORMS:
        form = read(path)
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert form["name"]
        assert form["description"]
        assert len({field["id"] for field in fields}) == len(fields) > 0, path.name
        assert len({field["attributes"]["label"] for field in fields}) == len(fields), path.name
        for field in form["body"]:
            assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}, field
            options = field["attributes"].get("options", [])
            assert bool(options) == (field["type"] in {"dropdown", "checkboxes"}), field
            assert len({str(option) for option in options}) == len(options), field
            # In a group of check boxes, GitHub takes "required" of the single box alone.
            assert field["type"] != "checkboxes" or "validations" not in field, field


def test_a_vulnerability_has_one_way_to_be_reported() -> None:
    settings = read(GITHUB / "ISSUE_TEMPLATE/config.yml")
    (form,) = (path for path in FORMS if path.stem == "bug")

    assert settings["blank_issues_enabled"] is False
    assert "*Security* page of the repository" in (REPOSITORY / "SECURITY.md").read_text()
    assert "SECURITY.md" in " ".join(field["attributes"]["value"] for field in read(form)["body"] if field["type"] == "markdown")


def test_no_page_of_the_project_is_named_that_does_not_exist() -> None:
    """There is no public repository yet: an address of one would lead nowhere, or to somebody else."""
    pages = [*GITHUB.rglob("*.*"), *REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "pyproject.toml"]
    named = {(path.name, address) for path in pages for address in re.findall(r"https?://[^\s)>]*airflow-cbr[^\s)>]*", path.read_text())}

    assert len(pages) > 50
    assert sorted(named) == []


def test_what_the_templates_name_exists() -> None:
    pages = [*GITHUB.rglob("*.md"), *WORKFLOWS, REPOSITORY / "SECURITY.md"]
    named = {(path, name) for path in pages for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|txt|toml))`", path.read_text())}

    assert len(named) >= 4
    assert [(path.name, name) for path, name in named if not (REPOSITORY / name).exists()] == []
