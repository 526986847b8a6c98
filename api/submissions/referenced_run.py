"""The parser of a run whose lines are in a manifest, or are the objects of a listing. The workers read both."""

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import Field

from api.dependencies import Limits
from api.http.json_pointer import pointer
from api.submissions.options import Options, OptionsAsked, StrictModel, members, read_options
from api.submissions.parse import Fingerprint, Prompts
from api.submissions.source_references import Reference, read_reference
from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.errors import Malformed, OptionInvalid, SourceInvalid
from maskrelay.rules.run_lines import checked_prompts
from maskrelay.sources.listing_patterns import read_pattern
from maskrelay.sources.manifest_rows import format_of

_CREDENTIAL = "The name of the credential. The default is the one whose prefix contains the source."
_SHARED = "The prompts of rows without their own."


class ManifestAsked(StrictModel):
    """A file with an item in each row: NDJSON, CSV with a header, or Parquet.

    The columns are `source` (the URL of the item's source), `custom_id`, `credential` and `prompts`. Only `source` is
    needed. `prompts` is a list, or text in which prompts are separated by `;`. A row can have the options of one item:
    as the member `options` in NDJSON, and as columns with their names in CSV and Parquet.
    """

    source: str = Field(description="The URL of the manifest, for example `s3://bucket/cohort.csv`.")
    credential: str | None = Field(None, description=_CREDENTIAL)
    format: ManifestFormat | None = Field(
        None, description="The default follows from the ending: `.ndjson`, `.jsonl`, `.csv` or `.parquet`."
    )


class ListingAsked(StrictModel):
    """The objects of a store whose URLs match a pattern."""

    source: str = Field(
        description="A URL with wildcards, for example `s3://bucket/ct/**/*.dcm`: `*` stands for any text within a "
        "segment, `?` for one character, and the segment `**` for any number of folders. A URL that ends with `/` "
        "stands for everything below. A DICOMweb study, series or query (`dicomweb+https://`) has no wildcards."
    )
    credential: str | None = Field(None, description=_CREDENTIAL)


class ManifestRunAsked(StrictModel):
    manifest: ManifestAsked
    prompts: Prompts | None = Field(None, description=_SHARED)
    options: OptionsAsked | None = None


class ListingRunAsked(StrictModel):
    listing: ListingAsked
    prompts: Annotated[Prompts, Field(description="The prompts of every item.")]
    options: OptionsAsked | None = None


@dataclass(frozen=True, slots=True)
class ReferencedRun:
    """A run whose lines are not in the request."""

    #: The manifest, or the pattern of the listing, in canonical form, and the credential that the request names.
    reference: Reference
    #: The format of the manifest. None for a listing.
    format: ManifestFormat | None
    #: The URL that the tenant must be allowed to read.
    read_url: str
    prompts: tuple[str, ...]
    options: Options

    @property
    def member(self) -> str:
        """The name of the member of the request that says where the lines are."""
        return "listing" if self.format is None else "manifest"

    def fingerprint(self) -> str:
        """Return a hash of everything that distinguishes this request from another one."""
        fingerprint = Fingerprint()
        fingerprint.add(self.member, *self.reference.identity(), self.format, self.prompts)
        return fingerprint.of(self.options)


def is_referenced_run(value: Any) -> bool:
    """Return whether the JSON body of a request is meant to be such a run."""
    return isinstance(value, dict) and bool(value.keys() & {"manifest", "listing"})


def read_referenced_run(value: Any, limits: Limits) -> ReferencedRun:
    """Parse the JSON body of such a run. Raises Malformed, OptionUnknown, OptionInvalid, SourceInvalid, or the error of
    a prompt.
    """
    if "manifest" in value:
        given = members(value, ManifestRunAsked.model_fields, ())
        where = members(given.get("manifest"), ManifestAsked.model_fields, ("manifest",))
        reference = _reference(where, "manifest")
        kind, read_url = _format(where, reference), reference.url
        needs_prompts = "prompts" in given
    else:
        given = members(value, ListingRunAsked.model_fields, ())
        where = members(given.get("listing"), ListingAsked.model_fields, ("listing",))
        reference, read_url = _pattern(where)
        kind, needs_prompts = None, True
    prompts = checked_prompts(given.get("prompts", []), limits, pointer("prompts")) if needs_prompts else ()
    return ReferencedRun(reference, kind, read_url, prompts, read_options(given.get("options", {})))


def _reference(where: dict[str, Any], member: str) -> Reference:
    if "source" not in where:
        raise Malformed(f"A {member} needs a source.", pointer=pointer(member, "source"))
    about = {name: text for name, text in where.items() if name in {"source", "credential"}}
    return read_reference(about, (member,))


def _format(where: dict[str, Any], reference: Reference) -> ManifestFormat:
    known = get_args(ManifestFormat)
    given: Any = where.get("format", format_of(reference.url))
    if given not in known:
        detail = f"Expected one of {', '.join(known)}, because the name of the manifest has none of their endings."
        raise OptionInvalid(detail, pointer=pointer("manifest", "format"))
    kind: ManifestFormat = given
    return kind


def _pattern(where: dict[str, Any]) -> tuple[Reference, str]:
    """Return the reference of a listing, and the URL that is listed."""
    for name in ("source", "credential"):
        if not isinstance(where.get(name, ""), str):
            raise Malformed("Expected text.", pointer=pointer("listing", name))
    if "source" not in where:
        raise Malformed("A listing needs a source.", pointer=pointer("listing", "source"))
    try:
        pattern = read_pattern(where["source"])
    except SourceInvalid as error:
        raise SourceInvalid(error.detail, pointer=pointer("listing", "source")) from None
    return Reference(pattern.text, where.get("credential")), pattern.prefix
