"""Check the client of this environment: whether the service responds at its URL, and accepts its API key."""

from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version

from maskrelay.admin.checks.finding import Finding, ok, skip, warn, wrong
from maskrelay.client.command_client import CommandClient, address_and_key
from maskrelay.errors import MaskrelayError, ScopeMissing, SettingsError, Unauthenticated

_TIMEOUT = timedelta(seconds=10)
_START = "start the service, or correct MASKRELAY_URL or the profile; behind a proxy, set NO_PROXY"
_KEY = "set MASKRELAY_API_KEY, or the key of the profile, to a key of this service; `make up` prints one"


def is_set_up(profile: str | None) -> bool:
    """Return whether there is a URL or a key for a client, or a profile that cannot be read."""
    try:
        return any(address_and_key(profile))
    except SettingsError:
        return True


def check(profile: str | None) -> Iterator[Finding]:
    """Check the address and the key of a profile, or of the environment."""
    try:
        url, key = address_and_key(profile)
        if url is None and key is None:
            yield skip("client", "not checked, because MASKRELAY_URL and MASKRELAY_API_KEY are not set")
            return
        client = CommandClient(url, key or "none", _TIMEOUT)
    except SettingsError as error:
        yield wrong("client", error.detail, "docs/reference/command-line.md describes the settings of the client")
        return
    with client:
        yield (responds := _service(client))
        if responds.state == "ok":
            yield _key(client) if key else wrong("client key", "there is none", _KEY)


def _service(client: CommandClient) -> Finding:
    try:
        found, own = client.service_version(), version("maskrelay")
    except MaskrelayError as error:
        return wrong("client service", f"maskrelay does not respond at the client's URL ({error.code})", _START)
    return ok("client service", f"responds with version {found}; this client is version {own}")


def _key(client: CommandClient) -> Finding:
    try:
        client.check_key()
    except Unauthenticated:
        return wrong("client key", "the service does not accept the client's API key", _KEY)
    except ScopeMissing:
        hint = "use a key with the scope `read`, or ask your operator for one"
        return warn("client key", "the key may not read jobs", hint)
    except MaskrelayError as error:
        return wrong("client key", f"the service cannot check the key ({error.code})", "try again later")
    return ok("client key", "accepted")
