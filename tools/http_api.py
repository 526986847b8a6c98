"""Render the page of the HTTP API as Markdown from its OpenAPI document. Run by `make docs`."""  # noqa: INP001

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_WIDTH = 100
_TITLES = {
    "jobs": "Jobs",
    "uploads": "Uploads",
    "watches": "Watches",
    "events": "Events",
    "results": "Results",
    "reviews": "Reviews",
    "failures": "Failures",
    "callbacks": "Deliveries of callbacks",
    "operations": "Operations",
}
_INTRODUCTION = """\
This page is generated from the OpenAPI document, which the service returns at `/openapi.json`; a copy is in
[openapi.json](openapi.json). Requests carry `Authorization: Bearer KEY`, except where an example shows none. Errors
are `application/problem+json`, and the page of errors explains every `code`. `?` marks optional fields."""
_SIGNED = """\
When a job names a callback, the service sends signed events to it. The body is signed as it is sent: verify it before
you parse it. Libraries of Standard Webhooks do the four steps below; in plain Python they are:"""
_VERIFY = """\
```python
import base64, hashlib, hmac, time


def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = headers["webhook-signature"].encode().split(b" ")
    is_recent = abs(time.time() - int(headers["webhook-timestamp"])) <= 300
    return is_recent and any([hmac.compare_digest(expected, signature) for signature in given])
```"""
_EXAMPLE_EVENT = """\
```http
POST /hook HTTP/1.1
content-type: application/json
webhook-id: evt_5f0e5d1c7a3f4b0e9d8c7b6a59483726
webhook-timestamp: 1790000000
webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=

{"type": "job.succeeded", "timestamp": "2026-09-21T14:13:20+00:00",
 "data": {"id": "2jthr7fh2cxyz6svsjgwk4sxpw", "state": "succeeded",
          "counts": {"total": 1, "succeeded": 1, "partial": 0, "failed": 0, "cancelled": 0},
          "links": {"self": "https://masks.example/v1/jobs/2jthr7fh2cxyz6svsjgwk4sxpw",
                    "items": "https://masks.example/v1/jobs/2jthr7fh2cxyz6svsjgwk4sxpw/items"}}}
```"""
#: The example body of each request that has one.
_BODIES = {
    ("/v1/jobs", "post"): "-F image=@retina.jpg -F 'prompt=optic disc in retinal fundus'",
    ("/v1/uploads", "post"): "-F image=@retina.jpg",
    ("/v1/jobs/{job}/items/{item}/review", "put"): """--json '{"verdict": "accept", "grade": 4}'""",
}


def http_api_blocks(document: Json) -> Iterator[str]:
    """Yield the blocks of the page: each operation with an example, then the callbacks, then every schema."""
    yield _wrapped(_INTRODUCTION)
    for tag, title in _TITLES.items():
        yield f"## {title}"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag in operation["tags"]:
                    yield from _operation(path, method, operation)
    yield from _callbacks(document["webhooks"])
    yield "## Schemas"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _schema(name, schema)


def _operation(path: str, method: str, operation: Json) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield _example(path, method, operation)
    yield _wrapped(operation.get("description", ""))
    for scope in (scope for needed in operation["security"] for scope in needed["key"]):
        yield f"Needs the scope `{scope}`."
    if operation.get("parameters"):
        yield _table(("Parameter", "In", "Type", "Meaning"), map(_parameter, operation["parameters"]))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body, `{media}`: {_type(content['schema'])}"
    yield _table(("Status", "Answer", "Meaning"), (_answer(*found) for found in sorted(operation["responses"].items())))


def _example(path: str, method: str, operation: Json) -> str:
    """One `curl` command; the variables of a path become shell variables."""
    body = _BODIES.get((path, method), "")
    begin = "curl" if method == "get" or (method == "post" and body) else f"curl -X {method.upper()}"
    key = [] if operation.get("security") == [] else ['-H "Authorization: Bearer $MASKRELAY_API_KEY"']
    words = [" ".join([begin, *key]), *filter(None, [body])]
    address = path
    for name in ("job", "item", "event", "name"):
        address = address.replace(f"{{{name}}}", f"${name.upper()}")
    words.append(f'"$MASKRELAY_URL{address}"')
    return "```sh\n" + " \\\n  ".join(words) + "\n```"


def _parameter(parameter: Json) -> tuple[str, ...]:
    needed = "" if parameter["required"] else "?"
    meaning = parameter.get("description") or ""
    return f"`{parameter['name']}`{needed}", parameter["in"], _type(parameter["schema"]), meaning


def _answer(status: str, answer: Json) -> tuple[str, ...]:
    shown = [_type(content.get("schema", {})) or f"`{media}`" for media, content in answer.get("content", {}).items()]
    return status, ", ".join(dict.fromkeys(shown)), answer["description"]


def _callbacks(webhooks: Json) -> Iterator[str]:
    """The types of events differ only in name, so the first one describes all."""
    yield "## Callbacks"
    yield _EXAMPLE_EVENT
    yield _wrapped(_SIGNED)
    yield _VERIFY
    first = next(iter(webhooks.values()))["post"]
    introduction, _, steps = first["description"].partition("\n\n")
    yield _wrapped(introduction)
    yield steps.strip()
    yield _table(("Type", "Sent when"), ((f"`{name}`", hook["post"]["summary"]) for name, hook in webhooks.items()))
    yield _table(("Header", "Type", "Meaning"), (_row[:1] + _row[2:] for _row in map(_parameter, first["parameters"])))
    for media, content in first["requestBody"]["content"].items():
        yield f"Body, `{media}`: {_type(content['schema'])}"
    yield _table(
        ("Your answer", "What follows"), ((s, answer["description"]) for s, answer in first["responses"].items())
    )


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    if schema.get("description"):
        yield _wrapped(schema["description"])
    needed = schema.get("required", [])
    yield _table(
        ("Member", "Type", "Meaning"),
        (
            (f"`{member}`{'' if member in needed else '?'}", _type(about), _meaning(about))
            for member, about in schema["properties"].items()
        ),
    )


def _meaning(about: Json) -> str:
    default = about.get("default")
    told = f"Default `{default}`.".replace("True", "true").replace("False", "false") if default else ""
    return " ".join(filter(None, (about.get("description"), told)))


def _type(schema: Json) -> str:
    """A schema in a few words, with a link if it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", ""))
    if kind == "array":
        return _type_of_array(schema)
    if kind == "object":
        return _type_of_object(schema)
    return {"date-time": "time (RFC 3339)", "binary": "bytes"}.get(str(schema.get("format")), kind)


def _type_of_array(schema: Json) -> str:
    if "prefixItems" in schema:
        return "[" + ", ".join(_type(place) for place in schema["prefixItems"]) + "]"
    return f"list of {_type(schema['items'])}"


def _type_of_object(schema: Json) -> str:
    if "properties" in schema:
        return "; ".join(f"`{name}`: {_type(about)}" for name, about in schema["properties"].items())
    values = schema.get("additionalProperties")
    return f"map of {_type(values)}" if isinstance(values, Mapping) else "object"


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _wrapped(text: str) -> str:
    """Wrap paragraphs at 100 columns."""
    return "\n\n".join(
        textwrap.fill(part, _WIDTH, break_long_words=False, break_on_hyphens=False) for part in text.split("\n\n")
    )
