"""Makes mutants with mutmut and runs them; ``make mutants`` calls it, and pyproject.toml has its configuration.

    python tools/mutants.py run [--jobs NUMBER] [MUTANT-PATTERN...]
    python tools/mutants.py table
    python tools/mutants.py results
    python tools/mutants.py show MUTANT

mutmut makes the mutants and keeps what became of them; running them is done here, because mutmut starts pytest anew for each. A module's
tests are collected once, and each mutant is a fork of that process. It meets the tests of its own module alone: nearly every test of a
night reaches nearly every line. Those that killed other mutants of the function, or else of the module, come first, then the fast ones.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gc
import io
import json
import math
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click
import hypothesis
import libcst
import pytest
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import change_cwd, copy_also_copy_files, copy_src_dir, setup_source_paths, walk_mutatable_files
from mutmut.utils.format_utils import get_module_from_key, mangled_name_from_mutant_name

ONCE: Final = ("tests/unit/once/test_*.py",)


def of_replication(*names: str) -> tuple[str, ...]:
    """Return where tests of the replication are."""
    return tuple(f"tests/unit/replication/test_{name}" for name in names)


def of_verification(*names: str) -> tuple[str, ...]:
    """Return where tests of the verification are."""
    return tuple(f"tests/unit/verification/test_{name}" for name in names)


#: Where the tests of a module are, by the beginning of its name; the first that fits counts.
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "once.intents.": (*ONCE, *of_replication("intents.py", "what_is_sent.py")),
    "once.": ONCE,
    "replication.calls.": of_replication("what_is_sent.py"),
    "replication.decisions.": of_replication("decisions.py"),
    "replication.figures.": of_replication("figures.py"),
    "replication.intents.": of_replication("intents.py"),
    "replication.lines.": of_replication("lines.py"),
    "replication.log_lookup.": of_replication("log_lookup.py"),
    "replication.one_backup.": of_replication("one_backup.py"),
    "replication.publisher.": of_replication("publisher.py"),
    "replication.refusals.": of_replication("refusals.py"),
    "replication.submission.": of_replication("one_step.py", "submission.py", "unlisted.py", "what_is_sent.py"),
    "replication.unlisted.": of_replication("unlisted*.py"),
    "replication.vault_names.": of_replication("vault_names.py"),
    "verification.closing.": of_verification("closing.py", "report.py"),
    "verification.comparisons.": of_verification("comparisons.py"),
    "verification.lines.": of_verification("lines.py"),
    "verification.rules.": of_verification("rules.py"),
    "verification.reading.": of_verification("verify.py", "plain_rows.py"),
    "verification.replica_check.": of_verification("verify.py", "plain_rows.py"),
    # All but the properties of plain rows.
    "verification.": of_verification("[!p]*.py"),
}
CPU_LIMIT: Final = 3
"""Seconds of a processor that a test may use beside three times what it needs, before its mutant counts as one that never ends."""
NO_TESTS: Final = 33
"""What mutmut keeps of a mutant that no test reaches."""


def mutated_words(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Return the mutants of a text that code reads (a status, a field's name), and none of a sentence, whose wording no test must pin."""
    is_sentence = isinstance(node, libcst.SimpleString) and " " in node.value
    return () if is_sentence else mutators.operator_string(node)


class Trial:
    """Tests that are collected, and meet one mutant after the other.

    :param patterns: where the tests are.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        files = sorted(str(path) for pattern in patterns for path in Path().glob(pattern))
        # A property that fails has killed the mutant: which example is the smallest does not matter.
        hypothesis.settings.register_profile(
            "mutants",
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
            deadline=None,
            database=None,
            suppress_health_check=[hypothesis.HealthCheck.too_slow],
        )
        # Nobody reads how a mutant fails.
        arguments = ["--rootdir=.", "-q", "-s", "--tb=native", "--assert=plain", "--hypothesis-profile=mutants"]
        with change_cwd("mutants"), contextlib.redirect_stdout(io.StringIO()):
            options = pytest.Config.fromdictargs({}, [*arguments, *config().pytest_add_cli_args, *files])
            options._do_configure()
            self._session = pytest.Session.from_config(options)
            options.hook.pytest_sessionstart(session=self._session)
            options.hook.pytest_collection(session=self._session)
        if not self._session.items:
            sys.exit(f"No tests in {', '.join(patterns)}")
        # What a fork leaves alone it need not copy.
        gc.freeze()
        # Tests that killed a mutant, the newest first, by function and by module.
        self._killers: defaultdict[str, list[int]] = defaultdict(list)
        self._seconds: list[float] = []
        code, reached = self._in_a_fork("stats", range(len(self._session.items)))
        if code:
            failed = self._session.items[reached["failed"]].nodeid if reached else f"pytest, with {code}"
            sys.exit(f"Fails without a mutant: {failed}")
        self._reached, self._seconds = reached["functions"], reached["seconds"]

    def verdict_on(self, mutant: str) -> int:
        """Return the exit code of the tests, as mutmut keeps it.

        :param mutant: its name.
        """
        function = mangled_name_from_mutant_name(mutant)
        tests = self._reached.get(function)
        if not tests:
            return NO_TESTS
        module = get_module_from_key(function)
        first = [*self._killers[function], *self._killers[module]]
        place = {test: number for number, test in reversed(list(enumerate(first)))}
        ordered = sorted(tests, key=lambda test: (place.get(test, len(first)), self._seconds[test]))
        code, told = self._in_a_fork(mutant, ordered)
        if "failed" in told:
            for known in (self._killers[function], self._killers[module]):
                if told["failed"] in known:
                    known.remove(told["failed"])
                known.insert(0, told["failed"])
        return code

    def _in_a_fork(self, mutant: str, tests: Iterable[int]) -> tuple[int, dict[str, Any]]:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(read)
            os.chdir("mutants")
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            set_mutant_under_test(mutant)
            code = 3  # of pytest itself
            with contextlib.suppress(BaseException):
                told = self._run(list(tests))
                with os.fdopen(write, "w") as pipe:
                    json.dump(told, pipe)
                code = int("failed" in told)
            os._exit(code)
        os.close(write)
        with os.fdopen(read) as pipe:
            told = pipe.read()
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), json.loads(told) if told else {}

    def _run(self, tests: list[int]) -> dict[str, Any]:
        items = self._session.items
        functions: defaultdict[str, list[int]] = defaultdict(list)
        seconds: list[float] = []
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            begin = time.process_time()
            if self._seconds:
                limit = math.ceil(begin + CPU_LIMIT + 3 * self._seconds[test])
                resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            next_item = None if following is None else items[following]
            items[test].config.hook.pytest_runtest_protocol(item=items[test], nextitem=next_item)
            if self._session.testsfailed:
                return {"failed": test}
            seconds.append(time.process_time() - begin)
            for function in state()._stats:
                functions[function].append(test)
            state()._stats.clear()
        return {"functions": functions, "seconds": seconds}


def make() -> dict[Path, SourceFileMutationData]:
    """Make the mutants of what has changed, and return those of each file with what is known of them."""
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    with contextlib.redirect_stdout(None):
        copy_src_dir()
        copy_also_copy_files()
        setup_source_paths()
        mutmut.create_mutants(os.cpu_count() or 1)
    set_mutant_under_test("")
    return known()


def known() -> dict[Path, SourceFileMutationData]:
    """Return the mutants of each file with what is known of them."""
    found = {}
    for path in sorted(walk_mutatable_files()):
        found[path] = SourceFileMutationData(path=path)
        found[path].load()
    return {path: data for path, data in found.items() if data.exit_code_by_key}


def module_of(path: Path) -> str:
    """Return the name of a module within the package: ``once.clock``."""
    return ".".join(path.with_suffix("").parts[1:])


def tests_of(path: Path) -> tuple[str, ...]:
    """Return where the tests of a module are."""
    name = f"{module_of(path)}."
    return next((tests for module, tests in TESTS.items() if name.startswith(module)), ())


def run_modules(tests: tuple[str, ...], chosen: list[tuple[SourceFileMutationData, list[str]]]) -> None:
    """Run the mutants of modules that have the same tests, and keep what becomes of each."""
    trial = Trial(tests)
    for data, mutants in chosen:
        for mutant in mutants:
            begin = time.monotonic()
            code = data.exit_code_by_key[mutant] = trial.verdict_on(mutant)
            data.durations_by_key[mutant] = time.monotonic() - begin
            data.save()
            if status_by_exit_code[code] != "killed":
                print(f"{status_by_exit_code[code]}: {mutant}", flush=True)
        print(f"{module_of(Path(data.path))}: {len(mutants)} run", flush=True)


@click.group()
def cli() -> None:
    """Make mutants of once, replication and verification, and run them."""


@cli.command()
@click.option("--jobs", default=os.cpu_count() or 1, help="How many processes.")
@click.argument("patterns", nargs=-1)
def run(jobs: int, patterns: tuple[str, ...]) -> None:
    """Run the mutants of which nothing is known, or those that are named, known or not."""
    together: defaultdict[tuple[str, ...], list[tuple[SourceFileMutationData, list[str]]]] = defaultdict(list)
    for path, data in make().items():
        mutants = [
            mutant
            for mutant, code in data.exit_code_by_key.items()
            if (any(fnmatch.fnmatch(mutant, pattern) for pattern in patterns) if patterns else code is None)
        ]
        if mutants:
            together[tests_of(path)].append((data, mutants))
    running = 0
    endings = []
    for tests, chosen in together.items():
        if running == jobs:
            endings.append(os.wait()[1])
            running -= 1
        if not os.fork():
            run_modules(tests, chosen)
            os._exit(0)
        running += 1
    endings += [os.wait()[1] for _ in range(running)]
    sys.exit(int(any(endings)))


@cli.command()
def table() -> None:
    """Print what is known, by module; a mutant that does not end is a killed one."""
    print("| Module | Mutants | Run | Killed | Alive |\n|---|---|---|---|---|")
    rows = []
    for path, data in known().items():
        said = [status_by_exit_code[code] for code in data.exit_code_by_key.values()]
        ran = [one for one in said if one != "not checked"]
        killed = [one for one in ran if one in ("killed", "timeout")]
        rows.append((len(said), len(ran), len(killed), len(ran) - len(killed)))
        print(f"| `{module_of(path)}` | {' | '.join(map(str, rows[-1]))} |")
    print(f"| all | {' | '.join(str(sum(column)) for column in zip(*rows, strict=True))} |")


cli.add_command(mutmut.results)
cli.add_command(mutmut.show)

if __name__ == "__main__":
    mutators.mutation_operators[:] = [
        (kind, mutated_words if operator is mutators.operator_string else operator) for kind, operator in mutators.mutation_operators
    ]
    cli()
