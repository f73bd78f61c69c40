"""Runs OpenStack Keystone; executed by the Python of Keystone's own environment, where this project is not installed.

    python -P keystone_program.py setup DIRECTORY
    python -P keystone_program.py serve DIRECTORY CONFIGURATION REQUESTS_FILE

``setup`` does what its administrator's guide says: database, keys, first administrator (whose password comes in the environment).
``serve`` prints the port it listens on, writes one line for each request, and ends when its standard input does, so that it never
outlives the test run that started it.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
import threading
from pathlib import Path
from typing import Any


def _manage(configuration: Path, *command: str) -> None:
    """Run one command of ``keystone-manage`` in a child: it is made to run once in a process, and importing it takes a second."""
    child = os.fork()
    if child == 0:
        from keystone.cmd import cli  # type: ignore[import-not-found, unused-ignore]

        try:
            cli.main(argv=["keystone-manage", "--config-file", str(configuration), *command])
        except BaseException as error:
            print(f"keystone-manage {command[0]}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(f"keystone-manage {command[0]} failed")


def setup(directory: Path) -> None:
    """Make the database, the keys and the administrator.

    :param directory: holds ``keystone.conf``.
    """
    from keystone.cmd import cli  # noqa: F401  (the children find it imported)

    configuration = directory / "keystone.conf"
    _manage(configuration, "db_sync")
    # Only root must say who owns the keys; whoever else runs this owns them.
    owner = ["--keystone-user", pwd.getpwuid(0).pw_name, "--keystone-group", grp.getgrgid(0).gr_name] if os.geteuid() == 0 else []
    _manage(configuration, "fernet_setup", *owner)
    _manage(configuration, "credential_setup", *owner)
    _manage(configuration, "bootstrap", "--bootstrap-password", os.environ["KEYSTONE_ADMIN_PASSWORD"])


def serve(directory: Path, configuration: str, requests_file: Path) -> None:
    """Serve until standard input ends.

    :param directory: made by :func:`setup`.
    :param configuration: name of the configuration in it.
    :param requests_file: gets ``METHOD PATH STATUS`` for each request, before the answer is sent.
    """
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(directory)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = configuration
    # Keystone reads the process's arguments as its own.
    sys.argv = ["keystone"]
    from keystone.wsgi.api import application  # type: ignore[import-not-found, unused-ignore]
    from werkzeug.serving import WSGIRequestHandler, make_server  # type: ignore[import-not-found, unused-ignore]

    class Handler(WSGIRequestHandler):  # type: ignore[misc, unused-ignore]
        protocol_version = "HTTP/1.1"

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    book = requests_file.open("a", encoding="utf-8")

    def noted(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: Any, *rest: Any) -> Any:
            book.write(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {status[:3]}\n")
            book.flush()
            return start_response(status, headers, *rest)

        return application(environ, start)

    server = make_server("127.0.0.1", 0, noted, threaded=True, request_handler=Handler)

    def end_with_input() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_input, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "setup":
        setup(Path(sys.argv[2]))
    else:
        serve(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
