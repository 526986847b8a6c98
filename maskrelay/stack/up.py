"""`python -m maskrelay.stack up`: the stack in the foreground, until Ctrl-C or SIGTERM."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit, urlunsplit

from maskrelay.errors import SettingsError, StackError
from maskrelay.stack.layout import Layout
from maskrelay.stack.running import running
from maskrelay.stack.supervisor import Ending

_EXAMPLE_PROMPT = "optic disc in retinal fundus"


def up(given: Mapping[str, str], data: Path, port: int) -> int:
    """Run until a signal comes; a second one leaves out the rest of the children's grace. The exit code."""
    ending = Ending()
    end_on_signals(ending)
    say(f"starting on {data} …")
    try:
        with running(given, data, port, say=say, ending=ending) as stack:
            if not ending.wanted:
                say(welcome(stack.layout, stack.data, stack.logs))
            stack.supervisor.watch()
            say("ending; what is unfinished goes on at the next start (Ctrl-C again ends at once) …")
    except (SettingsError, StackError) as error:
        say(f"maskrelay cannot start: {error.detail}", to_stderr=True)
        return 1
    say("ended")
    return 0


def end_on_signals(ending: Ending) -> None:
    """Let the first SIGINT or SIGTERM ask for the end, and a further one for the end at once."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        ending.wanted, ending.at_once = True, ending.wanted

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def welcome(layout: Layout, data: Path, logs: Path) -> str:
    """What runs where, and a first call to try. Holds no secret but the caller's own API key."""
    key = layout.api_key or "$MASKRELAY_API_KEY"
    settings = layout.settings
    lines = [
        f"\nmaskrelay is ready at {layout.url}",
        f"  API key    {layout.api_key or f'one of {settings.keys_file}'}",
        *_endpoints(layout),
        f"  Redis      {'embedded' if layout.valkey else _without_secrets(settings.redis_url.get_secret_value())}",
        f"  storage    {_without_secrets(settings.storage_url)}",
        f"  data       {data}",
        f"  logs       {logs}",
        "  try        " + f"curl -H 'Authorization: Bearer {key}' \\",
        f"               -F image=@photo.png -F 'prompt={_EXAMPLE_PROMPT}' {layout.url}/v1/jobs",
        "Ctrl-C ends it.\n",
    ]
    return "\n".join(lines)


def _endpoints(layout: Layout) -> list[str]:
    """A line for each endpoint: where scores go and how many at a time."""
    if layout.simulator:
        (endpoint,) = layout.endpoints
        return [f"  endpoint   the simulator (not the model), at most {endpoint.max_in_flight} in flight"]
    return [
        f"  endpoint   {endpoint.name}: {_without_secrets(endpoint.url)}, at most {endpoint.max_in_flight} in flight"
        for endpoint in layout.endpoints
    ]


def _without_secrets(url: str) -> str:
    """Scheme, host, port and path of a URL: user, password and query may be secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def say(text: str, *, to_stderr: bool = False) -> None:
    print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)
