"""The calls that hand out keys that end: of STS, of IAM, of the metadata service of a server, and of a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, StringConstraints, ValidationError

from airflow_cbr.emulator.clock import moment_text
from airflow_cbr.emulator.error_responses import iam
from airflow_cbr.emulator.exchange import Answer, Call, Refusal
from airflow_cbr.emulator.key_parts import account_id_of
from airflow_cbr.emulator.oidc import IdTokenError, check_id_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.agencies import Agency, EndingKey
    from airflow_cbr.emulator.clock import Clock
    from airflow_cbr.emulator.iam import Iam
    from airflow_cbr.emulator.ids import Ids
    from airflow_cbr.emulator.switches import Switches
    from airflow_cbr.emulator.world import World

KEY_ROUTES: Final = (
    ("CreateTemporaryAccessKey", "POST", "/v3.0/OS-CREDENTIAL/securitytokens"),
    ("AssumeAgency", "POST", "/v5/agencies/assume"),
    ("AssumeAgencyWithOIDC", "POST", "/v5/agencies/assume-with-oidc"),
    ("GetMetadataToken", "PUT", "/meta-data/latest/api/token"),
    ("GetSecurityKey", "GET", "/openstack/latest/securitykey"),
    ("GetPodIdentityCredentials", "POST", "/pod-identity/credentials"),
)
"""Name, method and path of the calls that hand out keys. The first has two published names, for what its body asks by."""

_LONGEST_CHAINED: Final = 3600
_LONGEST_METADATA_TOKEN: Final = 21600
_SessionName = Annotated[str, StringConstraints(strict=True, min_length=2, max_length=128, pattern=r"^[\w+=,.@-]*$")]
_Body = TypeVar("_Body", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _AssumeAgency(_Strict):
    agency_urn: StrictStr = Field(max_length=1500)
    agency_session_name: _SessionName
    duration_seconds: StrictInt = Field(default=3600, ge=900, le=43200)


class _AssumeAgencyWithOidc(_AssumeAgency):
    provider_urn: StrictStr = Field(max_length=1500)
    id_token: StrictStr


class _Role(_Strict):
    agency_name: StrictStr
    domain_name: StrictStr | None = None
    domain_id: StrictStr | None = None
    duration_seconds: StrictInt = Field(default=900, ge=900, le=86400)


class _TokenPart(_Strict):
    id: StrictStr | None = None
    duration_seconds: StrictInt = Field(default=900, ge=900, le=86400)


class _Identity(_Strict):
    methods: list[str] = Field(min_length=1, max_length=1)
    assume_role: _Role | None = None
    token: _TokenPart = _TokenPart()


class _Auth(_Strict):
    identity: _Identity


class _KeyRequest(_Strict):
    auth: _Auth


class KeyCalls:
    """The calls that hand out keys, by their names.

    :param world: where keys come from.
    :param identity: users, agencies and keys.
    :param clock: simulated time.
    :param switches: how long keys last.
    :param ids: where metadata tokens come from.
    """

    def __init__(self, world: World, identity: Iam, *, clock: Clock, switches: Switches, ids: Ids) -> None:
        self._iam = identity
        self._clock = clock
        self._switches = switches
        self._ids = ids
        self._providers = {f"iam::{account_id_of(world.account)}:oidc-provider:{part.name}": part for part in world.oidc_providers}
        self.server = world.server.model_copy()
        self.pod = None if world.pod is None else world.pod.model_copy()
        self._metadata_tokens: dict[str, float] = {}
        self._server_key: EndingKey | None = None
        self.by_name: dict[str, Callable[[Call], Answer]] = {
            "CreateTemporaryAccessKey": self.create_key,
            "AssumeAgency": self.assume,
            "AssumeAgencyWithOIDC": self.assume_with_oidc,
            "GetMetadataToken": self.metadata_token,
            "GetSecurityKey": self.security_key,
            "GetPodIdentityCredentials": self.pod_credentials,
        }

    # --- IAM 3 --------------------------------------------------------------------------------------------------------

    def create_key(self, call: Call) -> Answer:
        """Hand out a key by a token, or by an agency that is assumed."""
        caller = self._iam.caller(call, None)
        try:
            identity = _KeyRequest.model_validate(call.json).auth.identity
        except ValidationError:
            raise iam(400, "The request body is invalid") from None
        if identity.methods == ["token"]:
            if caller.token is None:
                raise iam(401, "The request you have made requires authentication.")
            return self._iam_answer(self._iam.agencies.issue(caller.user, identity.token.duration_seconds))
        role = identity.assume_role
        if identity.methods != ["assume_role"] or role is None or (role.domain_name is None and role.domain_id is None):
            raise iam(400, "The request body is invalid")
        agency = self._iam.agencies.of_account(role.domain_name or role.domain_id or "", role.agency_name)
        if agency is None:
            raise iam(404, f"Could not find agency: {role.agency_name}.")
        if not agency.is_trusted_to(caller.user.name):
            raise iam(403, "You are not authorized to perform the requested action: assume the agency.")
        return self._iam_answer(self._iam.agencies.issue(agency, role.duration_seconds))

    def _iam_answer(self, key: EndingKey) -> Answer:
        return Answer.of({"credential": _in_iams_words(key)}, 201)

    # --- STS 5 --------------------------------------------------------------------------------------------------------

    def assume(self, call: Call) -> Answer:
        """Let the caller take an agency on; a signature is needed, no token."""
        if "x-auth-token" in call.headers:
            raise _sts(401, "STS5.1002", "The request must be signed with an access key.")
        caller = self._iam.caller(call, None)
        body = _read(call, _AssumeAgency)
        agency = self._agency(body.agency_urn)
        if not agency.is_trusted_to(caller.user.name):
            raise _sts(403, "STS5.1003", "You are not authorized to perform: sts:agencies:assume")
        if body.duration_seconds > agency.longest_seconds:
            raise _sts(400, "STS5.1001", "duration_seconds is longer than the agency allows")
        if caller.key is not None and body.duration_seconds > _LONGEST_CHAINED:
            raise _sts(400, "STS5.1001", "duration_seconds must not exceed 3600 with a security token")
        return self._sts_answer(agency, body)

    def assume_with_oidc(self, call: Call) -> Answer:
        """Let the bearer of an id token take an agency on; nothing is signed."""
        body = _read(call, _AssumeAgencyWithOidc)
        provider = self._providers.get(body.provider_urn)
        if provider is None:
            raise _sts(404, "STS5.1004", "The identity provider does not exist")
        try:
            claims = check_id_token(body.id_token, provider, self._clock.now())
        except IdTokenError as error:
            raise _sts(403, "STS5.1003", f"The id token is not accepted: {error}") from None
        agency = self._agency(body.agency_urn)
        if not agency.is_trusted_to(provider.name):
            raise _sts(403, "STS5.1003", "The agency does not trust the identity provider")
        if body.duration_seconds > agency.longest_seconds:
            raise _sts(400, "STS5.1001", "duration_seconds is longer than the agency allows")
        return self._sts_answer(agency, body, subject=str(claims.get("sub")))

    def _agency(self, urn: str) -> Agency:
        agency = self._iam.agencies.by_urn(urn)
        if agency is None:
            raise _sts(404, "STS5.1004", "The agency does not exist")
        return agency

    def _sts_answer(self, agency: Agency, body: _AssumeAgency, subject: str | None = None) -> Answer:
        key = self._iam.agencies.issue(agency, body.duration_seconds)
        account = account_id_of(agency.account)
        content: dict[str, Any] = {
            "assumed_agency": {
                "urn": f"sts::{account}:assumed-agency:{agency.name}/{body.agency_session_name}",
                "id": f"{agency.id}:{body.agency_session_name}",
            },
            "credentials": {
                "access_key_id": key.access_key,
                "secret_access_key": key.secret_key,
                "security_token": key.security_token,
                "expiration": f"{moment_text(key.ends_at)}Z",
            },
        }
        return Answer.of(content if subject is None else content | {"subject": subject})

    # --- the metadata service -----------------------------------------------------------------------------------------

    def metadata_token(self, call: Call) -> Answer:
        """Give a token for the metadata service, as text."""
        if not self.server.metadata_tokens:
            return Answer(404, b"Not Found", content_type="text/plain")
        seconds = call.headers.get("x-metadata-token-ttl-seconds", "")
        if not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds[:9]) <= _LONGEST_METADATA_TOKEN:
            return Answer(400, b"Bad Request", content_type="text/plain")
        token = self._ids.hex32()
        now = self._clock.now()
        self._metadata_tokens = {one: until for one, until in self._metadata_tokens.items() if until > now}
        self._metadata_tokens[token] = now + int(seconds)
        return Answer(200, token.encode(), content_type="text/plain")

    def security_key(self, call: Call) -> Answer:
        """Give the key of the server's agency: the same one until it is due to be renewed."""
        now = self._clock.now()
        if self.server.metadata_tokens and self._metadata_tokens.get(call.headers.get("x-metadata-token", ""), 0.0) <= now:
            return Answer(401, b"Unauthorized", content_type="text/plain")
        agency = self._iam.agencies.by_name.get(self.server.agency or "")
        if agency is None:
            return Answer(401, b"Please configure Cloud Service Agency first", content_type="text/plain")
        key = self._server_key
        if key is None or key.holder is not agency or key.ends_at - now < self._switches.key_overlap_seconds:
            key = self._server_key = self._iam.agencies.issue(agency, self._switches.key_seconds)
        return Answer.of({"credential": _in_iams_words(key)})

    # --- a pod --------------------------------------------------------------------------------------------------------

    def pod_credentials(self, call: Call) -> Answer:
        """Give the key of the pod's agency to who brings what is in the pod's token file."""
        pod = self.pod
        agency = None if pod is None else self._iam.agencies.by_name.get(pod.agency)
        if pod is None or agency is None:
            return Answer.of({"error_msg": "no pod identity association"}, 404)
        if call.headers.get("authorization") != pod.token:
            return Answer.of({"error_msg": "the token is not accepted"}, 401)
        return Answer.of({"credential": _in_iams_words(self._iam.agencies.issue(agency, self._switches.key_seconds))})


def _in_iams_words(key: EndingKey) -> dict[str, str]:
    return {
        "access": key.access_key,
        "secret": key.secret_key,
        "securitytoken": key.security_token,
        "expires_at": f"{moment_text(key.ends_at)}Z",
    }


def _read(call: Call, body: type[_Body]) -> _Body:
    try:
        return body.model_validate(call.json)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _sts(400, "STS5.1001", f"Invalid parameter: {where}") from None


def _sts(status: int, code: str, message: str) -> Refusal:
    content = {"error_code": code, "error_msg": message}
    return Refusal(status, content | ({"encoded_authorization_message": ""} if status == 403 else {}))
