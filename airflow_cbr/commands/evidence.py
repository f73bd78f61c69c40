"""``airflow-cbr evidence check`` and ``airflow-cbr evidence report``."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.evidence.check import Problem
    from airflow_cbr.evidence.folder import EvidenceStore
    from airflow_cbr.evidence.period import Period, VaultPeriod
    from airflow_cbr.evidence.signing import PublicKeys

__all__ = ["add_evidence_commands", "run_evidence"]

_EARLIEST, _LATEST = date(1970, 1, 1), date(9998, 12, 31)
_MOST_DAYS: Final = 3660
_FORMATS: Final = (".html", ".csv", ".json")
_PATH: Final = "the folder, or the URL of object storage, that evidence_path names"
_KEY: Final = "PEM file with the Ed25519 public key that every file must be signed with; repeatable, for a key that was changed"


def add_evidence_commands(commands: Any) -> None:
    """Add the commands and their options.

    :param commands: the subparsers of ``airflow-cbr``.
    """
    evidence = commands.add_parser("evidence", help="check the evidence that verifications leave, and make the auditor's report of it")
    actions = evidence.add_subparsers(dest="action", metavar="ACTION", required=True)

    check = actions.add_parser("check", help="find every change, gap and deletion but that of the newest files")
    report = actions.add_parser("report", help="say for each vault and day whether it was protected, as HTML, CSV or JSON")
    for action in (check, report):
        action.add_argument("path", metavar="PATH", help=_PATH)
        action.add_argument("--public-key", metavar="FILE", action="append", default=[], help=_KEY)
    report.add_argument("--from", dest="first", metavar="DATE", type=_day, required=True, help="first day, for example 2026-01-01")
    report.add_argument("--to", dest="last", metavar="DATE", type=_day, required=True, help="last day, which belongs to the report")
    report.add_argument("--out", metavar="FILE", type=_out, required=True, help="where to write it; the name ends in .html, .csv or .json")
    report.add_argument("--lang", choices=("en", "zh"), default="en", help="language (default: %(default)s)")
    report.add_argument(
        "--time-zone", metavar="NAME", type=_zone, default="UTC", help="by whose midnight days begin (default: %(default)s)"
    )


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not _EARLIEST <= day <= _LATEST:
        raise argparse.ArgumentTypeError(f"{text} is not a date such as 2026-01-31")
    return day


def _out(text: str) -> Path:
    path = Path(text)
    if path.suffix not in _FORMATS:
        raise argparse.ArgumentTypeError(f"{text} does not end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}")
    return path


def _zone(text: str) -> Any:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{text} is not a time zone such as Asia/Shanghai") from None


def run_evidence(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Carry out a command.

    :param parser: for what is wrong with the command line.
    :param options: the command line.
    :return: 0: the evidence is in order; 1: it is not, there is none, or it cannot be read.
    """
    if options.action == "report":
        if options.last < options.first:
            parser.error("evidence report: --to is before --from")
        if (options.last - options.first).days >= _MOST_DAYS:
            parser.error(f"evidence report: --from and --to are more than {_MOST_DAYS} days apart")
    keys = _keys(parser, options.public_key)
    try:
        store = _open(options.path)
        return _check(store, keys) if options.action == "check" else _report(store, keys, options)
    except OSError as error:
        return _say_error(f"{error.filename or options.path}: {error.strerror or error}")
    # What the libraries of object stores raise has no common base.
    except Exception as error:
        if "://" not in options.path:
            raise
        from airflow_cbr.api.texts import clean

        return _say_error(clean(f"{options.path} cannot be read: {type(error).__name__}: {error}"))


def _keys(parser: argparse.ArgumentParser, files: list[str]) -> PublicKeys | None:
    if not files:
        return None
    from airflow_cbr.evidence.signing import PublicKeys

    pems = []
    for file in files:
        try:
            pems.append(Path(file).read_bytes())
            PublicKeys.from_pems(pems[-1:])
        except OSError as error:
            parser.error(f"evidence: --public-key {file}: {error.strerror}")
        except ValueError as error:
            parser.error(f"evidence: --public-key {file}: {error}")
    return PublicKeys.from_pems(pems)


def _open(path: str) -> EvidenceStore:
    if "://" in path:
        # Only this loads Airflow, which takes seconds.
        from airflow_cbr.operators.evidence_store import store_at

        return store_at(path)
    from airflow_cbr.evidence.folder import FolderStore

    return FolderStore(path)


def _say_error(message: str) -> int:
    print(f"airflow-cbr: {message}", file=sys.stderr)
    return 1


# --- check ------------------------------------------------------------------------------------------------------------


def _check(store: EvidenceStore, keys: PublicKeys | None) -> int:
    from airflow_cbr.api.texts import counted
    from airflow_cbr.evidence.check import Checked, walk
    from airflow_cbr.evidence.translations import Texts

    texts = Texts()
    files = problems = 0
    for pair in store.pairs():
        newest: Checked | None = None
        found: list[Problem] = []
        of_pair = 0
        for one in walk(store, pair, keys):
            if isinstance(one, Checked):
                of_pair += 1
                newest = one
            else:
                found.append(one)
        if newest is not None:
            print(_line_of(pair, of_pair, newest))
        for problem in found:
            print(f"  WRONG {texts.problem(problem)}")
        files += of_pair
        problems += len(found)
    if not files:
        return _say_error(f"There is no evidence in {store}.")
    signed = "Signatures were not checked." if keys is None else f"Every file must be signed with the key {' or '.join(keys.ids)}."
    found_problems = counted(problems, "problem") if problems else "No problems"
    print(f"{found_problems} in {counted(files, 'file')}. {signed}")
    print("Whether the newest files of a vault pair were deleted cannot be seen: compare the newest ones above with the logs of the tasks.")
    return 1 if problems else 0


def _line_of(pair: str, files: int, newest: Any) -> str:
    from airflow_cbr.api.texts import counted, one_line

    at = "" if newest.evidence is None else f" of {newest.evidence.at.isoformat(timespec='seconds')}"
    return one_line(f"{pair}: {counted(files, 'file')}, the newest {newest.name}{at}, SHA-256 {newest.sha256}")


# --- report -----------------------------------------------------------------------------------------------------------


def _report(store: EvidenceStore, keys: PublicKeys | None, options: argparse.Namespace) -> int:
    from airflow_cbr import __version__
    from airflow_cbr.api.texts import one_line
    from airflow_cbr.evidence.overview import Origin
    from airflow_cbr.evidence.period import Period
    from airflow_cbr.evidence.translations import Texts

    zone = _zone(options.time_zone) if isinstance(options.time_zone, str) else options.time_zone
    period = Period(options.first, options.last, zone, datetime.now(UTC))
    origin = Origin(period, str(zone), one_line(str(store)), __version__, None if keys is None else keys.ids)
    out: Path = options.out
    texts = Texts(options.lang)
    unfinished = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            overview = _writer(out.suffix)(file, _vaults(store, keys, period), origin, texts)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    if not overview.files:
        return _say_error(texts("written_empty", store=store, out=out))
    counts = {"pairs": len(overview.rows), "days": overview.judged, "problems": overview.problem_count, "files": overview.files}
    told = {name: texts.counted(f"count.{name.removesuffix('s')}", count) for name, count in counts.items()}
    print(texts("written", out=out, gaps=overview.gaps, **told))
    return 1 if overview.problem_count else 0


def _writer(suffix: str) -> Any:
    if suffix == ".html":
        from airflow_cbr.evidence.html import write_html

        return write_html
    from airflow_cbr.evidence import tables

    return tables.write_csv if suffix == ".csv" else tables.write_json


def _vaults(store: EvidenceStore, keys: PublicKeys | None, period: Period) -> Iterator[VaultPeriod]:
    from airflow_cbr.evidence.check import walk
    from airflow_cbr.evidence.period import summarise

    for pair in store.pairs():
        vault = summarise(pair, walk(store, pair, keys), period)
        # A folder without any is none of a vault pair.
        if vault.files:
            yield vault
