"""The page in a browser: what it says, at any width, in light and dark and on paper, and that no name of others becomes more than text."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_cbr.evidence.check import walk
from airflow_cbr.evidence.file import VaultPlace
from airflow_cbr.evidence.html import write_html
from airflow_cbr.evidence.overview import Origin
from airflow_cbr.evidence.period import Period, summarise
from airflow_cbr.evidence.translations import LANGUAGES, Texts
from tests.support.bare_store import BareStore
from tests.support.browser import appearances, open_page, serious_violations, widest_overflow
from tests.support.evidence_nights import DAY, HERE, HOUR, PAIR, THERE, add, add_nights, finding, night, verification

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

HOSTILE = [
    "<script>document.title='taken'</script>",
    "\"'><img src=x onerror=\"document.title='taken'\">",
    "{{ 7 * 7 }}{% for x in y %}",
    "</style><svg onload=alert(1)>",
    "web\u202e10-\u0000bew",
    "x" * 500,
    "&lt;b&gt; & <b>bold</b>",
    "javascript:alert(1)",
]


def everything() -> BareStore:
    """Return the evidence of two vaults, with a day of every state."""
    store = BareStore()
    add_nights(store, 3)
    add(store, night(3), verification({"web-01": 3 * DAY, "db-01": None}, verdict="failed", findings=(finding("db-01"),)))
    add(store, night(4), verification(max_age=None))
    add(store, night(7))
    add(
        store,
        night(7, 1),
        {"verdict": "successful", "resource_name": "web-01", "resource_id": "id", "backup_name": "b", "seconds": 840.0},
        kind="drill",
    )
    add(store, night(7, 2), {"verdict": "failed", "resource_name": "db-01", "reason": "it does not boot"}, kind="drill")
    add(store, night(8), kind="prune", content={})
    other = VaultPlace(HERE.region, HERE.project_id, "33333333-3333-4333-8333-333333333333", "nightly-db")
    for number in range(2, 12):
        add(store, night(number), source=other)
    (name,) = [name for name in store.names(PAIR) if name.startswith("00000002")]
    store.files[PAIR][name] = store.files[PAIR][name].replace(b"web-01", b"web-66")
    return store


def page_of(store: BareStore, language: str = "en", **changes: Any) -> str:
    period = Period(date(2026, 3, 1), date(2026, 3, 14), UTC, datetime(2026, 3, 12, 12, tzinfo=UTC))
    origin = Origin(period, "UTC", "s3://bucket/evidence", "0.1.0", None)
    out = io.StringIO()
    write_html(out, (summarise(pair, walk(store, pair), period) for pair in store.pairs()), origin, Texts(language))
    return out.getvalue()


def show(page: Page, folder: Path, html: str) -> list[str]:
    """Open a page as a reader does, from a file; return what it loaded beside itself."""
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(file.as_uri())
    return loaded[1:]


@pytest.mark.parametrize(("language", "width", "theme"), appearances(LANGUAGES, narrow=375))
def test_it_can_be_read(browser: Browser, tmp_path: Path, language: str, width: int, theme: Literal["light", "dark"]) -> None:
    with open_page(browser, width=width, theme=theme) as page:
        assert show(page, tmp_path, page_of(everything(), language)) == []
        assert serious_violations(page) == []
        assert widest_overflow(page) == 0
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
        assert dark is (theme == "dark")


def test_it_says_what_was_found(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser) as page:
        show(page, tmp_path, page_of(everything()))
        days = {
            name: page.locator("section.vault", has=page.get_by_role("heading", name=name)).locator(".month li").all_inner_texts()
            for name in ("nightly-web", "nightly-db")
        }
        said = {name: [" ".join(day.split()).partition(" ")[2] for day in texts] for name, texts in days.items()}
        assert said["nightly-web"] == [
            *["evidence damaged"] * 2,
            "met",
            "not met",
            "not proven",
            "no evidence",
            "no evidence",
            "met",
            *["no evidence"] * 3,
            *["not over"] * 3,
        ]
        assert said["nightly-db"] == [*["before the first evidence"] * 2, *["met"] * 10, *["not over"] * 2]
        text = page.locator("body").inner_text()
        for needle in (
            "On 8 of 21 vault-days this is not shown",
            "The evidence itself is not in order",
            "00000002",
            "db-01 (id-of-db-01): no verified replica",
            "web-01 (id-of-web-01): the newest verified replica was 3 d 0 h old",
            "the verification had no max_age",
            "1 of 2 passed",
            "it does not boot",
            "Files of another kind in this period, which are not shown: 1.",
            HERE.vault_id,
            THERE.vault_id,
            "replicas",
        ):
            assert needle in text, needle
        assert "All 18 files" not in text


def test_all_is_well_is_said_only_where_it_is(browser: Browser, tmp_path: Path) -> None:
    store, doubtful = BareStore(), BareStore()
    add_nights(store, 12)
    add_nights(doubtful, 11)
    add(doubtful, night(11), verification(max_age=None))
    with open_page(browser) as page:
        show(page, tmp_path, page_of(store))
        assert page.locator(".banner.good").inner_text() == "On all 12 vault-days every resource had a verified replica within its RPO."
        assert page.locator(".banner.bad").count() == 0
        show(page, tmp_path, page_of(doubtful))
        assert (page.locator(".banner.good").count(), page.locator(".banner.doubt").count()) == (0, 1)
        show(page, tmp_path, page_of(BareStore()))
        assert page.locator(".banner.bad").inner_text() == "There is no evidence here."


def test_it_is_chinese_throughout(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser) as page:
        show(page, tmp_path, page_of(everything(), "zh"))
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        english = Texts("en")
        text = page.locator("body").inner_text()
        for key in (
            "title",
            "totals",
            "legend",
            "worst",
            "longest",
            "gaps",
            "state.met",
            "state.no_evidence",
            "meaning.missed",
            "figure.limits",
        ):
            assert english(key) not in text, key
            assert Texts("zh")(key) in text, key


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(browser: Browser, tmp_path: Path, name: str) -> None:
    store = BareStore()
    source = VaultPlace(name[:60] or "r", name, HERE.vault_id, name)
    destination = VaultPlace(THERE.region, name, name, name)
    content = verification({name: 9 * DAY}, verdict="failed", findings=(finding(name, reason=name, fault=name),))
    add(store, night(0), content, source=source, destination=destination)
    drill = dict.fromkeys(("verdict", "resource_id", "resource_name", "backup_id", "backup_name", "reason"), name)
    add(store, night(1), drill, kind="drill", source=source, destination=destination)
    with open_page(browser, width=375) as page:
        assert show(page, tmp_path, page_of(store)) == []
        assert page.title().startswith("Evidence of replicated backups")
        tags = set(page.evaluate("[...document.querySelectorAll('*')].map(one => one.localName)"))
        assert tags.isdisjoint({"script", "img", "svg", "b", "iframe", "object", "link", "form"})
        assert {link.get_attribute("href") for link in page.locator("a").all()} == {"#vault-1"}
        assert "49" not in page.locator("section.vault h2").inner_text()
        assert widest_overflow(page) == 0


def test_it_may_load_nothing_and_has_no_script() -> None:
    html = page_of(everything())
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    for needle in ("<script", "<link", "src=", "url(", "@import", "http:"):
        assert needle not in html


def test_it_can_be_printed(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, theme="dark") as page:
        show(page, tmp_path, page_of(everything()))
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('li.met')).printColorAdjust") == "exact"
        assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")


def test_colour_is_not_all_that_tells_days_apart(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser) as page:
        show(page, tmp_path, page_of(everything()))
        script = "name => getComputedStyle(document.querySelector('.month li.' + name), '::after').content"
        marks = {name: page.evaluate(script, name) for name in ("met", "missed", "no_evidence", "damaged", "unproven", "pending")}
        assert len(set(marks.values())) == len(marks), marks


def test_hours_are_not_lost(browser: Browser, tmp_path: Path) -> None:
    store = BareStore()
    add(store, night(0), verification({"web-01": 5 * HOUR}))
    with open_page(browser) as page:
        show(page, tmp_path, page_of(store))
        assert "5 h 0 min" in page.locator("tbody").first.inner_text()
