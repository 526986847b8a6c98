"""The server of the Model Context Protocol: tools with which a language model uses the service.

This module needs the extra `mcp`, so it is imported only when the command `maskrelay mcp` runs.
"""

import uuid
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import Field, ValidationError

from maskrelay.client.allowed_folders import AllowedFolders
from maskrelay.client.command_client import CommandClient
from maskrelay.client.mcp_answers import (
    JobAnswer,
    PromptsAnswer,
    ResultsAnswer,
    SubmittedAnswer,
    best_prompts,
    job_answer,
    results_answer,
)
from maskrelay.client.run_state import RunState
from maskrelay.client.submission import key_of
from maskrelay.client.upload_sources import sources_of
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.records.keys import ID
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import Gone, Malformed, MaskrelayError, NotFound, OptionUnknown, WaitTimeout, code_of

_INSTRUCTIONS = """\
Segment medical images by text prompts. Find a prompt with suggest_prompts, submit files, ask for the status until the
job has ended, and read the results. A repeated submit of the same files, prompts and options returns the same job, so
it costs nothing. For research use only: never use a mask in the care of a patient."""
#: The options that a model may set. Those that send results to other servers are not among them.
_OPTIONS = frozenset(
    {"intensity", "group_series", "partial_series", "slice_axis", "volume", "square_pixels", "burned_in", "lane"}
    | {"deadline", "endpoint", "one_prompt_per_request", "reuse", "dry_run"}
)
_LONGEST_WAIT_S = 50
_JobId = Annotated[str, Field(description="The id of the job.")]


class Tools:
    """The tools. Their docstrings and parameters are what the model reads."""

    def __init__(self, client: CommandClient, allowed: AllowedFolders) -> None:
        self._client = client
        self._allowed = allowed

    def suggest_prompts(
        self,
        words: Annotated[
            str | None, Field(description="What to find, such as 'liver' or 'tumour in the breast'.")
        ] = None,
        modality: Annotated[str | None, Field(description="Such as CT, MRI, X-ray, ultrasound or pathology.")] = None,
        site: Annotated[str | None, Field(description="Such as abdomen or brain.")] = None,
        limit: Annotated[int, Field(ge=1, le=200)] = 20,
    ) -> PromptsAnswer:
        """Suggest prompts on which the model was trained. Other prompts give masks of unknown meaning."""
        return best_prompts(self._client.prompts(modality, site), words, limit)

    def submit(
        self,
        paths: Annotated[list[str], Field(min_length=1, description="Files, or folders with their subfolders.")],
        prompts: Annotated[list[str], Field(min_length=1, description="What to segment in every file.")],
        outputs: Annotated[
            list[Output] | None, Field(description="The files to make. The default depends on the kind of each file.")
        ] = None,
        options: Annotated[
            dict[str, Any] | None, Field(description=f"Other options: {', '.join(sorted(_OPTIONS))}.")
        ] = None,
        again: Annotated[bool, Field(description="Make a new job, even if the same one was submitted before.")] = False,
    ) -> SubmittedAnswer:
        """Submit images (PNG, JPEG, TIFF, DICOM, NIfTI, or a zip of them) as one job. It runs in the background."""
        for name in sorted(set(options or ()) - _OPTIONS):
            raise OptionUnknown(f"{name} is not an option here. The options: {', '.join(sorted(_OPTIONS))}.")
        found = self._allowed.files(paths)
        about = {**(options or {}), "outputs": outputs}
        key = uuid.uuid4().hex if again else key_of(sources_of(found.files), prompts, about)
        try:
            job = self._client.submit(found.files, prompts, outputs=outputs, options=options, idempotency_key=key)
        except Gone:
            raise Gone("The job of the same submission was deleted or has expired. Set `again` to true.") from None
        numbers = {file: number for number, file in enumerate(found.files)}
        named = {path: numbers[file] for path in paths if (file := self._allowed.resolved(path)) in numbers}
        return SubmittedAnswer(
            **job_answer(job, self._client.url).model_dump(),
            files=len(found.files),
            named_files=named,
            skipped=len(found.skipped),
        )

    def status(
        self,
        job: _JobId,
        wait_s: Annotated[
            int, Field(ge=0, le=_LONGEST_WAIT_S, description="Wait until the job has ended, but at most this long.")
        ] = 0,
    ) -> JobAnswer:
        """Show how far a job is."""
        shown = self._client.job(_checked(job))
        if wait_s and shown.state not in TERMINAL:
            with suppress(WaitTimeout):
                shown = self._client.wait(job, timedelta(seconds=wait_s))
        return job_answer(shown, self._client.url)

    def results(
        self,
        job: _JobId,
        cursor: Annotated[str | None, Field(description="`next` of the page before.")] = None,
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
        save_to: Annotated[
            str | None, Field(description="A folder in which to save all files of the job. It is created.")
        ] = None,
    ) -> ResultsAnswer:
        """Return the measures, categories and flags of the masks, and the reasons why images failed."""
        folder = None if save_to is None else self._allowed.resolved(save_to)
        page = self._client.item_page(_checked(job), cursor, limit)
        return results_answer(page, None if folder is None else self._saved(job, folder))

    def _saved(self, job: str, folder: Path) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        with RunState.opened(folder, self._client.url) as state:
            return len(self._client.save_files(job, folder, list(self._client.items(job)), state))


class _Server(MCPServer[Any]):
    """A server whose tools answer each error with its code."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as error:  # what a tool raises
            if not isinstance(error.__cause__, MaskrelayError | OSError):
                raise  # a bug: the traceback goes to stderr, and the model learns nothing about it
            return _refusal(error.__cause__)
        except ToolError as error:
            return _refusal(_wrong_call(error))


def server_of(client: CommandClient, allowed: AllowedFolders) -> MCPServer[Any]:
    """Return the server with its tools."""
    tools = Tools(client, allowed)
    server = _Server(
        "maskrelay", version=version("maskrelay"), instructions=" ".join(_INSTRUCTIONS.split()), log_level="ERROR"
    )
    for read in (tools.suggest_prompts, tools.status):
        server.add_tool(read, annotations=ToolAnnotations(read_only_hint=True))
    for write in (tools.submit, tools.results):
        server.add_tool(write, annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=True))
    return server


def _checked(job: str) -> str:
    """Return the id. Raises NotFound for a text that is no id, which must not become part of another path."""
    if not ID.fullmatch(job):
        raise NotFound("There is no job with this id.")
    return job


def _wrong_call(error: ToolError) -> MaskrelayError:
    """Return the error of a call of an unknown tool, or with arguments that do not fit. It quotes no argument."""
    if not isinstance(error.__cause__, ValidationError):
        return NotFound("There is no such tool.")
    places = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.__cause__.errors()]
    return Malformed(f"The arguments are not valid. {'; '.join(places)}.")


def _refusal(error: MaskrelayError | OSError) -> CallToolResult:
    """Return the answer for an error: its code, and what is wrong."""
    if isinstance(error, MaskrelayError):
        answer = error.answer
        code, retryable = answer.code if answer else error.code, error.retryable
        places = [f"{place}: {detail}" for place, detail in (answer.places if answer else ())]
        detail = " ".join([error.detail, *getattr(error, "__notes__", ()), *places])
    else:  # its text may contain the path of a file
        code, retryable, detail = code_of(error), False, error.strerror or "A file cannot be read or written."
    return CallToolResult(
        content=[TextContent(type="text", text=f"{code}: {detail}")],
        structured_content={"error": {"code": code, "detail": detail, "retryable": retryable}},
        is_error=True,
    )
