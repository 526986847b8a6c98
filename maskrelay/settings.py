"""What can be set, read from the environment once, at the root of a process, into one frozen value.

A field `score_timeout` of type timedelta is read from `MASKRELAY_SCORE_TIMEOUT_S` as a number of seconds, every
other field `x` from `MASKRELAY_X`. A secret may also lie in a file, which `MASKRELAY_X_FILE` then names. An unknown
`MASKRELAY_*` name is an error, so that a slip of the pen never runs with a default.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from maskrelay.errors import SettingsError

PREFIX = "MASKRELAY_"
#: Read by the commands and by the embedded stack; every process knows them, none of the services uses them.
CLIENT_NAMES = {
    "MASKRELAY_URL": "Where the client finds the service (default `http://127.0.0.1:8080`).",
    "MASKRELAY_API_KEY": "The client's API key; the embedded stack makes it the key of tenant `local`.",
    "MASKRELAY_AZURE_URL": "`maskrelay endpoint`: another control plane than `https://management.azure.com`.",
    "MASKRELAY_AZURE_TOKEN": "`maskrelay endpoint`: a token for it, in the place of the machine's identity.",
}

#: Frames that a segment child has in hand at least, where nothing else is set.
LEAST_HANDS = 8

#: What Kubernetes puts into each container for a service of our name, unless the pod says enableServiceLinks: false.
_SERVICE_LINK = re.compile(
    r"MASKRELAY_(?:[A-Z0-9_]+_)?(?:SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|PORT(?:_[0-9]+_(?:TCP|UDP)(?:_[A-Z]+)?)?)"
)


def _seconds(value: Any) -> Any:
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))


def _names(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


class Settings(BaseModel):
    """Every setting of the API and of the workers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: SecretStr = Field(
        description="The ledger: Redis ≥ 7 or Valkey. `redis://`, `rediss://`, or "
        "`redis+sentinel://user:password@host:port,host:port/master/database`."
    )
    redis_cert_file: str | None = Field(
        None, description="A client certificate for a Redis that asks for one (PEM; `rediss://`)."
    )
    redis_cert_key_file: str | None = Field(
        None, description="Its private key, unencrypted, where the certificate's file does not hold it."
    )
    ca_file: str | None = Field(
        None,
        description="A PEM file of certificate authorities that every TLS connection trusts in addition to the "
        "system's; `SSL_CERT_FILE` names others in the place of the system's. The client reads it too.",
    )
    storage_url: str = Field(description="Where results live: `file:///folder` or `s3://bucket/prefix`.")
    s3_endpoint_url: str | None = Field(None, description="An S3-compatible server other than AWS.")
    server_key: SecretStr = Field(
        min_length=32, description="Seals callback secrets and derives job ids; ≥ 32 characters."
    )
    server_key_before: SecretStr | None = Field(
        None, min_length=32, description="The server key before it was changed, for as long as jobs of its time run."
    )
    keys_file: str | None = Field(
        None,
        description='API keys: a JSON list of `{"tenant", "sha256", "scopes"}`, perhaps with `"name"`, `"not_before"` '
        'and `"not_after"` (ISO 8601 with an offset), and `"quotas"` (of `jobs`, `frames`, `interactive`, `bytes`, '
        "where they differ from the settings); several a tenant; read again on change.",
    )
    oidc_issuer: str | None = Field(
        None, description="Takes the bearer tokens of this OpenID Connect issuer too; its URL, exactly as in `iss`."
    )
    oidc_audience: str | None = Field(None, description="What `aud` of a token must name; needed with an issuer.")
    oidc_tenant_claim: str = Field("tenant", description="The claim of a token that names the tenant.")
    oidc_scopes_claim: str = Field("scope", description="The claim with the scopes: text with blanks, or a list.")
    metrics_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="What `/metrics` and `/v1/scaling` ask for as a bearer token; without one, everyone who reaches "
        "the API may read them.",
    )
    public_url: str | None = Field(None, description="How callers reach the API; used in links.")
    cors_origins: Names = Field(
        (), description="Web origins whose pages may call the API, by commas: `https://app.example`; none unless set."
    )
    callback_allow: Names = Field(
        (),
        description="Hosts, addresses and networks that callbacks may reach beside public ones, each perhaps with the "
        "one port that it is allowed for (`pacs.example:8443`), by commas.",
    )
    callback_proxy: SecretStr | None = Field(
        None,
        description="The HTTP proxy that callbacks go through, `http://user:password@host:port`. It looks names up, so "
        "it must keep callbacks from inner addresses. The environment's proxies are not used for callbacks.",
    )
    callback_cert_file: str | None = Field(
        None, description="A client certificate (PEM) for receivers of callbacks that ask for one."
    )
    callback_cert_key_file: str | None = Field(
        None, description="Its private key, unencrypted, where the certificate's file does not hold it."
    )

    endpoint_url: str | None = Field(None, description="The scoring URI of the Azure ML endpoint; ends in `/score`.")
    endpoint_auth: Literal["key", "aml_token", "entra"] = Field(
        "key", description="How the endpoint is asked: its key, an Azure ML token, or an Entra token (extra `azure`)."
    )
    endpoint_key: SecretStr | None = Field(None, description="The endpoint's key.")
    endpoint_key_file: str | None = Field(
        None, description="A file with the endpoint's key in the place of the key itself; read again on change."
    )
    endpoint_token_url: str | None = Field(
        None, description="For `aml_token`: the control plane's address of the endpoint's token, which Entra opens."
    )
    endpoint_proxy: SecretStr | None = Field(
        None,
        description="The HTTP proxy on the way to the endpoint and its tokens, `http://user:password@host:port`. "
        "Without it `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.",
    )
    endpoint_cert_file: str | None = Field(
        None, description="A client certificate (PEM) for an endpoint, or a gateway before it, that asks for one."
    )
    endpoint_cert_key_file: str | None = Field(
        None, description="Its private key, unencrypted, where the certificate's file does not hold it."
    )
    endpoint_deployment: str | None = Field(None, description="Pin one deployment by its name.")
    endpoint_model_version: str = Field("1", description="The model's version; recorded with every outcome.")
    endpoint_encoding: Literal["probability", "binary01"] = Field(
        "probability", description="What the endpoint's maps hold."
    )
    endpoint_max_in_flight: int = Field(2, ge=1, description="Hard cap on scores in flight, over all workers.")
    endpoint_concurrency: int | None = Field(
        None, ge=1, description="Scores in flight that the deployments declare to bear: where the limit starts."
    )
    endpoint_max_requests_per_s: float = Field(
        500, gt=0, description="Hard cap on scores begun per second, over all workers."
    )
    endpoint_max_bytes_per_s: float = Field(
        5e6, gt=0, description="Hard cap on bytes per second, up and down together, over all workers."
    )
    endpoint_rows_per_request: int = Field(
        1, ge=1, le=256, description="Rows of one job that may share a request; a failed pack is bisected."
    )
    endpoint_max_request_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Largest request; a pack that would pass it is sent as several."
    )
    endpoint_prompts_per_score: int = Field(
        16, ge=1, description="Prompts that one score asks for; more of one frame are several scores."
    )
    endpoint_gray: bool = Field(
        default=False, description="Send gray sources as grayscale PNG: fewer bytes, where the model takes it."
    )
    endpoints_file: str | None = Field(
        None, description="Several endpoints in the place of one: a JSON list, see `docs/endpoints.md`."
    )

    max_body_bytes: int = Field(16 << 30, ge=1, description="Largest request body.")
    max_image_bytes: int = Field(4 << 30, ge=1, description="Largest single upload.")
    max_decode_bytes: int = Field(512 << 20, ge=1, description="Largest file that a worker opens.")
    max_source_bytes: int = Field(
        2 << 30, ge=1, description="Largest volume, once inflated, that a worker keeps a local copy of."
    )
    copies_bytes: int = Field(4 << 30, ge=1, description="Local copies of volumes that one child keeps.")
    copies_space_bytes: int = Field(
        6 << 30,
        ge=1 << 28,
        description="What all workers' local copies that share a place for temporary files (`TMPDIR`) may take there "
        "together; a copy for which there is no room waits.",
    )
    max_pixels: int = Field(100_000_000, ge=1, description="Most pixels of one image.")
    max_items: int = Field(10_000, ge=1, description="Most items of one job.")
    max_prompts: int = Field(16, ge=1, description="Most prompts of one item.")
    max_prompt_length: int = Field(200, ge=1, description="Longest prompt in characters.")

    tenant_jobs: int = Field(
        1000, ge=0, description="Most live jobs of a tenant; the keys file may say otherwise, here and below."
    )
    tenant_frames: int = Field(
        2_000_000, ge=0, description="Most frames of a tenant that wait or are in hand, as far as they are known."
    )
    tenant_interactive: int = Field(2000, ge=0, description="Most of those in the interactive lane.")
    tenant_bytes: int = Field(
        1 << 40, ge=0, description="Most bytes of a tenant's uploads that live jobs, or no jobs, use."
    )

    max_attempts: int = Field(3, ge=1, description="Attempts that may be held against a frame before it fails.")
    segment_children: int = Field(1, ge=1, description="Child processes of a segment worker.")
    codes_file: str | None = Field(
        None, description="Codes of DICOM segments by prompt, JSON: beside or instead of the built-in ones."
    )
    assemble_children: int = Field(1, ge=1, description="Child processes of an assemble worker.")
    control_children: int = Field(1, ge=1, description="Child processes of a control worker.")
    deliver_threads: int = Field(
        32, ge=1, description="Threads of a deliver worker; a tenant's callbacks take three quarters of them at most."
    )
    callbacks_per_host: int = Field(2, ge=1, description="Callbacks under way to one host.")
    hands: int | None = Field(
        None,
        ge=2,
        description="Frames that one segment child prepares, scores and draws at a time. Without it, as many as keep "
        "the endpoint busy by the stage times seen, 8 at least and within a memory of 512 MiB for their requests and "
        "answers; autoscaling counts with 8 then.",
    )
    hand_bytes: int = Field(
        512 << 20, ge=1, description="Bytes of source files that one segment child holds; a larger file is held alone."
    )
    decode_bytes: int = Field(
        2 << 30,
        ge=1 << 28,
        description="Memory that one child may use to decode and draw pictures, reckoned from their headers. What does "
        "not fit beside others waits until it is alone; what needs more than all of it fails (`decode_too_large`). "
        "A child uses about 1.5 GiB besides.",
    )
    part_frames: int = Field(
        16, ge=1, description="Outcomes that are written as one object at most, in the interactive lane."
    )
    part_wait: Seconds = Field(
        _s(0.2), description="How long an outcome waits for others to share its object, in the interactive lane."
    )
    bulk_part_frames: int = Field(
        64, ge=1, description="The same in the bulk lane, where files share an object too: what a crash scores again."
    )
    bulk_part_wait: Seconds = Field(_s(2), description="How long an outcome waits in the bulk lane.")

    score_timeout: Seconds = Field(_s(95), description="One score; above the deployment's own request timeout.")
    slot_lease: Seconds = Field(
        _s(120), description="How long a slot of the endpoint is kept for a score that never ended."
    )
    claim_lease: Seconds = Field(_s(60), description="How long frames stay with a worker that is not heard of.")
    renewal_period: Seconds = Field(_s(15), description="How often a worker renews its leases.")
    decode_timeout: Seconds = Field(_s(30), description="How long decoding one file may take.")
    task_budget: Seconds = Field(_s(30), description="How long one wake-up keeps a worker at work.")
    soft_shutdown: Seconds = Field(_s(150), description="How long a stopping worker may finish what it holds.")
    termination_grace: Seconds = Field(_s(180), description="When the platform kills a stopping worker.")
    visibility_timeout: Seconds = Field(_s(600), description="When Celery delivers an unacknowledged message again.")
    step_lease: Seconds = Field(
        _s(60), description="How long planning or finishing stays with a worker that is not heard of."
    )
    callback_timeout: Seconds = Field(_s(15), description="One callback.")
    delivery_lease: Seconds = Field(_s(45), description="How long a callback stays with a worker that is not heard of.")
    sweep_period: Seconds = Field(_s(5), description="How often lost work is looked for.")
    reconcile_period: Seconds = Field(
        _s(600), description="How often storage and ledger are compared without a reason."
    )

    result_lifetime: Seconds = Field(
        _s(30 * 86400), gt=_s(0), description="How long a job is kept after its end; then it is gone, and 410."
    )
    upload_lifetime: Seconds = Field(
        _s(86400), ge=_s(7200), description="How long an upload waits for a job; the last hour it is refused."
    )
    delivery_lifetime: Seconds = Field(
        _s(30 * 86400), gt=_s(0), description="How long an event can be replayed after it was delivered or given up."
    )
    presigned_lifetime: Seconds = Field(
        _s(0),
        ge=_s(0),
        le=_s(900),
        description="How long an address of the store is good to which a caller is redirected for a file that is an "
        "object of its own (`s3://` only; callers must reach the store). 0: nobody is redirected.",
    )
    ledger_lifetime: Seconds = Field(
        _s(7 * 86400),
        gt=_s(0),
        description="How long Redis keeps a job that has ended; then storage answers alone.",
    )

    audit_lifetime: Seconds = Field(
        _s(3650 * 86400), ge=_s(86400), description="How long the audit log is kept; ten years unless told otherwise."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="Lines of text, or a JSON object a line.")
    otlp_endpoint: str | None = Field(
        None,
        description="Where traces go: the base address of an OpenTelemetry collector that speaks OTLP over HTTP. "
        "Without it, and without `OTEL_EXPORTER_OTLP_ENDPOINT`, nothing is traced.",
    )
    heartbeat_file: str | None = Field(
        None, description="A file that a worker touches every 5 s while it can hear of work; `python -m worker.alive`."
    )

    @model_validator(mode="after")
    def _clocks_in_order(self) -> Self:
        for shorter, longer, what in self._clock_order():
            if shorter >= longer:
                seen = f"{shorter.total_seconds():g} s ≥ {longer.total_seconds():g} s"
                raise ValueError(f"clocks out of order: {what} ({seen})")
        return self

    def _clock_order(self) -> list[tuple[timedelta, timedelta, str]]:
        """Pairs (shorter, longer) that must hold, or leases lapse under honest work."""
        leases = {"slot_lease": self.slot_lease, "claim_lease": self.claim_lease}
        leases |= {"step_lease": self.step_lease, "delivery_lease": self.delivery_lease}
        return [
            (self.score_timeout, self.slot_lease, "score_timeout < slot_lease"),
            (self.renewal_period, self.claim_lease / 3, "renewal_period < claim_lease ÷ 3"),
            (self.renewal_period, self.step_lease / 3, "renewal_period < step_lease ÷ 3"),
            (
                self.task_budget + self.score_timeout,
                self.soft_shutdown,
                "task_budget + score_timeout < soft_shutdown",
            ),
            (self.soft_shutdown, self.termination_grace, "soft_shutdown < termination_grace"),
            (self.termination_grace, self.visibility_timeout, "termination_grace < visibility_timeout"),
            (self.callback_timeout, self.delivery_lease, "callback_timeout < delivery_lease"),
            (self.bulk_part_wait, self.claim_lease, "bulk_part_wait < claim_lease"),
            *((self.sweep_period, lease, f"sweep_period < {name}") for name, lease in leases.items()),
            *((lease, self.visibility_timeout, f"{name} < visibility_timeout") for name, lease in leases.items()),
        ]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings from `environment`; raises SettingsError about those that are missing, unknown or wrong.

        The error's field `names` has the names in the environment that it is about.
        """
        fields, files = {name_of(field): field for field in cls.model_fields}, secret_files()
        given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value != ""}
        known = [*fields, *files, *CLIENT_NAMES]
        for name in given.keys() - set(known):
            if _SERVICE_LINK.fullmatch(name):
                raise SettingsError(
                    f"{name} comes from a Kubernetes service called maskrelay; give the pod enableServiceLinks: false",
                    names=(name,),
                )
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{guess}", names=(name,))
        values = {fields[name]: value for name, value in given.items() if name in fields}
        for name in given.keys() & files.keys():
            if files[name] in values:
                both = name_of(files[name]), name
                raise SettingsError(f"{both[0]} and {both[1]} cannot both be set", names=both)
            values[files[name]] = secret_in(name, Path(given[name]))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = error.errors()
            names = {name for one in wrong for name in _names_of(one)}
            raise SettingsError("; ".join(_say(one) for one in wrong), names=tuple(sorted(names))) from None

    @property
    def server_keys(self) -> tuple[bytes, ...]:
        """The server key, then the one before it: whatever was sealed is open under one of them."""
        both = self.server_key, self.server_key_before
        return tuple(key.get_secret_value().encode() for key in both if key is not None)

    @property
    def frames_per_child(self) -> int:
        """How many frames one segment child has in hand at least; what wake-ups and autoscaling count with."""
        return self.hands or LEAST_HANDS

    def require(self, *fields: str) -> None:
        """Raise SettingsError unless each of `fields`, optional elsewhere, is set."""
        missing = [name_of(field) for field in fields if getattr(self, field) is None]
        if missing:
            raise SettingsError(f"{', '.join(missing)} must be set")


def name_of(field: str) -> str:
    """The environment's name of a field."""
    seconds = Settings.model_fields[field].annotation is timedelta
    return PREFIX + field.upper() + ("_S" if seconds else "")


def secret_files() -> dict[str, str]:
    """The fields whose secret may lie in a file, by the name that names the file: `MASKRELAY_X_FILE` for `MASKRELAY_X`.

    A field that has a `…_file` field of its own is none of them: that file is read by who uses it, again and again.
    """
    fields = Settings.model_fields
    secrets = [name for name, field in fields.items() if field.annotation in {SecretStr, SecretStr | None}]
    return {f"{name_of(name)}_FILE": name for name in secrets if f"{name}_file" not in fields}


def secret_in(name: str, path: Path) -> str:
    """What the file holds, without the white space around it."""
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}", names=(name,)) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not text", names=(name,)) from None
    if not secret:
        raise SettingsError(f"{name} names an empty file", names=(name,))
    return secret


def _names_of(error: Any) -> list[str]:
    """What a validation error is about: one setting, or all clocks where their order is wrong."""
    fields = Settings.model_fields
    clocks = [name for name, field in fields.items() if field.annotation is timedelta]
    return [name_of(str(field)) for field in error["loc"][:1] or clocks]


def _say(error: Any) -> str:
    names = [name_of(str(part)) for part in error["loc"][:1]]
    return ": ".join([*names, error["msg"].removeprefix("Value error, ")])
