"""Who calls, and whether they may: passwords, tokens and signed requests, as IAM and the gateway judge them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from airflow_cbr.emulator.bodies import Auth, NamedDomain, ScopedProject, TokenRequest
from airflow_cbr.emulator.bounds import MOST_TOKENS
from airflow_cbr.emulator.clock import Clock, moment_text
from airflow_cbr.emulator.error_responses import gateway, iam
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.parts import describe
from airflow_cbr.emulator.signature import Authorization, SignatureError, verify
from airflow_cbr.emulator.store import Project, Store, WorldError
from airflow_cbr.emulator.users import User, held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.emulator.agencies import Agencies, Agency, EndingKey
    from airflow_cbr.emulator.exchange import Call, Refusal
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.switches import Switches

FAILURES_ALLOWED: Final = 5
LOCK_SECONDS: Final = 5 * 60.0


@dataclass(slots=True)
class Token:
    """A token; scoped to one project, or to the whole account."""

    value: str = field(repr=False)
    user: User
    project_id: str | None
    issued_at: float
    expires_at: float


@dataclass(frozen=True)
class Principal:
    """Who made a call, and by what."""

    user: User | Agency
    token: Token | None = None
    key: EndingKey | None = None
    """The key that ends, if it was signed with one."""

    @property
    def name(self) -> str:
        """Return the name and the means, as the ledger shows them."""
        return f"{self.user.name} ({self._means()})"

    def _means(self) -> str:
        if self.token is not None:
            return "token"
        return self.key.access_key if self.key is not None else self.user.access_key if isinstance(self.user, User) else "key"


class Iam:
    """Users and tokens of one account, and agencies of any.

    :param account: the account's name.
    :param users: its users.
    :param agencies: the agencies, and the keys that end.
    :param store: the projects.
    :param clock: simulated time.
    :param switches: the switches.
    :param ids: where ids and tokens come from.
    """

    def __init__(
        self, *, account: str, users: list[UserPart], agencies: Agencies, store: Store, clock: Clock, switches: Switches, ids: Ids
    ) -> None:
        self.account = account
        self.account_id = ids.hex32()
        self.agencies = agencies
        self._store = store
        self._clock = clock
        self._switches = switches
        self._ids = ids
        self.users = {part.name: User(id=ids.hex32(), **held(part)) for part in users}
        self.tokens: dict[str, Token] = {}

    # --- who calls ------------------------------------------------------------------------------------------------

    def caller(self, call: Call, project: Project | None) -> Principal:
        """Judge who calls.

        :param call: the call.
        :param project: the project that the call is about; None for calls to IAM.
        :raises Refusal: 401 or 403 of the gateway.
        """
        caller = self._by_token(call) if "x-auth-token" in call.headers else self._by_signature(call, project)
        user = caller.user
        if project is not None:
            token = caller.token
            if token is not None and token.project_id != project.id:
                raise gateway("APIG.0302", "The token is not scoped to this project.", 403)
            named = call.headers.get("x-project-id")
            if named is not None and named != project.id:
                raise gateway("APIG.0302", "X-Project-Id is not the project of the path.", 403)
            if not user.may_use(project.id):
                raise gateway("APIG.0302", "The IAM user has no access to this project.", 403)
        if call.name in user.denied_calls:
            raise gateway("APIG.0302", f"The IAM user is not authorized for {call.name}.", 403)
        return caller

    def scope_of(self, call: Call) -> str | None:
        """Return the project that a call's token is scoped to, or that a signed call names, without judging either.

        :param call: the call.
        """
        token = self.tokens.get(call.headers.get("x-auth-token", ""))
        return token.project_id if token is not None else call.headers.get("x-project-id")

    def _by_token(self, call: Call) -> Principal:
        token = self.tokens.get(call.headers["x-auth-token"])
        if token is None:
            raise gateway("APIG.0301", "Incorrect IAM authentication information: decrypt token fail", 401)
        if token.expires_at <= self._clock.now():
            raise gateway("APIG.0307", "The token must be updated.", 401)
        return Principal(token.user, token=token)

    def _by_signature(self, call: Call, project: Project | None) -> Principal:
        header = call.headers.get("authorization")
        if header is None:
            raise gateway("APIG.0301", "Incorrect IAM authentication information: x-auth-token not found", 401)
        try:
            authorization = Authorization.read(header)
        except SignatureError as error:
            raise _unauthenticated(error) from None
        key = self.agencies.keys.get(authorization.access_key)
        if key is not None:
            return self._by_ending_key(call, project, authorization, key)
        user = next((user for user in self.users.values() if user.access_key == authorization.access_key), None)
        if user is None:
            raise gateway("APIG.0301", f"Incorrect IAM authentication information: ak {authorization.access_key} not exist", 401)
        if user.keys_locked_until > self._clock.now():
            raise gateway("APIG.0301", "Incorrect IAM authentication information: AK access failed to reach the limit, forbidden", 401)
        try:
            self._verify(call, project, authorization, user)
        except SignatureError as error:
            user.signature_failures += 1
            if user.signature_failures > FAILURES_ALLOWED:
                user.signature_failures = 0
                user.keys_locked_until = self._clock.now() + LOCK_SECONDS
            raise _unauthenticated(error) from None
        user.signature_failures = 0
        return Principal(user)

    def _by_ending_key(self, call: Call, project: Project | None, authorization: Authorization, key: EndingKey) -> Principal:
        try:
            self._verify(call, project, authorization, key)
        except SignatureError as error:
            raise _unauthenticated(error) from None
        if key.ends_at <= self._clock.now():
            raise gateway("APIG.0301", "Incorrect IAM authentication information: the security token has expired", 401)
        return Principal(key.holder, key=key)

    def _verify(self, call: Call, project: Project | None, authorization: Authorization, keys: User | EndingKey) -> None:
        judged_at = self._clock.real() if self._switches.signature_clock == "real" else self._clock.now()
        if project is not None:
            judged_at += self._store.clocks_ahead.get(project.region, 0.0)
        verify(
            authorization,
            secret_key=keys.secret_key,
            security_token=keys.security_token,
            method=call.method,
            raw_path=call.raw_path,
            raw_query=call.raw_query,
            headers=call.headers,
            body=call.body,
            now=judged_at,
        )

    # --- tokens ---------------------------------------------------------------------------------------------------

    def issue(self, call: Call) -> Token:
        """Issue a token for a name and a password.

        :param call: the call; its body holds both.
        :raises Refusal: 400, 401, 403 or 404 in IAM's shape.
        """
        try:
            auth = TokenRequest.model_validate(call.json).auth
        except ValidationError:
            raise iam(400, "The request body is invalid") from None
        if auth.identity.methods != ["password"]:
            raise iam(400, "The request body is invalid")
        user = self._by_password(auth)
        project = self._scope(auth, user)
        now = self._clock.now()
        token = Token(self._ids.token(), user, project.id if project else None, now, now + self._switches.token_seconds)
        self.tokens[token.value] = token
        if len(self.tokens) > MOST_TOKENS:
            del self.tokens[next(iter(self.tokens))]
        return token

    def _by_password(self, auth: Auth) -> User:
        asker = auth.identity.password.user
        user = self.users.get(asker.name)
        wrong = iam(401, "The username or password is wrong.")
        if user is None or not self._is_account(asker.domain):
            raise wrong
        if user.password_locked_until > self._clock.now():
            raise iam(401, "The account is locked.")
        if user.password != asker.password:
            user.password_failures += 1
            if user.password_failures > FAILURES_ALLOWED:
                user.password_failures = 0
                user.password_locked_until = self._clock.now() + LOCK_SECONDS
            raise wrong
        user.password_failures = 0
        return user

    def _scope(self, auth: Auth, user: User) -> Project | None:
        if auth.scope.project is None:
            if auth.scope.domain is not None and not self._is_account(auth.scope.domain):
                raise iam(404, "The account does not exist.")
            return None
        project = self._project(auth.scope.project)
        if not user.may_use(project.id):
            raise iam(403, "You have no access to the project.")
        return project

    def _project(self, asked: ScopedProject) -> Project:
        if asked.domain is not None and not self._is_account(asked.domain):
            raise iam(404, "The account does not exist.")
        if asked.id is not None:
            found = [project for project in self._store.projects.values() if project.id == asked.id]
        else:
            found = [project for project in self._store.projects.values() if project.name == asked.name]
        if not found:
            raise iam(404, "The project does not exist.")
        return found[0]

    def _is_account(self, domain: NamedDomain) -> bool:
        return domain.name == self.account or domain.id == self.account_id

    def show(self, call: Call) -> Token:
        """Find the token that ``X-Subject-Token`` names.

        :param call: the call.
        :raises Refusal: 404 in IAM's shape.
        """
        token = self.tokens.get(call.headers.get("x-subject-token", ""))
        if token is None or token.expires_at <= self._clock.now():
            raise iam(404, "X-Subject-Token is invalid in the request")
        return token

    def end_tokens(self, *, value: str | None = None, user: str | None = None, expire: bool = False) -> int:
        """Revoke tokens, or let them expire.

        :param value: only this one. Default: None.
        :param user: only this user's. Default: None, everybody's.
        :param expire: they expire now instead of being unknown from now on. Default: False.
        :return: how many.
        """
        chosen = [
            token for token in self.tokens.values() if (value is None or token.value == value) and (user is None or token.user.name == user)
        ]
        for token in chosen:
            if expire:
                token.expires_at = min(token.expires_at, self._clock.now())
            else:
                del self.tokens[token.value]
        return len(chosen)

    def change_user(self, user: User, changes: Mapping[str, Any]) -> None:
        """Change a user: rotate keys or the password (which revokes their tokens), or what they may do.

        :param user: the user.
        :param changes: new values by the keys of a world's user; ``name`` cannot be changed.
        :raises WorldError: a key is unknown, or a value is wrong.
        """
        now = {key: getattr(user, key) for key in UserPart.model_fields}
        try:
            part = UserPart.model_validate(now | dict(changes) | {"name": user.name})
        except ValidationError as error:
            raise WorldError(f"user: {describe(error)}") from None
        if any(other.access_key == part.access_key for other in self.users.values() if other is not user):
            raise WorldError(f"user: access key {part.access_key} exists already")
        if part.password != user.password:
            self.end_tokens(user=user.name)
        for key, value in held(part).items():
            setattr(user, key, value)

    # --- how IAM writes it ------------------------------------------------------------------------------------------

    def token_row(self, token: Token, catalog_base: str | None) -> dict[str, Any]:
        """Return the ``token`` object.

        :param token: the token.
        :param catalog_base: where this service listens, for the catalog; None leaves the catalog out.
        """
        domain = {"id": self.account_id, "name": self.account}
        row: dict[str, Any] = {
            "methods": ["password"],
            "issued_at": _iam_time(token.issued_at),
            "expires_at": _iam_time(token.expires_at),
            "user": {"id": token.user.id, "name": token.user.name, "domain": domain, "password_expires_at": ""},
            "roles": [{"id": "0", "name": "te_admin"}],
        }
        project = self._store.projects.get(token.project_id or "")
        if project is not None:
            row["project"] = {"id": project.id, "name": project.name, "domain": domain}
        else:
            row["domain"] = domain
        if catalog_base is not None:
            row["catalog"] = self._catalog(catalog_base, project)
        return row

    def _catalog(self, base: str, project: Project | None) -> list[dict[str, Any]]:
        def service(name: str, kind: str, region: str, url: str) -> dict[str, Any]:
            endpoint = {"id": f"{kind}-{region}", "interface": "public", "region": region, "region_id": region, "url": url}
            return {"id": kind, "name": name, "type": kind, "endpoints": [endpoint]}

        services = [service("iam", "identity", "*", f"{base}/v3")]
        if project is not None:
            services.append(service("cbr", "cbr", project.region, f"{base}/v3/{project.id}"))
        return services

    def projects_of(self, user: User | Agency) -> list[Project]:
        """Return the projects that a user or an agency may see.

        :param user: the user or agency.
        """
        return [project for project in self._store.projects.values() if user.may_use(project.id)]


def _iam_time(moment: float) -> str:
    return f"{moment_text(moment)}Z"


def _unauthenticated(error: SignatureError) -> Refusal:
    text = str(error)
    return gateway("APIG.0301", f"Incorrect IAM authentication information: {text}", 401)
