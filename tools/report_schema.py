"""Writes the published JSON schema of the verification report, from the types of the document: ``make schema``."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_cbr.verification import document

if __name__ == "__main__":
    path = Path(document.__file__).with_name("report.schema.json")
    path.write_text(json.dumps(document.generate_schema(), indent=2) + "\n", encoding="utf-8")
