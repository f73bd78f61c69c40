"""The advice in Chinese: who gets it, and that the catalogue keeps up with the English texts."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from airflow_cbr.api import errors_page
from airflow_cbr.api.errors import CATALOGUE
from airflow_cbr.exceptions import CbrPermissionError
from airflow_cbr.languages import VARIABLE, asks_for_chinese, in_chinese
from airflow_cbr.verification.faults import Fault, advice_on
from tests.support.advices import advices_in_the_sources, shape_of

REPOSITORY = Path(__file__).resolve().parents[3]
TEXTS: dict[str, str] = json.loads(files("airflow_cbr.languages").joinpath("zh.json").read_text(encoding="utf-8"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: What must be the same in both: names of fields and calls, numbers, words in quotes.
CODE = re.compile(r"[a-z]+(?:_[a-z]+)+|Cbr\w+|cbr:[\w:*]+|\d+ (?:MB|KB)|'\w+'|[A-Z]\w+True")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", VARIABLE: "zh"}, True),
        ({"LC_ALL": "zh_CN", VARIABLE: "en"}, False),
        ({"LANG": "zh_CN", VARIABLE: ""}, True),
    ],
)
def test_who_is_written_to_in_chinese(environment: dict[str, str], expected: bool) -> None:
    assert asks_for_chinese(environment) is expected


def test_an_error_advises_in_the_language_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    error = CbrPermissionError("Not allowed.", advice="Run fewer tasks at the same time.", error_code="IAM.0012", request_id="r-1")
    monkeypatch.setenv(VARIABLE, "en")
    assert str(error) == "Not allowed. [IAM.0012, request id r-1] What to do: Run fewer tasks at the same time."
    monkeypatch.setenv(VARIABLE, "zh")
    assert str(error) == "Not allowed. [IAM.0012, request id r-1] 处理建议：减少同时运行的任务。"
    error.advice = "Something new."
    assert str(error).endswith("处理建议：Something new."), "what has no translation stays English"


def test_every_text_of_the_catalogue_and_every_fault_has_a_translation() -> None:
    english = {row.meaning for row in CATALOGUE} | {row.advice for row in CATALOGUE} | {advice_on((fault,)) for fault in Fault}
    assert sorted(text for text in english if text not in TEXTS) == []
    assert [text for text in english if not CHINESE.search(in_chinese(text))] == []


def test_every_advice_of_the_package_has_a_translation() -> None:
    """Also one that holds what is known only at run time: then the catalogue has it with ``{name}`` in that place."""
    have = {shape_of(text) for text in TEXTS}
    advices = advices_in_the_sources()
    assert len(advices) > 90
    assert {where: text for text, where in advices.items() if text not in have} == {}


def test_what_is_known_only_at_run_time_stands_in_its_place() -> None:
    assert in_chinese("Delete replica r-1 in cn-south-1 (CBR keeps one replica of a backup in a region), then clear this task.") == (
        "请删除 cn-south-1 里的副本 r-1（同一备份在一个区域只能有一份副本），再清除（Clear）这个任务。"
    )
    # A value may be a text of the catalogue itself, and is put into Chinese with it.
    set_by = "The deployment sets it, next to the token that it mounts."
    said = in_chinese(f"{set_by} It must be set for workers, the triggerer and, for the connection test, the API server.")
    assert said.startswith("部署时挂载 token 的同时会设置它。worker 和 triggerer 的环境里都要设置；")
    assert in_chinese("Write '{region}' into cbr_endpoint where the region id stands, or use a connection of its own for cn-south-1.") == (
        "请在 cbr_endpoint 里把区域 id 写成 '{region}'，或者给 cn-south-1 单独建一个连接。"
    )


@pytest.mark.parametrize("text", ["", "{", "{}", "Delete replica {r} (", "a {b} c", "% {0} {x!r}", "Something new.\nOn two lines."])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert in_chinese(text) == text


def test_names_and_numbers_are_the_same_in_both_languages() -> None:
    differing = {text: chinese for text, chinese in TEXTS.items() if not set(CODE.findall(text)) <= set(CODE.findall(chinese))}
    assert differing == {}


def test_every_text_of_the_catalogue_is_still_written_somewhere() -> None:
    """A translation of a text that nobody writes any more would rot unseen."""
    code = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "airflow_cbr").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    made_up = {advice_on((fault,)) for fault in Fault}
    shapes = advices_in_the_sources()
    assert [text for text in TEXTS if text not in joined and text not in made_up and shape_of(text) not in shapes] == []


def test_the_page_is_made_from_the_catalogue() -> None:
    page = REPOSITORY / "docs/zh/errors.md"
    assert page.read_text(encoding="utf-8") == errors_page.render_chinese(), "python -m airflow_cbr.api.errors_page zh > docs/zh/errors.md"
