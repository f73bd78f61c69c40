"""Both languages say the same things."""

from __future__ import annotations

import json
import math
import string
from importlib.resources import files

import pytest

from airflow_cbr.evidence.check import Problem, ProblemKind
from airflow_cbr.evidence.judgement import Reason, State
from airflow_cbr.evidence.translations import LANGUAGES, Texts
from airflow_cbr.verification.faults import Fault

CATALOGUES = {
    language: json.loads(files("airflow_cbr.evidence").joinpath("catalogue", f"{language}.json").read_text(encoding="utf-8"))
    for language in LANGUAGES
}


def facts_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_catalogues_have_the_same_keys_and_name_the_same_facts() -> None:
    english, chinese = CATALOGUES["en"], CATALOGUES["zh"]
    assert list(english) == list(chinese)
    assert [key for key in english if facts_of(english[key]) != facts_of(chinese[key])] == []
    assert [key for key, text in chinese.items() if text == english[key] and key != "rpo"] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_be_said_has_its_text(language: str) -> None:
    keys = set(CATALOGUES[language])
    assert {f"fault.{fault}" for fault in Fault} == {key for key in keys if key.startswith("fault.")}
    assert {f"problem.{kind}" for kind in ProblemKind} == {key for key in keys if key.startswith("problem.")}
    assert {f"{part}.{state}" for state in State for part in ("state", "meaning")} <= keys


def test_a_length_of_time_is_told_in_units_that_fit_it() -> None:
    texts = Texts()
    told = {seconds: texts.duration(seconds) for seconds in (0, 59, 60, 3599, 7260, 172_799, 172_800, 864_000)}
    assert list(told.values()) == ["0 s", "59 s", "1 min", "59 min", "2 h 1 min", "47 h 59 min", "2 d 0 h", "10 d 0 h"]
    assert (texts.duration(math.inf), texts.duration(None)) == ("no replica", "not known")
    assert Texts("zh").duration(7260) == "2 小时 1 分钟"


def test_a_fault_of_a_later_version_is_told_by_its_name() -> None:
    assert Texts().reason(Reason("finding", "web-01", fault="melted", text="it melted")) == "web-01: melted: it melted"


def test_a_problem_is_one_line_whatever_a_file_is_called() -> None:
    problem = Problem(ProblemKind.DAMAGED, "pair\x1b[2J\n", "00000001.json", "a\nb")
    assert Texts().problem(problem) == "pair [2J : 00000001.json was changed or cut: a b"
