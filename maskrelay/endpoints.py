"""The configured scoring endpoints: one in the environment, or a pool in a file (`docs/endpoints.md`)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from maskrelay.errors import SettingsError
from maskrelay.settings import Settings, name_of

Auth = Literal["key", "aml_token", "entra"]
Wire = Literal["image2d", "volume3d"]

#: The name of an endpoint that is set in the environment; it stands in keys and records.
DEFAULT = "default"


class Endpoint(BaseModel):
    """One scoring URI with its limits; no two of a pool share a name.

    concurrency: what the deployments declare to bear in flight (instances × requests an instance, twice over: as many
    again wait in line); the limit starts there and never passes `max_in_flight`. tenants: the only ones that may use
    it, and they use no other; empty: everybody. proxy: on the way to it and to its tokens. cert_file and cert_key_file:
    the client certificate that it is shown. model_version: an item stays with one. rows_per_request and
    max_request_bytes bound a pack; prompts_per_score splits a frame's prompts over several scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = DEFAULT
    url: str
    auth: Auth = "key"
    key: SecretStr | None = None
    key_file: str | None = None
    token_url: str | None = None
    proxy: SecretStr | None = None
    cert_file: str | None = None
    cert_key_file: str | None = None
    deployment: str | None = None
    wire: Wire = "image2d"
    encoding: Literal["probability", "binary01"] = "probability"
    model_version: str = "1"
    weight: float = Field(1.0, gt=0)
    tenants: tuple[str, ...] = ()
    max_in_flight: int = Field(2, ge=1)
    concurrency: int | None = Field(None, ge=1)
    max_requests_per_s: float = Field(500, gt=0)
    max_bytes_per_s: float = Field(5e6, gt=0)
    rows_per_request: int = Field(1, ge=1, le=256)
    max_request_bytes: int = Field(64 << 20, ge=1 << 20)
    prompts_per_score: int = Field(16, ge=1)
    gray: bool = False

    @model_validator(mode="after")
    def _has_its_credential(self) -> Self:
        if self.auth == "key" and (self.key is None) == (self.key_file is None):
            raise ValueError("auth key needs one of key and key_file")
        if self.auth == "aml_token" and self.token_url is None:
            raise ValueError("auth aml_token needs token_url, the control plane's address of the endpoint's token")
        return self

    def starts_at(self) -> int:
        """The limit in flight before anything was learnt."""
        return min(self.concurrency or self.max_in_flight, self.max_in_flight)


def usable(endpoints: Sequence[Endpoint], tenant: str) -> list[Endpoint]:
    """The endpoints that a tenant's frames may be scored at.

    One that is reserved for tenants is for them alone, and they use no other.
    """
    reserved = [one for one in endpoints if tenant in one.tenants]
    return reserved or [one for one in endpoints if not one.tenants]


_POOL = TypeAdapter(tuple[Endpoint, ...])


def read_endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """Every endpoint, at least one, in the order given. Raises SettingsError that names what is wrong."""
    if settings.endpoints_file is None:
        return (_from_environment(settings),)
    if settings.endpoint_url is not None:
        both = f"{name_of('endpoints_file')} and {name_of('endpoint_url')}"
        raise SettingsError(f"{both} cannot both be set")
    pool = _from_file(Path(settings.endpoints_file))
    usual = {"proxy": settings.endpoint_proxy}
    return tuple(one if one.proxy else one.model_copy(update=usual) for one in pool)


def _from_environment(settings: Settings) -> Endpoint:
    settings.require("endpoint_url")
    fields = {name: getattr(settings, f"endpoint_{name}", None) for name in Endpoint.model_fields}
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
    """Where and what, without the value: it may be a key."""
    return "; ".join(_said_of(one) for one in error.errors())


def _said_of(error: Any) -> str:
    place, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
