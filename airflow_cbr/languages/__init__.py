"""What to do about an error, and what the demo says, in the reader's language: English, or Chinese where the environment asks for it.

The English text is the key of the catalogue ``zh.json``, with ``{name}`` for what is known only at run time. What it does not have stays
English, so that a new text never waits for its translation. Messages, codes and log lines are English in every language: people search
for them.
"""

from __future__ import annotations

import json
import os
import re
import string
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VARIABLE", "advice_line", "asks_for_chinese", "in_chinese", "translated"]

VARIABLE: Final = "AIRFLOW_CBR_LANGUAGE"
"""The environment variable that decides: ``zh`` or ``en``. Without it, the locale does."""
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
_VALUE: Final = re.compile(r"(?<!\{)\{\w+\}(?!\})")


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


def translated(text: str, /, **values: object) -> str:
    """Return a text in the reader's language, with its values filled in.

    :param text: the text in English; ``{name}`` stands for a value.
    :param values: the values by name.
    """
    return (in_chinese(text) if asks_for_chinese() else text).format(**values)


def in_chinese(text: str) -> str:
    """Return a text in Chinese, or as it is when the catalogue does not have it.

    :param text: the text in English; a value in it is put into Chinese too, where the catalogue has it.
    """
    texts = _catalogue()
    if text in texts:
        return texts[text]
    for pattern, key in _patterns():
        if found := pattern.fullmatch(text):
            return texts[key].format(**{name: in_chinese(value) for name, value in found.groupdict().items()})
    return text


@cache
def _catalogue() -> dict[str, str]:
    texts: dict[str, str] = json.loads(files("airflow_cbr.languages").joinpath("zh.json").read_text(encoding="utf-8"))
    return texts


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the texts that hold values, those with most words of their own first."""
    found = []
    for key in _catalogue():
        if _VALUE.search(key):
            parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(key)]
            seen: set[str] = set()
            pattern = ""
            for literal, name in parts:
                pattern += re.escape(literal)
                if name:
                    pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
                    seen.add(name)
            found.append((sum(len(literal) for literal, _ in parts), re.compile(pattern, re.DOTALL), key))
    return [(pattern, key) for _, pattern, key in sorted(found, key=lambda one: -one[0])]
