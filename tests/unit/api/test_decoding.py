"""What a thread does while others decode too."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.python_process import run_python

PACKAGE = Path(__file__).resolve().parents[3] / "airflow_cbr"

# Sixteen threads that all begin with the same types, and change places as often as they can.
PROGRAM = """
import sys, threading
sys.setswitchinterval(1e-6)
from airflow_cbr.api import models, responses, summaries
from airflow_cbr.api.decoding import decode_json
row = '{"id": "a", "vault_id": "b", "replication_records": [{"id": "c", "status": "success", "extra_info": {"progress": 3}}]}'
body = ('{"count": 20, "backups": [' + ", ".join([row] * 20) + "]}").encode()
forms = [responses.BackupsAnswer[models.Backup], responses.BackupsAnswer[summaries.BackupSummary], responses.BackupAnswer]
together = threading.Barrier(16)
def decode(number):
    together.wait()
    for turn in range(30):
        decode_json(body, forms[(number + turn) % len(forms)])
threads = [threading.Thread(target=decode, args=(number,)) for number in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_threads_that_decode_for_the_first_time_together_do_not_end_the_process() -> None:
    # Each process begins once: without the lock, one in two died.
    for _ in range(6):
        run_python("-c", PROGRAM)


def test_no_module_leaves_it_to_a_thread_to_learn_a_type() -> None:
    """Outside of ``decode_json`` a decoder is made when its module is imported."""
    left = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"msgspec.json.decode", "msgspec.msgpack.decode"}
        and (len(node.args) > 1 or any(one.arg == "type" for one in node.keywords))
    ]
    assert left == []
