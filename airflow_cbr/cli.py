"""The ``airflow-cbr`` command: the emulator, the demo that runs against it, and what is done with evidence."""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from airflow_cbr.commands.evidence import add_evidence_commands, run_evidence
from airflow_cbr.languages import VARIABLE, asks_for_chinese, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

EMULATOR_PORT: Final = 18090


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-cbr", description="Replicate Huawei Cloud CBR backups with Apache Airflow.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    emulator = commands.add_parser("emulator", help="serve an emulated CBR and IAM on this machine until Ctrl-C")
    emulator.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    emulator.add_argument("--port", type=_port, default=EMULATOR_PORT, help="port to listen on; 0: any free one (default: %(default)s)")
    emulator.add_argument("--world", metavar="FILE", help="JSON file with the accounts, vaults and backups to start with")
    emulator.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="host name under which control calls are accepted, such as a container's; repeatable (default: --host, localhost, addresses)",
    )

    demo = commands.add_parser("demo", help="replicate three backups to another region, through Airflow, against the emulator")
    demo.add_argument("--auth", choices=("aksk", "password"), help="way to authenticate (default: one run with each)")
    demo.add_argument("--ui", action="store_true", help="start Airflow with its web page, the emulator and the example Dags, until Ctrl-C")
    demo.add_argument("--port", type=_port, default=0, help="with --ui: port of the web page (default: any free one)")

    for one in (emulator, demo):
        one.add_argument("--lang", choices=("en", "zh"), help=f"language of what it says (default: that of {VARIABLE}, or the locale)")

    add_evidence_commands(commands)
    return parser


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port number (0 to 65535)")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: the command line without the program. Default: ``sys.argv``.
    :return: exit code: 0 for success, 1 for an error, 2 for a wrong command line, 128 + signal when stopped by one.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "emulator":
        from airflow_cbr.emulator.server import serve

        _speak(options.lang)
        heading = translated("To connect Airflow with it:")
        return serve(options.host, options.port, options.world, options.allow_host, heading=heading)
    if options.command == "evidence":
        _replace_what_cannot_be_shown()
        return run_evidence(parser, options)
    if options.port and not options.ui:
        parser.error("demo: --port requires --ui")
    _speak(options.lang)
    if options.ui:
        from airflow_cbr.demo.web import serve_web_page

        return serve_web_page(options.port, options.auth or "aksk")
    from airflow_cbr.demo.run import run_demo

    return run_demo([options.auth] if options.auth else ["aksk", "password"], options.lang)


def _speak(language: str | None) -> None:
    """Choose the language of this process, and of those that it starts.

    :param language: ``en`` or ``zh``; None leaves it to the environment.
    """
    if language is not None:
        os.environ[VARIABLE] = language
    if asks_for_chinese():
        _replace_what_cannot_be_shown()


def _replace_what_cannot_be_shown() -> None:
    """Let a terminal that cannot show a character be no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
