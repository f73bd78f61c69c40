"""Runs mutmut; ``make mutants`` calls it, and pyproject.toml has its configuration.

    python tools/mutants.py run [MUTANT-PATTERN...]
    python tools/mutants.py results
    python tools/mutants.py show MUTANT

Two things are not as mutmut has them. A mutant meets the tests of its own module alone: nearly every test of a night reaches nearly every
line, and a mutant that lives would take minutes. And a text that holds a space is a sentence for people, whose wording no test must pin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import libcst
from mutmut import __main__ as mutmut
from mutmut.mutation import mutators
from mutmut.state import state

REPLICATION: Final = "tests/unit/replication/test_"
VERIFICATION: Final = "tests/unit/verification/test_"
#: Where the tests of a module are, by the beginning of its name; the first that fits counts. Elsewhere all tests that reach it.
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "airflow_cbr.once.intents.": ("tests/unit/once/", f"{REPLICATION}what_is_sent"),
    "airflow_cbr.once.": ("tests/unit/once/",),
    "airflow_cbr.replication.calls.": (f"{REPLICATION}what_is_sent",),
    "airflow_cbr.replication.decisions.": (f"{REPLICATION}decisions",),
    "airflow_cbr.replication.intents.": tuple(f"{REPLICATION}{name}" for name in ("what_is_sent", "submission", "kill", "cleared")),
    "airflow_cbr.replication.log_lookup.": (f"{REPLICATION}log_lookup",),
    "airflow_cbr.replication.publisher.": (f"{REPLICATION}submission",),
    "airflow_cbr.replication.refusals.": (f"{REPLICATION}refusals",),
    "airflow_cbr.replication.submission.": (f"{REPLICATION}submission", f"{REPLICATION}unlisted"),
    "airflow_cbr.replication.unlisted.": (f"{REPLICATION}unlisted",),
    "airflow_cbr.verification.comparisons.": (VERIFICATION,),
    "airflow_cbr.verification.reading.": (VERIFICATION,),
    "airflow_cbr.verification.replica_check.": (VERIFICATION,),
    # All but the properties of plain rows.
    "airflow_cbr.verification.": tuple(VERIFICATION + name for name in ("clocks", "document", "levels", "report", "settling", "verify")),
}

collect_or_load_stats = mutmut.collect_or_load_stats


def mutated_words(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Return the mutants of a text that code reads (a status, a field's name), and none of a sentence."""
    is_sentence = isinstance(node, libcst.SimpleString) and " " in node.value
    return () if is_sentence else mutators.operator_string(node)


def choose_tests(*arguments: Any, **options: Any) -> None:
    """Find out which tests reach a function, as mutmut does, and keep those of its module."""
    collect_or_load_stats(*arguments, **options)
    reached_by = state().tests_by_mangled_function_name
    for function, tests in reached_by.items():
        chosen = next((chosen for module, chosen in TESTS.items() if function.startswith(module)), ("",))
        reached_by[function] = {test for test in tests if test.startswith(chosen)}


if __name__ == "__main__":
    mutators.mutation_operators[:] = [
        (kind, mutated_words if operator is mutators.operator_string else operator) for kind, operator in mutators.mutation_operators
    ]
    mutmut.collect_or_load_stats = choose_tests
    mutmut.cli()
