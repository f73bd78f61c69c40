# Needs Python >= 3.11, git and make. Every target makes what it needs in .venv first; uv is used where it is found.
# PYTHON=/path/to/python chooses the interpreter for a new .venv.

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
STAMP := .venv/.installed
INSTALLED_FROM := pyproject.toml tools/make-venv.sh tools/build-requirements.txt
WORKERS := 2

.PHONY: demo test test-full lint docs bench constraints clean

demo: $(STAMP)
	$(PY) -m airflow_cbr.cli demo

test: $(STAMP)
	$(PYTEST) -n $(WORKERS) --dist loadgroup -m "not full"

# The newest Airflow with everything, then the older lines; a line is pinned, what comes with it is not.
test-full: $(STAMP) .venv-airflow-3.2/.installed .venv-airflow-3.1/.installed
	$(PYTEST) -n $(WORKERS) --dist loadgroup
	.venv-airflow-3.2/bin/python -m pytest -n $(WORKERS) --dist loadgroup
	.venv-airflow-3.1/bin/python -m pytest -n $(WORKERS) --dist loadgroup

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(STAMP)
	$(PY) -m sphinx -q -W --keep-going -b html docs build/docs

bench: $(STAMP)
	@missed=; for file in tests/benchmarks/bench_*.py; do \
	  $(PY) -m "tests.benchmarks.$$(basename "$$file" .py)" || missed="$$missed $$file"; \
	done; if [ -n "$$missed" ]; then echo "Targets missed in:$$missed" >&2; exit 1; fi

$(STAMP): $(INSTALLED_FROM) constraints.txt
	sh tools/make-venv.sh .venv test,docs -c constraints.txt

.venv-airflow-3.2/.installed: $(INSTALLED_FROM)
	sh tools/make-venv.sh .venv-airflow-3.2 test "apache-airflow==3.2.2" "fastapi<0.137" # a newer one breaks this Airflow's Dag processor

.venv-airflow-3.1/.installed: $(INSTALLED_FROM)
	sh tools/make-venv.sh .venv-airflow-3.1 test "apache-airflow==3.1.8"

# Renews the pins from what the index offers today; needs uv.
constraints:
	uv pip compile --quiet --universal --upgrade --strip-extras --no-annotate --no-header --no-emit-package airflow-cbr \
	  --python-version 3.11 --extra test --extra docs pyproject.toml tools/build-requirements.txt -o constraints.txt

clean:
	rm -rf .venv .venv-* build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
