"""Writes the published JSON schemas of the verification report and of evidence, from their types: ``make schema``."""

from __future__ import annotations

import json
from pathlib import Path

import airflow_cbr
from airflow_cbr.evidence import file
from airflow_cbr.verification import document

if __name__ == "__main__":
    package = Path(airflow_cbr.__file__).parent
    for name, schema in (
        ("verification/report.schema.json", document.generate_schema()),
        ("evidence/evidence.schema.json", file.generate_schema()),
    ):
        (package / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
