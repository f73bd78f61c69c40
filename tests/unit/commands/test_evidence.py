"""The commands, as an auditor and a script meet them."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.cli import _parser, main
from airflow_cbr.evidence.check import ProblemKind, walk
from airflow_cbr.evidence.file import digest_of
from airflow_cbr.evidence.folder import FolderStore
from airflow_cbr.evidence.judgement import State
from tests.support.evidence_nights import HERE, PAIR, THERE, add, add_nights, finding, night, verification
from tests.support.python_process import run_python
from tests.support.signing_keys import new_signer

if TYPE_CHECKING:
    from airflow_cbr.evidence.signing import Signer

PAGES = Path(__file__).resolve().parents[3] / "docs"
SIGNER, _, PUBLIC = new_signer()
PERIOD = ("--from", "2026-03-01", "--to", "2026-03-04")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write four nights of one vault pair, the second of them red."""
    return nights_in(tmp_path / "evidence")


def nights_in(folder: Path, signer: Signer | None = None) -> Path:
    store = FolderStore(folder)
    add(store, night(0), signer=signer)
    add(store, night(1), verification({"web-01": None}, verdict="failed", findings=(finding(),)), signer=signer)
    add(store, night(2), signer=signer)
    add(store, night(3), signer=signer)
    return folder


def key_file(tmp_path: Path, pem: bytes = PUBLIC) -> str:
    path = tmp_path / "public.pem"
    path.write_bytes(pem)
    return str(path)


def change(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"verdict":"failed"', b'"verdict":"verified"'))


def test_a_check_says_that_all_is_as_it_was_and_what_it_cannot_see(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "check", str(folder)]) == 0
    out, err = capsys.readouterr()
    newest = FolderStore(folder).read(PAIR, "00000004.json")
    assert out.splitlines() == [
        f"{PAIR}: 4 files, the newest 00000004.json of 2026-03-04T02:00:00+00:00, SHA-256 {digest_of(newest)}",
        "No problems in 4 files. Signatures were not checked.",
        "Whether the newest files of a vault pair were deleted cannot be seen: compare the newest ones above with the logs of the tasks.",
    ]
    assert err == ""


def test_a_change_and_a_deletion_are_said_plainly(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder / PAIR / "00000002.json")
    assert main(["evidence", "check", str(folder)]) == 1
    assert f"  WRONG {PAIR}: 00000002.json was changed or cut: " in (said := capsys.readouterr().out)
    assert "1 problem in 4 files." in said

    (folder / PAIR / "00000002.json").unlink()
    assert main(["evidence", "check", str(folder)]) == 1
    assert f"  WRONG {PAIR}: 00000002: missing, deleted or moved" in capsys.readouterr().out


def test_with_a_key_every_file_must_be_signed_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = nights_in(tmp_path / "signed", SIGNER)
    _, _, other = new_signer()
    assert main(["evidence", "check", str(folder), "--public-key", key_file(tmp_path)]) == 0
    assert f"Every file must be signed with the key {SIGNER.key_id}." in capsys.readouterr().out
    assert main(["evidence", "check", str(folder), "--public-key", key_file(tmp_path, other)]) == 1
    assert "is signed with a key that was not given" in capsys.readouterr().out
    add(FolderStore(folder), night(4))
    assert main(["evidence", "check", str(folder), "--public-key", key_file(tmp_path)]) == 1
    assert "00000005.json is not signed" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_where_there_is_nothing_nothing_is_in_order(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "another folder").mkdir()
    path = str(tmp_path / name)
    assert main(["evidence", "check", path]) == 1
    out = tmp_path / "report.json"
    assert main(["evidence", "report", path, *PERIOD, "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert said.count(path) >= 2
    assert said.startswith("airflow-cbr: ")
    assert ("There is no evidence in" if name == "empty" else "No such file or directory") in said


@pytest.mark.parametrize("suffix", ["html", "csv", "json"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_is_written_whole(folder: Path, tmp_path: Path, suffix: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"report.{suffix}"
    assert main(["evidence", "report", str(folder), *PERIOD, "--out", str(out), "--lang", language]) == 0
    assert (
        capsys.readouterr().out
        == {
            "en": f"{out}: 1 vault pair, 4 days, of which 1 in red; 0 problems with 4 files of evidence.\n",
            "zh": f"{out}：1 对存储库，4 天，其中红色 1 天；4 个证据文件，0 个问题。\n",
        }[language]
    )
    text = out.read_text(encoding="utf-8")
    for needle in (HERE.vault_id, THERE.vault_id, str(HERE.name), "no verified replica" if language == "en" else "没有已核实的副本"):
        assert needle in text
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_chinese_report_of_nothing_says_so_in_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "report.json"
    assert main(["evidence", "report", str(tmp_path / "empty"), *PERIOD, "--out", str(out), "--lang", "zh"]) == 1
    said = capsys.readouterr().err.replace(str(out), "").replace(str(tmp_path / "empty"), "")
    assert re.findall(r"[A-Za-z]+", said.removeprefix("airflow-cbr: ")) == []


def test_a_report_of_evidence_that_is_not_in_order_says_so_and_is_written(folder: Path, tmp_path: Path) -> None:
    change(folder / PAIR / "00000002.json")
    out = tmp_path / "report.json"
    assert main(["evidence", "report", str(folder), *PERIOD, "--out", str(out)]) == 1
    (vault,) = json.loads(out.read_text())["vaults"]
    assert [day["state"] for day in vault["days"]] == ["damaged", "damaged", "met", "met"]
    assert len(vault["problems"]) == 1


def test_a_report_that_cannot_be_written_leaves_the_last_one(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "report", str(folder), *PERIOD, "--out", str(tmp_path / "no folder" / "report.csv")]) == 1
    assert "no folder" in capsys.readouterr().err


def test_a_time_zone_moves_the_days(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    main(["evidence", "report", str(folder), *PERIOD, "--out", str(out), "--time-zone", "America/New_York"])
    (vault,) = json.loads(out.read_text())["vaults"]
    assert [day["state"] for day in vault["days"]] == ["missed", "met", "met", "no_evidence"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ACTION"),
        (["prove"], "invalid choice"),
        (["report", "x", "--from", "2026-02-30", "--to", "2026-03-01", "--out", "a.html"], "2026-02-30 is not a date"),
        (["report", "x", "--from", "0001-01-01", "--to", "2026-03-01", "--out", "a.html"], "is not a date such as"),
        (["report", "x", "--from", "2026-03-02", "--to", "2026-03-01", "--out", "a.html"], "--to is before --from"),
        (["report", "x", "--from", "1990-03-02", "--to", "2026-03-01", "--out", "a.html"], "more than 3660 days apart"),
        (["report", "x", *PERIOD, "--out", "a.pdf"], "a.pdf does not end in .html, .csv or .json"),
        (["report", "x", *PERIOD, "--out", "a.html", "--lang", "de"], "invalid choice"),
        (["report", "x", *PERIOD, "--out", "a.html", "--time-zone", "../etc/passwd"], "is not a time zone"),
        (["report", "x", "--out", "a.html"], "--from, --to"),
        (["check", "x", "--public-key", "/no/such/key"], "/no/such/key: No such file"),
        (["check", "x", "--public-key", __file__], "it is not a public key in PEM"),
    ],
)
def test_a_wrong_command_line_is_refused_with_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evidence", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_is_checked_without_airflow(folder: Path) -> None:
    program = (
        "import sys\nfrom airflow_cbr.cli import main\nmain(sys.argv[1:])\n"
        "print([name for name in ('airflow', 'requests', 'cryptography', 'jinja2') if name in sys.modules])\n"
    )
    assert run_python("-c", program, "evidence", "check", str(folder)).splitlines()[-1] == "[]"


def test_many_files_are_no_more_than_one_in_memory(tmp_path: Path) -> None:
    """The walk holds a level of a chain; the benchmark measures the whole process."""

    def peak(nights: int) -> int:
        store = FolderStore(tmp_path / str(nights))
        add_nights(store, nights, content=verification(backups=100))
        tracemalloc.start()
        for _ in walk(store, PAIR):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2)
    few, many = peak(5), peak(50)
    assert many < few * 1.5, (few, many)


@pytest.mark.parametrize("action", ["check", "report"])
def test_the_page_names_every_option(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evidence", action, "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    section = re.split(r"^## ", (PAGES / "reference/evidence.md").read_text(), flags=re.MULTILINE)
    (text,) = [one for one in section if one.startswith(f"airflow-cbr evidence {action}\n")]
    assert set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)) == options


def test_the_page_names_every_problem_and_every_state() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", (PAGES / "reference/evidence.md").read_text(), re.MULTILINE)
    assert set(ProblemKind) | set(State) <= set(rows)


def test_the_commands_of_the_page_can_be_given() -> None:
    commands = re.findall(r"^\$ airflow-cbr (evidence .+)$", (PAGES / "howto/evidence.md").read_text(), re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["check", "report"]
    for command in commands:
        assert _parser().parse_args(command.split()).path == "/srv/backup-evidence"


def test_what_the_page_prints_is_what_the_command_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evidence", "check", str(folder)])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last in (PAGES / "howto/evidence.md").read_text()
