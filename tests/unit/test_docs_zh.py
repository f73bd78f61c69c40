"""The Chinese pages say the same as the English ones: each parameter, code, command and example on them is on these too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAIRS = {
    "README.zh-CN.md": ("README.md",),
    "docs/zh/quick-start.md": ("docs/tutorial/first-vault.md",),
    "docs/zh/connection.md": ("docs/reference/connection.md",),
    "docs/zh/runbook.md": ("docs/runbook.md", "docs/reference/exceptions.md", "docs/reference/verify.md", "docs/reference/connection.md"),
}
#: Code in a line of text; in Chinese a word and its code stand together, so what is between the marks must hold no Chinese.
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
BLOCK = re.compile(r"^```(?P<kind>\S+).*?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def test_every_chinese_page_has_its_english_one() -> None:
    """The page of errors is made from the catalogue, see ``languages``."""
    found = [path.relative_to(REPOSITORY).as_posix() for path in [*REPOSITORY.glob("*.zh-CN.md"), *REPOSITORY.glob("docs/zh/*.md")]]
    assert sorted(set(found) - {"docs/zh/errors.md"}) == sorted(PAIRS)


@pytest.mark.parametrize("page", PAIRS)
def test_what_is_code_is_on_the_english_page_too(page: str) -> None:
    english = "\n".join(map(text_of, PAIRS[page]))
    words = set(INLINE.findall(BLOCK.sub("", text_of(page))))
    assert words
    assert sorted(word for word in words if word not in english) == []
    assert [word for word in words if CHINESE.search(word)] == []


@pytest.mark.parametrize("page", PAIRS)
def test_each_example_is_an_example_of_the_english_page(page: str) -> None:
    english = "\n".join(map(text_of, PAIRS[page]))
    blocks = [match["text"] for match in BLOCK.finditer(text_of(page))]
    assert [block for block in blocks if block not in english] == []


def test_the_fields_of_the_connection_and_their_defaults_are_the_same() -> None:
    def fields(page: str) -> dict[str, str]:
        rows = re.findall(r"^\| ((?:extra )?`\w+`) \|.*\| ([^|]+) \|$", text_of(page), re.MULTILINE)
        return {name: default if re.fullmatch(r"`\S+`|\d+", default) else "" for name, default in rows}

    english, chinese = fields("docs/reference/connection.md"), fields("docs/zh/connection.md")
    assert len(chinese) > 15
    assert chinese == {name: default for name, default in english.items() if name in chinese}
    assert [name for name in english if name not in chinese and name.startswith(("extra", "`login", "`password"))] == []


def test_the_levels_of_a_verification_are_the_same() -> None:
    from airflow_cbr.verification.levels import Level

    assert re.findall(r"^\| `(\w+)` \|", text_of("docs/zh/runbook.md"), re.MULTILINE) == list(Level)
