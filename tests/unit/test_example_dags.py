"""What a user sees of the example Dags: names, owners, tags, and a form whose fields say what they want."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.sdk import DAG

FOLDER = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(FOLDER.glob("*.py"))


@cache
def dag_of(file: Path) -> DAG:
    """Return the Dag of a file."""
    dag: DAG = runpy.run_path(str(file))["dag"]
    return dag


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_has_a_name_an_owner_and_help(file: Path) -> None:
    dag = dag_of(file)
    assert dag.dag_display_name != dag.dag_id
    assert dag.dag_display_name.startswith("CBR: ")
    assert dag.owner == "backup"
    assert dag.description
    assert {"backup", "cbr"} < dag.tags


def test_names_and_tags_tell_the_dags_apart() -> None:
    dags = [dag_of(file) for file in FILES]
    assert len({dag.dag_display_name for dag in dags}) == len(dags)
    assert len({frozenset(dag.tags) for dag in dags}) == len(dags)


def texts_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of the texts in a param: itself, or the required keys of its entries."""
    if schema.get("type") == "string":
        return [schema]
    items = schema.get("items") or {}
    return [items["properties"][name] for name in items.get("required", ())]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_param_has_a_title_and_help_and_each_text_a_pattern(file: Path) -> None:
    for name in dag_of(file).params:
        schema = dag_of(file).params.get_param(name).schema
        assert schema["title"], name
        assert dag_of(file).params.get_param(name).description, name
        assert all(text.get("pattern") for text in texts_of(schema)), name


@pytest.mark.parametrize("bad", ["", "vault-nightly", "3b5816b5", "3b5816b5-f29c-4172-9d9a-76c719a659ce "])
def test_the_form_refuses_what_is_no_id(bad: str) -> None:
    for file in FILES:
        params = dag_of(file).params
        if not len(params):
            continue
        if "vault_id" in params:
            with pytest.raises(Exception, match="does not match"):
                params.get_param("vault_id").resolve(bad)
        else:
            (entry,) = params["vaults"]
            with pytest.raises(Exception, match="does not match"):
                params.get_param("vaults").resolve([entry | {"vault_id": bad}])
