"""What checking and reporting a year of evidence costs. ``python -m tests.benchmarks.bench_evidence``.

Fifty vaults of ten resources, verified on 365 nights: 18,250 files. Each command is a process of its own, as an auditor starts it, and its
time is that of the process, interpreter and imports included: processor time, since it waits for nothing but a disk, and other work on the
machine does not count. Its memory is compared with the same for a tenth of the nights.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_cbr.evidence.chain import Link
from airflow_cbr.evidence.file import VaultPlace, digest_of, pair_of, seal
from airflow_cbr.evidence.folder import name_of
from tests.benchmarks.targets import Target, report
from tests.support.evidence_nights import DAY, HOUR, THERE, evidence, finding, night, verification

VAULTS, NIGHTS, FEW_NIGHTS, RESOURCES = 50, 365, 36, 10
ROUNDS = 3
AGES: dict[str, float | None] = {f"server-{number:02d}": HOUR + number for number in range(RESOURCES)}
GOOD = verification(AGES, backups=RESOURCES)
LATE = verification(AGES | {"server-00": 2 * DAY}, verdict="failed", findings=(finding("server-00"),), backups=RESOURCES)
PROGRAM = "import sys\nfrom airflow_cbr.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def write_nights(folder: Path, nights: int) -> int:
    """Write the evidence as the chain has it, without the syncing to disk of a real writer; return its bytes."""
    size = 0
    for vault in range(VAULTS):
        source = VaultPlace("cn-north-4", "project-1", f"11111111-1111-4111-8111-{vault:012d}", f"vault-{vault:02d}")
        place = folder / pair_of(source, THERE)
        place.mkdir(parents=True)
        previous: list[str] = []
        for number in range(nights):
            content = LATE if number % 30 == 29 else GOOD
            data = seal(evidence(Link(number + 1, previous, None), night(number), content, source=source))
            (place / name_of(number + 1)).write_bytes(data)
            previous = [digest_of(data)]
            size += len(data)
    return size


def run(*arguments: str) -> tuple[float, float]:
    """Run the command in a process of its own; return its seconds on a processor, and its peak memory in MiB."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured(*arguments: str) -> tuple[float, float]:
    """Return the median of the seconds and the greatest memory of some rounds."""
    rounds = [run(*arguments) for _ in range(ROUNDS)]
    return statistics.median(seconds for seconds, _ in rounds), max(memory for _, memory in rounds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        year, month = Path(folder, "year"), Path(folder, "month")
        size = write_nights(year, NIGHTS)
        write_nights(month, FEW_NIGHTS)
        period = ("--from", night(0).date().isoformat(), "--to", night(NIGHTS - 1).date().isoformat())
        short_period = ("--from", night(0).date().isoformat(), "--to", night(FEW_NIGHTS - 1).date().isoformat())
        check, check_memory = measured("evidence", "check", str(year))
        _, check_memory_of_few = measured("evidence", "check", str(month))
        results = {}
        for suffix in ("html", "csv", "json"):
            out = Path(folder, f"report.{suffix}")
            results[suffix] = measured("evidence", "report", str(year), *period, "--out", str(out))
            print(
                f"report.{suffix}: {results[suffix][0]:.2f} s, {results[suffix][1]:.0f} MiB, {out.stat().st_size / 2**20:.1f} MiB of output"
            )
        _, report_memory_of_few = measured("evidence", "report", str(month), *short_period, "--out", str(Path(folder, "few.html")))
    print(f"{VAULTS * NIGHTS} files, {size / 2**20:.0f} MiB; check: {check:.2f} s, {check_memory:.0f} MiB")
    report(
        [
            Target(f"checking {NIGHTS} nights of {VAULTS} vaults", check, 10, "s"),
            *(Target(f"reporting them as {suffix}", seconds, 20, "s") for suffix, (seconds, _) in results.items()),
            Target(f"peak memory of checking, against {FEW_NIGHTS} nights", check_memory / check_memory_of_few, 1.1),
            Target("the same of reporting as HTML", results["html"][1] / report_memory_of_few, 1.1),
        ]
    )


if __name__ == "__main__":
    main()
