"""A real OpenStack Keystone as IAM: an implementation of the identity API that shares nothing with this project's client or emulator.

Keystone has far too many dependencies to share an environment with Airflow, so it gets one of its own, ``.venv-keystone`` beside
``.venv``. It is made on first use, by name from the package index that the user has configured, and kept. Nothing here is ever skipped:
an installation or a start that fails is a failure of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests

from airflow_cbr.emulator.world import World, default_world
from tests.support.exclusively import alone_in

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).with_name("keystone_program.py")
REQUIREMENT = "keystone==30.0.0"
ENVIRONMENT = REPOSITORY / ".venv-keystone"

#: The account, as Huawei Cloud calls a domain.
ACCOUNT = "acme"
_INSTALL_LIMIT = 600.0
_START_LIMIT = 90.0
_CALL_LIMIT = 30.0


class KeystoneError(AssertionError):
    """Keystone could not be installed, started or prepared."""


def installed(environment: Mapping[str, str], folder: Path = ENVIRONMENT) -> Path:
    """Return the Python of Keystone's environment; install it first if need be.

    :param environment: the user's own environment variables: the package client's settings and cache are there.
    :param folder: where the environment is, or is made.
    :raises KeystoneError: the installation failed; the message holds what the package client said.
    """
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = f"{REQUIREMENT} on Python {sys.version_info.major}.{sys.version_info.minor}"
    with alone_in(folder.parent):
        if stamp.is_file() and stamp.read_text() == wanted and _runs([str(python), "--version"], environment):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        if _runs(["uv", "--version"], environment):
            environment = {**environment, **_without_cache(environment)}
            _run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], environment)
            _run(["uv", "pip", "install", "--quiet", "--python", str(python), REQUIREMENT], environment)
        else:
            # A pip of its own, and byte code of thousands of modules of which few are imported, would cost some twenty seconds of a run.
            pip = [sys.executable, "-m", "pip"]
            shared = _runs([*pip, "--version"], environment)
            _run([sys.executable, "-m", "venv", *(["--without-pip"] if shared else []), str(folder)], environment)
            pip = [*pip, "--python", str(python)] if shared else [str(python), "-m", "pip"]
            _run([*pip, "install", "--quiet", "--no-compile", REQUIREMENT], environment)
        stamp.write_text(wanted)
    return python


def _runs(command: list[str], environment: Mapping[str, str]) -> bool:
    try:
        return subprocess.run(command, env=dict(environment), capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        return False


def _without_cache(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what makes uv work where it cannot write to its cache; unlike pip, it gives up there."""
    asked = subprocess.run(["uv", "cache", "dir"], env=dict(environment), capture_output=True, text=True, timeout=60, check=True)
    cache = Path(asked.stdout.strip())
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {"UV_NO_CACHE": "1"}
    return {} if os.access(cache, os.W_OK) else {"UV_NO_CACHE": "1"}


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    # "user = true" in a pip.conf would refuse to install into a virtual environment.
    variables = {**environment, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_INSTALL_LIMIT, check=False)
    if done.returncode != 0:
        raise KeystoneError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


@dataclass(frozen=True)
class Person:
    """An IAM user of :data:`ACCOUNT`."""

    id: str
    name: str
    password: str


class Keystone:
    """A Keystone with one account that has one project for each region, named after it, as Huawei Cloud's default projects are.

    :param python: the Python of Keystone's environment.
    :param directory: an empty folder for its database and keys.
    :param regions: ids of the regions.
    """

    def __init__(self, python: Path, directory: Path, regions: list[str]) -> None:
        self._python = python
        self._directory = directory
        self._requests_file = directory / "requests.log"
        self._admin_password = uuid.uuid4().hex
        self.projects: dict[str, str] = dict.fromkeys(regions, "")
        self._session = requests.Session()
        self._session.trust_env = False
        self._role = self._domain = self.url = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set it up, serve it while the block runs, and stop it."""
        self._write_configuration("keystone.conf", token_seconds=3600)
        self._set_up()
        with self.serving("keystone.conf") as self.url:
            self._prepare()
            yield
        self._session.close()

    @contextmanager
    def with_tokens_of(self, seconds: int) -> Iterator[str]:
        """Serve the same account once more, with tokens of another lifetime, while the block runs.

        :param seconds: lifetime of a token.
        :return: the base URL.
        """
        name = f"tokens-of-{seconds}-seconds.conf"
        self._write_configuration(name, token_seconds=seconds)
        with self.serving(name) as url:
            yield url

    def world(self) -> World:
        """Return the emulator's default world, with the projects that Keystone made."""
        text = default_world().model_dump_json()
        for project in default_world().projects:
            text = text.replace(str(project.id), self.projects[project.region])
        return World.model_validate_json(text)

    # --- the people -------------------------------------------------------------------------------------------------------

    def new_person(self, *, regions: list[str] | None = None) -> Person:
        """Add a user with a name of their own: tokens are cached by user, so each test brings a new one.

        :param regions: the regions whose projects the user may use. Default: all.
        """
        name, password = f"backup-bot-{uuid.uuid4().hex[:12]}", f"pass word-{uuid.uuid4().hex}"
        user = self._ask("POST", "/v3/users", {"user": {"name": name, "password": password, "domain_id": self._domain}})["user"]
        for region in self.projects if regions is None else regions:
            self._ask("PUT", f"/v3/projects/{self.projects[region]}/users/{user['id']}/roles/{self._role}")
        return Person(user["id"], name, password)

    def change_password(self, person: Person, password: str) -> None:
        """Change somebody's password, which ends their tokens."""
        self._ask("PATCH", f"/v3/users/{person.id}", {"user": {"password": password}})

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self._ask("DELETE", "/v3/auth/tokens", subject=token)

    def token_of(self, value: str, *, url: str = "") -> dict[str, Any] | None:
        """Return what Keystone says of a token; None when it does not accept it.

        :param value: the token.
        :param url: the Keystone to ask. Default: the first one.
        """
        answer = self._session.get(
            f"{url or self.url}/v3/auth/tokens?nocatalog",
            headers={"X-Auth-Token": self._admin_token(), "X-Subject-Token": value},
            timeout=_CALL_LIMIT,
        )
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise KeystoneError(f"validation of a token: {answer.status_code} {answer.text}")
        token: dict[str, Any] = answer.json()["token"]
        return token

    def token_calls(self) -> list[int]:
        """Return the status of each request for a token so far, the administrator's own one not counted."""
        lines = [line.split() for line in self._requests_file.read_text().splitlines()]
        return [int(status) for method, path, status in lines if (method, path) == ("POST", "/v3/auth/tokens")][1:]

    # --- set-up -----------------------------------------------------------------------------------------------------------

    def _write_configuration(self, name: str, *, token_seconds: int) -> None:
        (self._directory / "policy.yaml").touch()
        (self._directory / name).write_text(
            f"""[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{self._directory}/keystone.db
[token]
expiration = {token_seconds}
[fernet_tokens]
key_repository = {self._directory}/fernet
[fernet_receipts]
key_repository = {self._directory}/fernet
[credential]
key_repository = {self._directory}/credential
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_rounds = 4
[oslo_policy]
policy_file = {self._directory}/policy.yaml
"""
        )

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "PYTHONWARNINGS": "ignore",
            "KEYSTONE_ADMIN_PASSWORD": self._admin_password,
        }

    def _set_up(self) -> None:
        command = [str(self._python), "-P", str(PROGRAM), "setup", str(self._directory)]
        done = subprocess.run(command, env=self._variables(), capture_output=True, text=True, timeout=_START_LIMIT, check=False)
        if done.returncode != 0:
            raise KeystoneError(f"Keystone could not be set up:\n{done.stderr[-4000:]}")

    @contextmanager
    def serving(self, configuration: str) -> Iterator[str]:
        """Serve one of the configurations while the block runs.

        :param configuration: its file name.
        :return: the base URL.
        """
        with tempfile.TemporaryFile("w+", dir=self._directory) as said:
            process = subprocess.Popen(
                [str(self._python), "-P", str(PROGRAM), "serve", str(self._directory), configuration, str(self._requests_file)],
                env=self._variables(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield f"http://127.0.0.1:{_first_line(process.stdout, process, said)}"
            finally:
                process.stdin.close()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                process.stdout.close()

    def _prepare(self) -> None:
        self._domain = self._ask("POST", "/v3/domains", {"domain": {"name": ACCOUNT}})["domain"]["id"]
        self._role = self._ask("POST", "/v3/roles", {"role": {"name": "te_admin"}})["role"]["id"]
        for region in self.projects:
            project = self._ask("POST", "/v3/projects", {"project": {"name": region, "domain_id": self._domain}})
            self.projects[region] = project["project"]["id"]

    def _admin_token(self) -> str:
        if "X-Auth-Token" not in self._session.headers:
            domain = {"name": "Default"}
            user = {"name": "admin", "password": self._admin_password, "domain": domain}
            body = {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": "admin", "domain": domain}},
            }
            answer = self._session.post(f"{self.url}/v3/auth/tokens", json={"auth": body}, timeout=_CALL_LIMIT)
            if answer.status_code != 201:
                raise KeystoneError(f"the administrator's token: {answer.status_code} {answer.text}")
            self._session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        return str(self._session.headers["X-Auth-Token"])

    def _ask(self, method: str, path: str, content: Any = None, *, subject: str | None = None) -> dict[str, Any]:
        headers = {"X-Auth-Token": self._admin_token()} | ({"X-Subject-Token": subject} if subject else {})
        answer = self._session.request(method, self.url + path, json=content, headers=headers, timeout=_CALL_LIMIT)
        if answer.status_code >= 300:
            raise KeystoneError(f"{method} {path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json() if answer.content else {}
        return result


def _first_line(stdout: IO[str], process: subprocess.Popen[str], said: IO[str]) -> int:
    """Return the port that the program prints when it is ready."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(_START_LIMIT)
    if not lines or not lines[0].strip().isdigit():
        if process.poll() is None:
            process.kill()
        process.wait()
        said.seek(0)
        raise KeystoneError(f"Keystone did not start:\n{said.read()[-4000:]}")
    return int(lines[0])
