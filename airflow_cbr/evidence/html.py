"""The report as one self-contained HTML file. Every text of others is escaped, there is no script, and the page may load nothing."""

from __future__ import annotations

import shutil
import tempfile
from importlib.resources import files
from itertools import groupby
from typing import IO, TYPE_CHECKING

import jinja2

from airflow_cbr.evidence.judgement import State
from airflow_cbr.evidence.overview import Overview, stretches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_cbr.evidence.overview import Origin
    from airflow_cbr.evidence.period import Day, VaultPeriod
    from airflow_cbr.evidence.translations import Texts

__all__ = ["write_html"]


def write_html(out: IO[str], vaults: Iterable[VaultPeriod], origin: Origin, texts: Texts) -> Overview:
    """Write the report.

    The totals stand first and are known last. So the sections of the vaults wait in a file meanwhile, and only one is in memory.

    :param out: takes the page.
    :param vaults: read once.
    :param origin: where the report is from.
    :param texts: in whose language.
    :return: the totals.
    """
    environment = _environment(texts)
    section = environment.get_template("vault.html")
    overview = Overview()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as sections:
        for number, vault in enumerate(vaults, start=1):
            row = overview.add(vault)
            sections.writelines(
                section.generate(number=number, vault=vault, row=row, months=_months(vault.days), stretches=list(stretches(vault.days)))
            )
        out.writelines(environment.get_template("head.html").generate(origin=origin, overview=overview))
        sections.seek(0)
        shutil.copyfileobj(sections, out)
    out.writelines(environment.get_template("foot.html").generate())
    return overview


def _environment(texts: Texts) -> jinja2.Environment:
    folder = files("airflow_cbr.evidence").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"t": texts, "duration": texts.duration, "State": State, "reason_of": texts.reason, "problem_of": texts.problem}
    return environment


def _months(days: list[Day]) -> list[tuple[str, int, list[Day]]]:
    """Return the days month by month, each with its name and the column of its first day, Monday being the first."""
    months: list[tuple[str, int, list[Day]]] = []
    for name, of_month in groupby(days, key=lambda day: day.day.strftime("%Y-%m")):
        listed = list(of_month)
        months.append((name, listed[0].day.isoweekday(), listed))
    return months
