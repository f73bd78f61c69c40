"""What to do about an error, in the reader's language: English, or Chinese where the environment asks for it.

The English text is the key of the catalogue ``zh.json``. What it does not have stays English, so that a new text never waits for its
translation. Messages, codes and log lines are English in every language: people search for them.
"""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VARIABLE", "advice_line", "asks_for_chinese", "in_chinese"]

VARIABLE: Final = "AIRFLOW_CBR_LANGUAGE"
"""The environment variable that decides: ``zh`` or ``en``. Without it, the locale does."""
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def asks_for_chinese(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment asks for Chinese.

    :param environment: the variables. Default: those of the process.
    """
    variables = os.environ if environment is None else environment
    asked = next((variables[name] for name in (VARIABLE, *_LOCALE) if variables.get(name)), "")
    return asked.lower().startswith("zh")


def advice_line(advice: str) -> str:
    """Return an advice as the end of a message.

    :param advice: what to do, in English.
    """
    return f"处理建议：{in_chinese(advice)}" if asks_for_chinese() else f"What to do: {advice}"


def in_chinese(text: str) -> str:
    """Return a text in Chinese, or as it is when the catalogue does not have it.

    :param text: the text in English.
    """
    return _catalogue().get(text, text)


@cache
def _catalogue() -> dict[str, str]:
    texts: dict[str, str] = json.loads(files("airflow_cbr.languages").joinpath("zh.json").read_text(encoding="utf-8"))
    return texts
