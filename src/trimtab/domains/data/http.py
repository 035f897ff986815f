"""The HTTP face of data: datasets and versions, their bytes, profiles and expectations, and blobs on their way in."""

from typing import Any

import msgspec

from trimtab.domains.data.compare import DataComparison
from trimtab.domains.data.model import (
    Check,
    Column,
    DataFile,
    Dataset,
    DataVersion,
    ValidationState,
    parse_version,
)
from trimtab.domains.data.service import DataService
from trimtab.domains.data.suites import Expectation, Suite
from trimtab.infra.http import Request, Route, Stream, route
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page, check_limit

_FILES_SHOWN = 1000


class PageQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class FilesQuery(msgspec.Struct):
    """``after`` is the path of the last file seen."""

    prefix: str = ""
    after: str = ""
    limit: int | None = None


class VersionQuery(msgspec.Struct):
    version: int | None = None


class CompareQuery(msgspec.Struct, rename={"old": "from", "new": "to"}):
    """Two versions; ``to`` left out means the newest."""

    old: int
    new: int | None = None


class AddVersion(msgspec.Struct, forbid_unknown_fields=True):
    """A version made of blobs that were uploaded before."""

    files: list[DataFile]
    message: str = ""
    derived_from: list[str] = []


class Blobs(msgspec.Struct, forbid_unknown_fields=True):
    blobs: list[str]


class Missing(msgspec.Struct):
    missing: list[str]


class Stored(msgspec.Struct):
    blob: str


class StoredMany(msgspec.Struct):
    stored: int


class Removed(msgspec.Struct):
    versions: int


class ReplaceSuite(msgspec.Struct, forbid_unknown_fields=True):
    expectations: list[Expectation]


class ValidationSummary(msgspec.Struct):
    state: ValidationState


class Validation(msgspec.Struct):
    """How a version met its expectations; ``problem`` says why there is no profile."""

    state: ValidationState
    checks: list[Check]
    suite_version: int | None
    problem: str | None


class VersionView(msgspec.Struct):
    """A version as listings show it."""

    name: str
    version: int
    ref: str
    digest: str
    rows: int | None
    size_bytes: int
    file_count: int
    message: str
    created_us: int
    created_by: str
    derived_from: list[str]
    profiled_us: int | None
    validation: ValidationSummary


class ValueCount(msgspec.Struct):
    value: str
    count: int


class Histogram(msgspec.Struct):
    edges: list[float]
    counts: list[int]


class ColumnView(msgspec.Struct):
    """The profile of a column; ``count`` includes ``nulls``, times are microseconds since 1970."""

    name: str
    type: str
    count: int
    nulls: int
    distinct: int
    distinct_exact: bool
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    infinite: int = 0
    quantiles: dict[str, float] = {}
    histogram: Histogram | None = None
    top: list[ValueCount] = []
    complete: bool = False
    shortest: int | None = None
    longest: int | None = None


class TableView(msgspec.Struct):
    """A table of a version, named after its files."""

    name: str
    rows: int
    columns: list[ColumnView]


class UnreadableFile(msgspec.Struct):
    path: str
    error: str


class ProfileView(msgspec.Struct):
    """``columns`` are those of the table with the most rows, which is the first of ``tables``."""

    tables: list[TableView]
    unreadable: list[UnreadableFile]
    columns: list[ColumnView] = []


class VersionDetail(msgspec.Struct):
    """A version with its first files, schema, profile and checks."""

    name: str
    version: int
    ref: str
    digest: str
    rows: int | None
    size_bytes: int
    file_count: int
    message: str
    created_us: int
    created_by: str
    derived_from: list[str]
    profiled_us: int | None
    validation: Validation
    files: list[DataFile]
    schema: list[Column]
    profile: ProfileView | None


class AddedVersion(VersionView):
    """``created`` is false where the newest version is the same already."""

    created: bool


class FilesPage(msgspec.Struct):
    items: list[DataFile]
    next_after: str | None


def routes(service: DataService) -> list[Route]:
    return [
        *_dataset_routes(service),
        *_version_routes(service),
        *_validation_routes(service),
        *_blob_routes(service),
    ]


def _dataset_routes(service: DataService) -> list[Route]:
    @route("GET", "/api/v1/data", query=PageQuery, returns=Page[Dataset], tags=["data"])
    def list_datasets(request: Request, query: PageQuery) -> Page[Dataset]:
        """List datasets by name."""
        return service.datasets(request.who, limit=query.limit, cursor=query.cursor)

    @route("GET", "/api/v1/data/{name}", returns=Dataset, tags=["data"])
    def get_dataset(request: Request) -> Dataset:
        """Return a dataset."""
        return service.get(request.who, request.path["name"])

    @route("DELETE", "/api/v1/data/{name}", returns=Removed, tags=["data"])
    def remove_dataset(request: Request) -> Removed:
        """Take a dataset with all its versions out of every listing."""
        return Removed(service.remove(request.who, request.path["name"]))

    @route("GET", "/api/v1/data/{name}/compare", query=CompareQuery, returns=DataComparison, tags=["data"])
    def compare_versions(request: Request, query: CompareQuery) -> DataComparison:
        """Compare two versions: columns, rows, nulls and the distance of each distribution."""
        return service.compare(request.who, request.path["name"], query.old, query.new)

    return [list_datasets, get_dataset, remove_dataset, compare_versions]


def _version_routes(service: DataService) -> list[Route]:
    @route("GET", "/api/v1/data/{name}/versions", query=PageQuery, returns=Page[VersionView], tags=["data"])
    def list_versions(request: Request, query: PageQuery) -> Page[VersionView]:
        """List the versions of a dataset, newest first."""
        page = service.versions(request.who, request.path["name"], limit=query.limit, cursor=query.cursor)
        return Page([VersionView(**_shown(version)) for version in page.items], page.next_cursor)

    @route(
        "POST",
        "/api/v1/data/{name}/versions",
        body=AddVersion,
        returns=AddedVersion,
        status=201,
        tags=["data"],
    )
    def add_version(request: Request, body: AddVersion) -> AddedVersion:
        """Add a version made of uploaded blobs; the newest one is answered if it is the same."""
        added = service.add(
            request.who,
            request.path["name"],
            body.files,
            message=body.message,
            derived_from=body.derived_from,
        )
        return AddedVersion(**_shown(added.version), created=added.created)

    @route("GET", "/api/v1/data/{name}/versions/{version}", returns=VersionDetail, tags=["data"])
    def get_version(request: Request) -> VersionDetail:
        """Return a version, by number or 'latest', with its schema, profile and checks."""
        name = request.path["name"]
        version = service.get_version(request.who, name, parse_version(request.path["version"]))
        found = service.findings(request.who, name, version.version)
        profile = None
        if (raw := service.profile(request.who, name, version.version)) is not None:
            profile = msgspec.json.decode(raw, type=ProfileView)
            profile.columns = profile.tables[0].columns if profile.tables else []
        shown = _shown(version)
        shown["validation"] = Validation(
            version.validation_state, found.checks, version.suite_version, found.problem
        )
        files = service.files(request.who, name, version.version)[:_FILES_SHOWN]
        return VersionDetail(**shown, files=files, schema=found.columns, profile=profile)

    @route("DELETE", "/api/v1/data/{name}/versions/{version}", returns=Removed, tags=["data"])
    def remove_version(request: Request) -> Removed:
        """Take a version out of every listing; its number is not given again."""
        number = parse_version(request.path["version"])
        if number is None:
            raise Invalid("Name the version to remove by its number.", field="version")
        return Removed(service.remove(request.who, request.path["name"], number))

    @route(
        "GET",
        "/api/v1/data/{name}/versions/{version}/files",
        query=FilesQuery,
        returns=FilesPage,
        tags=["data"],
    )
    def list_files(request: Request, query: FilesQuery) -> FilesPage:
        """List the files of a version by path."""
        size = check_limit(query.limit, default=1000, most=100_000)
        files = service.files(request.who, request.path["name"], parse_version(request.path["version"]))
        found = [file for file in files if file.path > query.after and file.path.startswith(query.prefix)]
        return FilesPage(found[:size], found[size - 1].path if len(found) > size else None)

    @route(
        "GET",
        "/api/v1/data/{name}/versions/{version}/files/{path:path}",
        media_type="application/octet-stream",
        tags=["data"],
    )
    def download_file(request: Request) -> Stream:
        """Download one file of a version."""
        file, stream = service.open_file(
            request.who,
            request.path["name"],
            parse_version(request.path["version"]),
            request.path["path"],
        )
        headers = {"content-length": str(file.size_bytes), "etag": f'"{file.blob}"'}
        return Stream(iter(lambda: stream.read(1 << 20), b""), headers=headers)

    @route(
        "POST",
        "/api/v1/data/{name}/versions/{version}/pack",
        body=Blobs,
        media_type="application/octet-stream",
        tags=["data"],
    )
    def download_pack(request: Request, body: Blobs) -> Stream:
        """Download blobs of a version as one pack: for each a line 'b3:... SIZE' and then its bytes."""
        version = parse_version(request.path["version"])
        return Stream(service.pack(request.who, request.path["name"], version, body.blobs))

    return [
        list_versions,
        add_version,
        get_version,
        remove_version,
        list_files,
        download_file,
        download_pack,
    ]


def _validation_routes(service: DataService) -> list[Route]:
    @route(
        "POST",
        "/api/v1/data/{name}/versions/{version}/validate",
        returns=VersionView,
        status=202,
        tags=["data"],
    )
    def validate_version(request: Request) -> VersionView:
        """Have a version validated again by the newest expectations."""
        version = parse_version(request.path["version"])
        return VersionView(**_shown(service.validation.request(request.who, request.path["name"], version)))

    @route("GET", "/api/v1/data/{name}/expectations", query=VersionQuery, returns=Suite, tags=["data"])
    def get_expectations(request: Request, query: VersionQuery) -> Suite:
        """Return what versions of a dataset are held to."""
        return service.validation.suite(request.who, request.path["name"], query.version)

    @route("PUT", "/api/v1/data/{name}/expectations", body=ReplaceSuite, returns=Suite, tags=["data"])
    def replace_expectations(request: Request, body: ReplaceSuite) -> Suite:
        """Replace what versions are held to from now on, as the next version of the suite."""
        return service.validation.replace_suite(request.who, request.path["name"], body.expectations)

    return [validate_version, get_expectations, replace_expectations]


def _blob_routes(service: DataService) -> list[Route]:
    @route("POST", "/api/v1/blobs/missing", body=Blobs, returns=Missing, tags=["blobs"])
    def missing_blobs(request: Request, body: Blobs) -> Missing:
        """Say which of these blobs are not stored yet."""
        return Missing(service.content.missing(request.who, body.blobs))

    @route("POST", "/api/v1/blobs/pack", returns=StoredMany, raw_body=True, tags=["blobs"])
    def upload_pack(request: Request) -> StoredMany:
        """Store many small blobs, all or none: for each a line 'b3:... SIZE' and then its bytes."""
        return StoredMany(service.content.put_pack(request.who, request.chunks()))

    @route("PUT", "/api/v1/blobs/{blob}", returns=Stored, raw_body=True, tags=["blobs"])
    def upload_blob(request: Request) -> Stored:
        """Store a blob; its digest must be the one in the address."""
        with request.body() as content:
            return Stored(service.content.put(request.who, request.path["blob"], content))

    return [missing_blobs, upload_pack, upload_blob]


def _shown(version: DataVersion) -> dict[str, Any]:
    fields = msgspec.structs.asdict(version)
    for inner in ("manifest", "suite_version", "validation_state"):
        fields.pop(inner)
    return {**fields, "ref": version.ref, "validation": ValidationSummary(version.validation_state)}
