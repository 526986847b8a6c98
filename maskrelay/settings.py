"""The settings, read from the environment once, at the start of a process, into one frozen value.

A field `score_timeout` of type timedelta is read from `MASKRELAY_SCORE_TIMEOUT_S` as a number of seconds, and every
other field `x` from `MASKRELAY_X`. A secret can also be in a file that `MASKRELAY_X_FILE` names. An unknown
`MASKRELAY_*` name is an error, so that a misspelt name is never silently ignored.
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
#: The variables of the commands and of the embedded stack. Every process accepts them, but the API and the workers do
#: not use them.
CLIENT_NAMES = {
    "MASKRELAY_URL": "The URL of the service (default `http://127.0.0.1:8080`).",
    "MASKRELAY_API_KEY": "The client's API key. The embedded stack uses it as the key of the tenant `local`.",
    "MASKRELAY_PROFILE": "The profile of `~/.config/maskrelay.toml` that the `maskrelay` command uses.",
    "MASKRELAY_AZURE_URL": "For `maskrelay endpoint`: a control plane other than `https://management.azure.com`.",
    "MASKRELAY_AZURE_TOKEN": "For `maskrelay endpoint`: a token for the control plane, instead of the identity.",
}

#: The least number of frames that a segment child processes at the same time, unless `hands` is set.
LEAST_HANDS = 8

#: The variables that Kubernetes adds to every container for a service called maskrelay, unless the pod has
#: `enableServiceLinks: false`.
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
        description="The ledger: Redis 7 or later, or Valkey. `redis://`, `rediss://`, or "
        "`redis+sentinel://user:password@host:port,host:port/master/database`."
    )
    redis_cert_file: str | None = Field(
        None, description="A client certificate (PEM) for a Redis server that requires one (`rediss://`)."
    )
    redis_cert_key_file: str | None = Field(
        None,
        description="The unencrypted private key of this certificate, if the certificate file does not contain it.",
    )
    ca_file: str | None = Field(
        None,
        description="A PEM file with certificate authorities that every TLS connection trusts in addition to "
        "those of the system. `SSL_CERT_FILE` replaces those of the system. The client reads this "
        "setting too.",
    )
    storage_url: str = Field(
        description="Where results are stored: `file:///folder`, `s3://bucket/prefix`, `az://container/prefix`, "
        "`abfss://container@account.dfs.core.windows.net/prefix` or "
        "`https://account.blob.core.windows.net/container/prefix`."
    )
    s3_endpoint_url: str | None = Field(None, description="The URL of an S3-compatible server other than AWS.")
    azure_connection_string: SecretStr | None = Field(
        None,
        description="The connection string of the Azure storage account, with an account key or a shared access "
        "signature. Without it, the variables `AZURE_STORAGE_*` apply, and without those, the identity of the machine.",
    )
    server_key: SecretStr = Field(
        min_length=32, description="Encrypts callback secrets and derives job ids. At least 32 characters."
    )
    server_key_before: SecretStr | None = Field(
        None,
        min_length=32,
        description="The previous server key. Keep it set while jobs from before the change are running.",
    )
    keys_file: str | None = Field(
        None,
        description='The API keys: a JSON list of objects with `"tenant"`, `"sha256"` and `"scopes"`. Optional '
        'members are `"name"`, `"not_before"` and `"not_after"` (ISO 8601 with an offset), and '
        '`"quotas"` (`jobs`, `frames`, `interactive` and `bytes`, where they differ from the '
        "settings). A tenant can have several keys. The file is read again when it changes.",
    )
    credentials_file: str | None = Field(
        None,
        description="The credentials with which sources by reference are read, and what each tenant may read with "
        "them: a JSON list, described in `docs/howto/sources-by-reference.md`. The API and the workers need it. The "
        "file is read again when it changes.",
    )
    tables_file: str | None = Field(
        None,
        description='The places of result tables: a JSON object with an object for each tenant. `"tables_url"` is '
        "where the tenant's tables are, in the form of `MASKRELAY_STORAGE_URL`. The default is below `tables/` in the "
        'result store. `"credential"` names the credential of `MASKRELAY_CREDENTIALS_FILE` with which they are '
        'written, instead of those of the result store. With `"always": true`, every job of the tenant adds its rows, '
        "even without the output `table`. The file is read again when it changes.",
    )
    site_identifiers_file: str | None = Field(
        None,
        description="The pseudonyms of studies and series for `identifiers: site`: a JSON object with an object for "
        'each tenant. It has one of `"key"`, `"key_file"` (keyed hashes), `"mapping"` (an object) and `"mapping_file"` '
        "(CSV). `docs/howto/tables.md` describes it. Control workers need it. The file is read again when it changes.",
    )
    oidc_issuer: str | None = Field(
        None,
        description="The URL of an OpenID Connect issuer whose bearer tokens are accepted too, exactly as in `iss`.",
    )
    oidc_audience: str | None = Field(
        None, description="The audience that a token must name in `aud`. Required with an issuer."
    )
    oidc_tenant_claim: str = Field("tenant", description="The claim of a token that names the tenant.")
    oidc_scopes_claim: str = Field(
        "scope", description="The claim of a token with the scopes: text separated by spaces, or a list."
    )
    oidc_client_id: str | None = Field(
        None,
        description="The id with which the web page is registered at the issuer, as a public client whose redirect "
        "URL is the address of the page. Without it, people sign in to the page with an API key.",
    )
    oidc_scope: str = Field(
        "openid",
        min_length=1,
        description="The scope that the web page requests, separated by spaces. The access token must name the "
        "audience; for Microsoft Entra, add `api://…/.default`.",
    )
    metrics_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="The bearer token that `/metrics` and `/v1/scaling` require. Without it, everyone who can "
        "reach the API can read them.",
    )
    public_url: str | None = Field(None, description="The URL at which callers reach the API. It is used in links.")
    cors_origins: Names = Field(
        (),
        description="The web origins whose pages may call the API, separated by commas: `https://app.example`. "
        "The default is none.",
    )
    callback_allow: Names = Field(
        (),
        description="Hosts, addresses and networks that callbacks may reach in addition to public addresses, "
        "separated by commas. A port limits an entry to that port (`pacs.example:8443`).",
    )
    callback_proxy: SecretStr | None = Field(
        None,
        description="The HTTP proxy for callbacks: `http://user:password@host:port`. The proxy resolves host "
        "names, so it must block internal addresses itself. Callbacks ignore the proxy variables of "
        "the environment.",
    )
    callback_cert_file: str | None = Field(
        None, description="A client certificate (PEM) for callback receivers that require one."
    )
    callback_cert_key_file: str | None = Field(
        None,
        description="The unencrypted private key of this certificate, if the certificate file does not contain it.",
    )

    endpoint_url: str | None = Field(
        None, description="The scoring URI of the Azure ML endpoint. It ends with `/score`."
    )
    endpoint_auth: Literal["key", "aml_token", "entra"] = Field(
        "key",
        description="How requests to the endpoint are authenticated: with its key, with an Azure ML token, or "
        "with a Microsoft Entra token (extra `azure`).",
    )
    endpoint_key: SecretStr | None = Field(None, description="The endpoint's key.")
    endpoint_key_file: str | None = Field(
        None, description="A file with the endpoint's key, instead of the key itself. It is read again when it changes."
    )
    endpoint_token_url: str | None = Field(
        None,
        description="For `aml_token`: the control plane's URL for the endpoint's token. It is called with an "
        "Entra token.",
    )
    endpoint_proxy: SecretStr | None = Field(
        None,
        description="The HTTP proxy for the endpoint and its tokens: `http://user:password@host:port`. Without "
        "it, `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` apply.",
    )
    endpoint_cert_file: str | None = Field(
        None,
        description="A client certificate (PEM) for an endpoint, or for a gateway in front of it, that requires one.",
    )
    endpoint_cert_key_file: str | None = Field(
        None,
        description="The unencrypted private key of this certificate, if the certificate file does not contain it.",
    )
    endpoint_deployment: str | None = Field(None, description="The name of the only deployment to use.")
    endpoint_model_version: str = Field("1", description="The version of the model. It is recorded with every outcome.")
    endpoint_encoding: Literal["probability", "binary01"] = Field(
        "probability",
        description="The values in the endpoint's maps: `probability` (0 to 255) or `binary01` (0 and 1).",
    )
    endpoint_max_in_flight: int = Field(2, ge=1, description="The hard limit on requests in flight, over all workers.")
    endpoint_concurrency: int | None = Field(
        None,
        ge=1,
        description="The number of concurrent requests that the deployments declare. The adaptive limit starts there.",
    )
    endpoint_max_requests_per_s: float = Field(
        500, gt=0, description="The hard limit on requests started per second, over all workers."
    )
    endpoint_max_bytes_per_s: float = Field(
        5e6, gt=0, description="The hard limit on bytes per second, sent and received together, over all workers."
    )
    endpoint_rows_per_request: int = Field(
        1,
        ge=1,
        le=256,
        description="The most rows of one job that may share a request. A batch that fails is bisected.",
    )
    endpoint_max_request_bytes: int = Field(
        64 << 20, ge=1 << 20, description="The largest request. A larger batch is sent as several requests."
    )
    endpoint_prompts_per_score: int = Field(
        16, ge=1, description="The most prompts in one request. A frame with more prompts is sent in several requests."
    )
    endpoint_wire: Literal["image2d", "lean2d"] = Field(
        "image2d",
        description="The wire format of the endpoint. `lean2d` needs a lean deployment "
        "(`maskrelay endpoint create --lean`), and falls back to `image2d` without one.",
    )
    endpoint_price_per_hour: float | None = Field(
        None,
        ge=0,
        description="The price of one endpoint per hour, in any currency. The forecast of a dry run contains the cost "
        "that follows from it.",
    )
    endpoint_gray: bool = Field(
        default=False,
        description="Always send gray images as grayscale PNG, which has fewer bytes. Without it, this is done only if "
        "test images have shown that the deployment's answers are equal.",
    )
    endpoints_file: str | None = Field(
        None, description="Several endpoints instead of one: a JSON list, described in `docs/howto/endpoints.md`."
    )

    max_body_bytes: int = Field(16 << 30, ge=1, description="The largest request body.")
    max_image_bytes: int = Field(4 << 30, ge=1, description="The largest single upload.")
    max_decode_bytes: int = Field(512 << 20, ge=1, description="The largest file that a worker opens.")
    max_source_bytes: int = Field(
        2 << 30, ge=1, description="The largest decompressed volume that a worker keeps as a local copy."
    )
    copies_bytes: int = Field(
        4 << 30, ge=1, description="The most bytes that one child process uses for local copies of volumes."
    )
    copies_space_bytes: int = Field(
        6 << 30,
        ge=1 << 28,
        description="The most bytes that the local copies of all workers with the same directory for temporary "
        "files (`TMPDIR`) use together. A copy that does not fit waits.",
    )
    max_pixels: int = Field(100_000_000, ge=1, description="The most pixels in one image.")
    max_items: int = Field(10_000, ge=1, description="The most items in one job.")
    max_prompts: int = Field(16, ge=1, description="The most prompts for one item.")
    max_prompt_length: int = Field(200, ge=1, description="The longest prompt, in characters.")

    tenant_jobs: int = Field(
        1000,
        ge=0,
        description="The most unfinished jobs of a tenant. The keys file can set another value for this and the "
        "next three quotas.",
    )
    tenant_frames: int = Field(
        2_000_000,
        ge=0,
        description="The most frames of a tenant that are waiting or in progress, as far as their number is known.",
    )
    tenant_interactive: int = Field(2000, ge=0, description="The most of these frames in the interactive lane.")
    tenant_bytes: int = Field(
        1 << 40,
        ge=0,
        description="The most bytes of a tenant's uploads. Uploads of unfinished jobs and uploads that no job "
        "uses count.",
    )

    max_attempts: int = Field(3, ge=1, description="The number of counted attempts after which a frame fails.")
    segment_children: int = Field(1, ge=1, description="The number of child processes of a segment worker.")
    codes_file: str | None = Field(
        None,
        description="A JSON file with the codes of DICOM segments by prompt. They extend or replace the built-in "
        "codes.",
    )
    assemble_children: int = Field(1, ge=1, description="The number of child processes of an assemble worker.")
    control_children: int = Field(1, ge=1, description="The number of child processes of a control worker.")
    deliver_threads: int = Field(
        32,
        ge=1,
        description="The number of threads of a deliver worker. The callbacks of one tenant use at most three "
        "quarters of them.",
    )
    callbacks_per_host: int = Field(2, ge=1, description="The most callbacks in progress to one host.")
    hands: int | None = Field(
        None,
        ge=2,
        description="The number of frames that one segment child prepares, scores and draws at the same time. "
        "Without it, the child chooses as many as keep the endpoint busy, judging by the measured "
        "stage times: at least 8, and no more than fit their requests and answers into 512 MiB of "
        "memory. Autoscaling then assumes 8.",
    )
    hand_bytes: int = Field(
        512 << 20,
        ge=1,
        description="The most bytes of source files that one segment child holds. A larger file is held alone.",
    )
    decode_bytes: int = Field(
        2 << 30,
        ge=1 << 28,
        description="The memory that one child may use to decode and draw images, estimated from their headers. "
        "An image that does not fit next to others waits until it is alone. An image that needs more "
        "than all of it fails (`decode_too_large`). A child uses about 1.5 GiB in addition.",
    )
    part_frames: int = Field(16, ge=1, description="The most outcomes written as one object, in the interactive lane.")
    part_wait: Seconds = Field(
        _s(0.2), description="How long an outcome waits for others to share its object, in the interactive lane."
    )
    bulk_part_frames: int = Field(
        64,
        ge=1,
        description="The most outcomes written as one object in the bulk lane, where files share the object too. "
        "A crash can repeat the scoring of this many frames.",
    )
    bulk_part_wait: Seconds = Field(_s(2), description="How long an outcome waits for others in the bulk lane.")

    score_timeout: Seconds = Field(
        _s(95),
        description="The timeout of one request to the endpoint. It must exceed the deployment's own request timeout.",
    )
    slot_lease: Seconds = Field(
        _s(120), description="How long a concurrency slot stays reserved for a request that never completed."
    )
    claim_lease: Seconds = Field(_s(60), description="How long a worker that no longer responds keeps its frames.")
    renewal_period: Seconds = Field(_s(15), description="How often a worker renews its leases.")
    decode_timeout: Seconds = Field(_s(30), description="The timeout for decoding one file.")
    task_budget: Seconds = Field(_s(30), description="How long a worker works after one wake-up.")
    soft_shutdown: Seconds = Field(
        _s(150), description="How long a stopping worker may take to complete its work in progress."
    )
    termination_grace: Seconds = Field(
        _s(180), description="The time from the stop signal until the platform kills a worker."
    )
    visibility_timeout: Seconds = Field(
        _s(600), description="The time after which Celery delivers an unacknowledged message again."
    )
    step_lease: Seconds = Field(
        _s(60), description="How long a worker that no longer responds keeps a job that it is planning or finishing."
    )
    callback_timeout: Seconds = Field(_s(15), description="The timeout of one callback.")
    delivery_lease: Seconds = Field(_s(45), description="How long a worker that no longer responds keeps a callback.")
    sweep_period: Seconds = Field(_s(5), description="How often the sweep looks for lost work.")
    reconcile_period: Seconds = Field(
        _s(600), description="How often the storage and the ledger are compared even if nothing calls for it."
    )

    result_lifetime: Seconds = Field(
        _s(30 * 86400),
        gt=_s(0),
        description="How long a job is kept after it has ended. Then it is deleted, and requests for it return 410.",
    )
    upload_lifetime: Seconds = Field(
        _s(86400),
        ge=_s(7200),
        description="How long an upload is kept until a job uses it. New jobs cannot use it in its last hour.",
    )
    delivery_lifetime: Seconds = Field(
        _s(30 * 86400), gt=_s(0), description="How long an event can be sent again after it was delivered or given up."
    )
    presigned_lifetime: Seconds = Field(
        _s(0),
        ge=_s(0),
        le=_s(900),
        description="How long a presigned URL is valid. A caller who requests a file is redirected to such a "
        "URL if the file is an object of its own and the store is S3, or Azure with an account key. So "
        "callers must be able to reach the store. With 0, nobody is redirected.",
    )
    ledger_lifetime: Seconds = Field(
        _s(7 * 86400),
        gt=_s(0),
        description="How long Redis keeps a job that has ended. After that, requests for it are answered from the"
        " storage alone.",
    )

    audit_lifetime: Seconds = Field(
        _s(3650 * 86400), ge=_s(86400), description="How long the audit log is kept. The default is ten years."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="`text` for lines of text, or `json` for one JSON object per line."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Where traces are sent: the base URL of an OpenTelemetry collector that accepts OTLP over "
        "HTTP. Without it and without `OTEL_EXPORTER_OTLP_ENDPOINT`, tracing is off.",
    )
    heartbeat_file: str | None = Field(
        None,
        description="A file that a worker touches every 5 s while it can receive work. `python -m worker.alive` "
        "checks it.",
    )

    @model_validator(mode="after")
    def _clocks_in_order(self) -> Self:
        for shorter, longer, what in self._clock_order():
            if shorter >= longer:
                values = f"{shorter.total_seconds():g} s ≥ {longer.total_seconds():g} s"
                raise ValueError(f"clocks out of order: {what} ({values})")
        return self

    def _clock_order(self) -> list[tuple[timedelta, timedelta, str]]:
        """Return each condition on two durations, as (shorter, longer, text of the condition).

        For example, if a condition did not hold, a lease could lapse while its holder still works.
        """
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
        """Read the settings from `environment`.

        Raises SettingsError if a setting is missing, unknown or invalid. The `names` of the error are the variables
        concerned.
        """
        fields, files = {name_of(field): field for field in cls.model_fields}, secret_files()
        variables = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value != ""}
        known = [*fields, *files, *CLIENT_NAMES]
        for name in variables.keys() - set(known):
            if _SERVICE_LINK.fullmatch(name):
                raise SettingsError(
                    f"{name} comes from a Kubernetes service called maskrelay; give the pod enableServiceLinks: false",
                    names=(name,),
                )
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{guess}", names=(name,))
        values = {fields[name]: value for name, value in variables.items() if name in fields}
        for name in variables.keys() & files.keys():
            if files[name] in values:
                both = name_of(files[name]), name
                raise SettingsError(f"{both[0]} and {both[1]} cannot both be set", names=both)
            values[files[name]] = secret_in(name, Path(variables[name]))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = error.errors()
            names = {name for problem in wrong for name in _names_of(problem)}
            raise SettingsError("; ".join(_message(problem) for problem in wrong), names=tuple(sorted(names))) from None

    @property
    def server_keys(self) -> tuple[bytes, ...]:
        """The server key, followed by the previous one if it is set. Every sealed secret opens with one of them."""
        both = self.server_key, self.server_key_before
        return tuple(key.get_secret_value().encode() for key in both if key is not None)

    @property
    def frames_per_child(self) -> int:
        """The number of frames per segment child that wake-ups and autoscaling assume."""
        return self.hands or LEAST_HANDS

    def require(self, *fields: str) -> None:
        """Raise SettingsError unless each of these fields, which are optional in general, is set."""
        missing = [name_of(field) for field in fields if getattr(self, field) is None]
        if missing:
            raise SettingsError(f"{', '.join(missing)} must be set")


def name_of(field: str) -> str:
    """Return the name of the environment variable of a field."""
    seconds = Settings.model_fields[field].annotation is timedelta
    return PREFIX + field.upper() + ("_S" if seconds else "")


def secret_files() -> dict[str, str]:
    """Return the secret fields that can be read from a file, by the variable that names the file.

    The variable for `MASKRELAY_X` is `MASKRELAY_X_FILE`. A secret with a `…_file` field of its own is not among them,
    because the code that uses the secret reads that file again whenever the file changes.
    """
    fields = Settings.model_fields
    secrets = [name for name, field in fields.items() if field.annotation in {SecretStr, SecretStr | None}]
    return {f"{name_of(name)}_FILE": name for name in secrets if f"{name}_file" not in fields}


def secret_in(name: str, path: Path) -> str:
    """Return the text of the file that the variable `name` names, without surrounding white space.

    Raises SettingsError if the file cannot be read, is not text, or is empty.
    """
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
    """Return the variables that a validation error concerns: one, or all durations if their order is wrong."""
    fields = Settings.model_fields
    clocks = [name for name, field in fields.items() if field.annotation is timedelta]
    return [name_of(str(field)) for field in error["loc"][:1] or clocks]


def _message(error: Any) -> str:
    """Return the message of a validation error, preceded by the name of the variable."""
    names = [name_of(str(part)) for part in error["loc"][:1]]
    return ": ".join([*names, error["msg"].removeprefix("Value error, ")])
