"""Runs mutmut, with what it does to texts narrowed down; ``make mutants`` calls it, and pyproject.toml has its configuration.

    python tools/mutants.py run [MUTANT-PATTERN...]
    python tools/mutants.py results
    python tools/mutants.py show MUTANT

A text that holds a space is a sentence for people. Tests must not pin its wording, so mutants of it say nothing about the tests.
"""

from __future__ import annotations

from collections.abc import Iterable

import libcst
from mutmut.__main__ import cli
from mutmut.mutation import mutators


def mutated_words(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Return the mutants of a text that code reads (a status, a field's name), and none of a sentence."""
    is_sentence = isinstance(node, libcst.SimpleString) and " " in node.value
    return () if is_sentence else mutators.operator_string(node)


if __name__ == "__main__":
    mutators.mutation_operators[:] = [
        (kind, mutated_words if operator is mutators.operator_string else operator) for kind, operator in mutators.mutation_operators
    ]
    cli()
