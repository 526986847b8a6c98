"""The configured scoring endpoints: one from the environment, or a pool from a file (`docs/howto/endpoints.md`)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from maskrelay.errors import SettingsError
from maskrelay.settings import Settings, name_of

Auth = Literal["key", "aml_token", "entra"]
Wire = Literal["image2d", "lean2d", "volume3d"]

#: The name of the endpoint that is configured in the environment. It is used in keys and records.
DEFAULT = "default"


class Endpoint(BaseModel):
    """One scoring URI with its limits. Names are unique within a pool."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = DEFAULT
    url: str
    auth: Auth = "key"
    key: SecretStr | None = None
    key_file: str | None = None
    token_url: str | None = None
    #: The proxy for connections to the endpoint and for its tokens.
    proxy: SecretStr | None = None
    #: The file with the client certificate that is presented to the endpoint. Its private key may be in
    #: `cert_key_file`.
    cert_file: str | None = None
    cert_key_file: str | None = None
    deployment: str | None = None
    wire: Wire = "image2d"
    encoding: Literal["probability", "binary01"] = "probability"
    #: The version of the model. All frames of an item are scored by the same version.
    model_version: str = "1"
    #: The share of the work that the endpoint gets, relative to the weights of the other endpoints.
    weight: float = Field(1.0, gt=0)
    #: The tenants for which the endpoint is reserved. Such a tenant uses only endpoints that are reserved for it. If
    #: `tenants` is empty, the endpoint is for all tenants without a reserved endpoint.
    tenants: tuple[str, ...] = ()
    #: The upper bound of the limit on requests in flight.
    max_in_flight: int = Field(2, ge=1)
    #: The number of requests in flight that the deployment supports. It is twice the number of requests that all
    #: instances together can process at the same time, because as many requests may also wait in the queue of the
    #: deployment. The initial limit is this number, or `max_in_flight` if that is less.
    concurrency: int | None = Field(None, ge=1)
    max_requests_per_s: float = Field(500, gt=0)
    max_bytes_per_s: float = Field(5e6, gt=0)
    #: The largest number of rows in a request.
    rows_per_request: int = Field(1, ge=1, le=256)
    #: The largest size of a request with several rows, in bytes.
    max_request_bytes: int = Field(64 << 20, ge=1 << 20)
    #: The largest number of prompts in a score. A frame with more prompts needs several scores.
    prompts_per_score: int = Field(16, ge=1)
    #: Whether gray images are always sent as grayscale PNG files. If not, they are sent so only to a deployment whose
    #: answers to test images were equal.
    gray: bool = False

    @model_validator(mode="after")
    def _has_its_credential(self) -> Self:
        if self.auth == "key" and (self.key is None) == (self.key_file is None):
            raise ValueError("auth key needs either key or key_file")
        if self.auth == "aml_token" and self.token_url is None:
            raise ValueError("auth aml_token needs token_url, the URL of the control plane that returns the token")
        return self

    @property
    def declares_version(self) -> bool:
        """Whether the operator has configured the model version. Otherwise, it is a default, which says nothing."""
        return "model_version" in self.model_fields_set

    def starts_at(self) -> int:
        """Return the initial limit on requests in flight, before the limit is adapted to the endpoint."""
        return min(self.concurrency or self.max_in_flight, self.max_in_flight)


def usable(endpoints: Sequence[Endpoint], tenant: str) -> list[Endpoint]:
    """Return the endpoints that may score the frames of a tenant.

    If any endpoints are reserved for the tenant, only these are returned. Otherwise, the endpoints that are reserved
    for no tenant are returned.
    """
    reserved = [endpoint for endpoint in endpoints if tenant in endpoint.tenants]
    return reserved or [endpoint for endpoint in endpoints if not endpoint.tenants]


_POOL = TypeAdapter(tuple[Endpoint, ...])


def read_endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """Return all endpoints in the configured order. There is at least one.

    Raises SettingsError if the configuration cannot be used. The error names the part that is wrong.
    """
    if settings.endpoints_file is None:
        return (_from_environment(settings),)
    if settings.endpoint_url is not None:
        both = f"{name_of('endpoints_file')} and {name_of('endpoint_url')}"
        raise SettingsError(f"{both} cannot both be set")
    pool = _from_file(Path(settings.endpoints_file))
    usual = {"proxy": settings.endpoint_proxy}
    return tuple(endpoint if endpoint.proxy else endpoint.model_copy(update=usual) for endpoint in pool)


def _from_environment(settings: Settings) -> Endpoint:
    settings.require("endpoint_url")
    fields = {name: getattr(settings, f"endpoint_{name}", None) for name in Endpoint.model_fields}
    if "endpoint_model_version" not in settings.model_fields_set:
        del fields["model_version"]  # the default declares no version
    try:
        return Endpoint.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(f"the endpoint of MASKRELAY_ENDPOINT_URL: {_said(error)} (MASKRELAY_ENDPOINT_…)") from None


def _from_file(path: Path) -> tuple[Endpoint, ...]:
    what = name_of("endpoints_file")
    try:
        endpoints = _POOL.validate_python(json.loads(path.read_bytes()))
    except OSError as error:
        raise SettingsError(f"{what} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(f"{what}: {_said(error)}") from None
    except ValueError:
        raise SettingsError(f"{what} is not JSON") from None
    names = [endpoint.name for endpoint in endpoints]
    if not names or len(set(names)) != len(names):
        raise SettingsError(f"{what} must contain at least one endpoint, and the names must be unique")
    return endpoints


def _said(error: ValidationError) -> str:
    """Return the location and the message of each error, but not the value, because it may be a secret key."""
    return "; ".join(_said_of(each) for each in error.errors())


def _said_of(error: Any) -> str:
    place, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
