"""The Chinese pages say the same as the English ones: each parameter, code, command and example on them is on these too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_cbr.languages import in_chinese

REPOSITORY = Path(__file__).resolve().parents[2]
PAIRS = {
    "README.zh-CN.md": ("README.md", "docs/reference/errors.md"),
    "docs/zh/quick-start.md": (
        "docs/tutorial/first-vault.md",
        "docs/reference/replicate.md",
        "docs/reference/verify.md",
        "docs/reference/emulator.md",
        "docs/howto/evidence.md",
        "docs/reference/errors.md",
    ),
    "docs/zh/connection.md": ("docs/reference/connection.md",),
    "docs/zh/runbook.md": (
        "docs/runbook.md",
        "docs/reference/exceptions.md",
        "docs/reference/verify.md",
        "docs/reference/connection.md",
        "docs/reference/errors.md",
    ),
}
#: Code in a line of text; in Chinese a word and its code stand together, so what is between the marks must hold no Chinese.
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
BLOCK = re.compile(r"^```(?P<kind>\S+).*?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: By this alone the commands of the Chinese pages differ: they ask for Chinese.
ASKS_FOR_CHINESE = re.compile(r"AIRFLOW_CBR_LANGUAGE=zh (?=make)| --lang zh")


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def test_every_chinese_page_has_its_english_one() -> None:
    """The page of errors is made from the catalogue, see ``languages``."""
    found = [path.relative_to(REPOSITORY).as_posix() for path in [*REPOSITORY.glob("*.zh-CN.md"), *REPOSITORY.glob("docs/zh/*.md")]]
    assert sorted(set(found) - {"docs/zh/errors.md"}) == sorted(PAIRS)


@pytest.mark.parametrize("page", PAIRS)
def test_what_is_code_is_on_the_english_page_too(page: str) -> None:
    english = "\n".join(map(text_of, PAIRS[page]))
    words = {ASKS_FOR_CHINESE.sub("", word) for word in INLINE.findall(BLOCK.sub("", text_of(page)))}
    assert words
    assert sorted(word for word in words if word not in english) == []
    assert [word for word in words if CHINESE.search(word)] == []


@pytest.mark.parametrize("page", PAIRS)
def test_each_example_is_an_example_of_the_english_page(page: str) -> None:
    english = "\n".join(map(text_of, PAIRS[page]))
    blocks = [ASKS_FOR_CHINESE.sub("", match["text"]) for match in BLOCK.finditer(text_of(page))]
    assert [block for block in blocks if block not in english and block not in what_the_demo_says(english)] == []


def what_the_demo_says(english: str) -> list[str]:
    """Return the Chinese for the output of the demo that an English page shows."""
    text = "VERIFIED: {count} of {count} backups are in {region}, each copied once."
    values = {"count": 3, "region": "cn-shenzhen-1"}
    return [f"{in_chinese(text).format(**values)}\n"] if f"{text.format(**values)}\n" in english else []


@pytest.mark.parametrize("page", ["README.zh-CN.md", "docs/zh/quick-start.md"])
def test_who_reads_chinese_is_shown_how_to_ask_for_it(page: str) -> None:
    assert len(ASKS_FOR_CHINESE.findall(text_of(page))) >= 2
    assert any(block["text"] in what_the_demo_says(text_of(PAIRS[page][0])) for block in BLOCK.finditer(text_of(page)))


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
