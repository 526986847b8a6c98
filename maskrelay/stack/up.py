"""`python -m maskrelay.stack up`: run the stack in the foreground, until Ctrl-C or SIGTERM."""

import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit, urlunsplit

from maskrelay.errors import SettingsError, StackError
from maskrelay.stack.running import running
from maskrelay.stack.stack_processes import StackLayout
from maskrelay.stack.supervisor import Ending

_EXAMPLE_PROMPT = "optic disc in retinal fundus"
_KEY_OF_A_FILE = "export MASKRELAY_API_KEY=  # a key whose hash is in MASKRELAY_KEYS_FILE"


def up(given: Mapping[str, str], data: Path, port: int) -> int:
    """Run the stack until a signal arrives, and return the exit code.

    A second signal skips the rest of the grace periods.
    """
    ending = Ending()
    end_on_signals(ending)
    say(f"Starting with the data folder {data} …")
    try:
        with running(given, data, port, say=say, ending=ending) as stack:
            if not ending.wanted:
                say(welcome(stack.layout, stack.data, stack.logs))
            stack.supervisor.watch()
            say("Stopping. Unfinished jobs continue at the next start. Press Ctrl-C again to stop at once.")
    except (SettingsError, StackError) as error:
        say(f"maskrelay cannot start: {error.detail}", to_stderr=True)
        return 1
    say("Stopped.")
    return 0


def end_on_signals(ending: Ending) -> None:
    """Let the first SIGINT or SIGTERM end the stack, and the next one skip the rest of the grace periods."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        ending.wanted, ending.at_once = True, ending.wanted

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def welcome(layout: StackLayout, data: Path, logs: Path) -> str:
    """Return a text with the addresses and a first request. It contains no secret except the caller's own API key."""
    settings = layout.settings
    key = f"export MASKRELAY_API_KEY={shlex.quote(layout.api_key)}" if layout.api_key else _KEY_OF_A_FILE
    lines = [
        f"\nmaskrelay is ready at {layout.url}",
        *_endpoints(layout),
        f"  Redis      {'embedded' if layout.valkey else _without_secrets(settings.redis_url.get_secret_value())}",
        f"  storage    {_without_secrets(settings.storage_url)}",
        f"  data       {data}",
        f"  logs       {logs}",
        "\nTo use it, paste this into another terminal:\n",
        f"  export MASKRELAY_URL={layout.url}",
        f"  {key}",
        "\nand send a first image:\n",
        '  curl -H "Authorization: Bearer $MASKRELAY_API_KEY" \\',
        f"    -F image=@photo.png -F 'prompt={_EXAMPLE_PROMPT}' \"$MASKRELAY_URL/v1/jobs\"",
        "\nPress Ctrl-C to stop.\n",
    ]
    return "\n".join(lines)


def _endpoints(layout: StackLayout) -> list[str]:
    """Return a line for each endpoint with its address and its limit on requests in flight."""
    if layout.simulator:
        (endpoint,) = layout.endpoints
        return [f"  endpoint   the simulator (not the model), at most {endpoint.max_in_flight} concurrent requests"]
    return [
        f"  endpoint   {endpoint.name}: {_without_secrets(endpoint.url)}, "
        f"at most {endpoint.max_in_flight} concurrent requests"
        for endpoint in layout.endpoints
    ]


def _without_secrets(url: str) -> str:
    """Return the scheme, host, port and path of a URL. The user, the password and the query may be secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def say(text: str, *, to_stderr: bool = False) -> None:
    print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)
