"""The command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_cbr.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["replicate"], "invalid choice"),
        (["demo", "--auth", "token"], "invalid choice: 'token'"),
        (["demo", "--port", "8080"], "--port requires --ui"),
        (["emulator", "--port", "65536"], "65536 is not a port number"),
        (["emulator", "--port", "http"], "http is not a port number"),
    ],
)
def test_a_wrong_command_line_is_refused_with_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_loads_neither_airflow_nor_a_web_framework() -> None:
    program = (
        "import sys\n"
        "from airflow_cbr.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('airflow', 'fastapi', 'requests', 'rich', 'uvicorn') if name in sys.modules], file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr.strip() == "[]"
    assert "emulator" in done.stdout
