"""Models, versions, aliases and gates as values, and the rules that their names keep."""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.who import Role

Stage = Literal["None", "Staging", "Production", "Archived"]
STAGES: tuple[Stage, ...] = get_args(Stage)
ACTIVE_STAGES: tuple[Stage, ...] = ("Staging", "Production")
Verdict = Literal["passed", "failed"]
SafetyVerdict = Literal["safe", "allowed", "suspicious", "unknown"]

LATEST = "latest"  # an alias that always means the newest version and cannot be set
PROMPT_TAG = "mlflow.prompt.is_prompt"  # MLflow keeps its prompts in the registry, marked by this tag

PROMPT_TEXT_TAG = "mlflow.prompt.text"
PROMPT_MARKS = frozenset(
    {PROMPT_TAG, "_mlflow_prompt_type"}
)  # tags that only say that it is a prompt, and which kind

MOST_NAME = 256
MOST_DESCRIPTION = 50_000
MOST_TAG_KEY = 250
MOST_TAG_VALUE = 100_000
MOST_VERSION = 2**31 - 1

_ALIAS = re.compile(r"[\w-]{1,255}")
_NUMBERED_ALIAS = re.compile(r"[vV]\d+")


class RegisteredModel(msgspec.Struct, frozen=True):
    """A name under which versions are kept. ``latest_version`` is None where there is none."""

    name: str
    description: str
    created_us: int
    created_by: str
    updated_us: int
    latest_version: int | None
    aliases: dict[str, int] = {}
    tags: dict[str, str] = {}


class File(msgspec.Struct, frozen=True):
    """A file of a version: its path below the version's folder and the blob with its bytes."""

    path: str
    blob: str
    size_bytes: int


class Facts(msgspec.Struct, frozen=True):
    """What the files say of a model when it is registered.

    ``signature`` holds ``inputs``, ``outputs`` and ``params`` as MLflow writes them. ``safe`` means that loading runs
    no code that the files bring along; ``unsafe_because`` names what speaks against it. ``loaded`` are the paths that
    the loader opens; ``foreign_loader`` says that code which is not MLflow's would load the model.
    """

    format: str
    safe: bool
    flavor: str | None = None
    flavors: list[str] = []
    unsafe_because: list[str] = []
    signature: dict[str, Any] | None = None
    loaded: list[str] = []
    foreign_loader: bool = False


class ModelVersion(msgspec.Struct, frozen=True):
    """One version of a model. Its number is never used again and its files never change.

    ``digest`` is the SHA-256 over all paths and blobs; ``location`` is where the files lie for MLflow's clients, None
    for a version without files of its own (a prompt). Metrics are those of the run; NaN and infinities are None.
    ``verdict`` is what the scan of its files found; ``strangers`` names what they would import that is not allowed.
    """

    name: str
    version: int
    created_us: int
    created_by: str
    updated_us: int
    stage: str
    source: str
    location: str | None
    run_id: str | None
    run_link: str | None
    model_id: str | None
    description: str
    format: str
    safe: bool
    digest: str
    size_bytes: int
    files: int
    flavor: str | None
    flavors: list[str]
    unsafe_because: list[str]
    signature: dict[str, Any] | None
    metrics: dict[str, float | None]
    data: list[str]
    verdict: SafetyVerdict = "unknown"
    strangers: list[str] = []
    aliases: list[str] = []
    tags: dict[str, str] = {}
    status: Literal["READY"] = "READY"


class AliasMove(msgspec.Struct, frozen=True):
    """An alias that came to point elsewhere: from ``previous`` (None when new) to ``version`` (None when removed)."""

    seq: int
    at_us: int
    alias: str
    version: int | None
    previous: int | None
    actor: str
    reason: str
    evidence: Any = None


class GateCheck(msgspec.Struct, frozen=True):
    """One condition of a gate, with the interval of its value where that is an estimate."""

    name: str
    passed: bool
    value: float | None = None
    threshold: float | None = None
    low: float | None = None
    high: float | None = None
    detail: str = ""


class MetricEstimate(msgspec.Struct, frozen=True):
    """A metric of a version as it was estimated from rows: the value with its interval at ``level``, and how.

    ``method`` says how the interval was made (``bootstrap``, ``delong``, ``wilson`` ...); ``rows`` and ``data`` on what.
    """

    key: str
    estimate: float
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    method: str = ""
    rows: int | None = None
    data: str = ""
    at_us: int = 0
    actor: str = ""


class ModelEnvironment(msgspec.Struct, frozen=True):
    """A place such as ``production`` that holds one version: an alias that only some may move, and only by its rules.

    ``role`` is the lowest that may move it. ``after`` names the environment in which a version must have been before.
    ``needs_gate`` asks for a passed gate. ``verdicts`` are the verdicts of the scan that are let in, all when empty.
    """

    name: str
    role: Role = "editor"
    after: str | None = None
    needs_gate: bool = False
    verdicts: list[SafetyVerdict] = []


class EnvironmentState(msgspec.Struct, frozen=True):
    """An environment and what is in it: since when, put there by whom and why."""

    environment: ModelEnvironment
    version: int | None = None
    since_us: int | None = None
    by: str | None = None
    reason: str = ""


class Gate(msgspec.Struct, frozen=True):
    """The verdict on a version before it may serve; ``champion`` is the version that it was compared with."""

    id: str
    at_us: int
    actor: str
    verdict: Verdict
    champion: int | None
    checks: list[GateCheck]
    evidence: dict[str, Any] = {}


def check_name(name: str) -> str:
    """Return a model's name when it can stand in a URI and a path; raises Invalid."""
    if not name.strip():
        raise Invalid("A model needs a name.", field="name")
    if len(name) > MOST_NAME:
        raise Invalid(f"A model's name has at most {MOST_NAME} characters.", field="name")
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name {name!r}: a name cannot contain '/' or ':'.", field="name")
    if _unprintable(name) or posixpath.normpath(name) != name or name.startswith("..") or name == ".":
        raise Invalid(f"Invalid model name {name!r}.", field="name")
    return name


def check_alias_letters(alias: str) -> str:
    """Return a text that could be an alias; raises Invalid."""
    if not _ALIAS.fullmatch(alias):
        raise Invalid(
            f"Invalid alias {alias[:100]!r}: letters, digits, '_' and '-', at most 255 characters.",
            field="alias",
        )
    return alias


def check_alias(alias: str) -> str:
    """Return an alias that may be set; raises Invalid for ``latest`` and ``v3``, which already mean something."""
    check_alias_letters(alias)
    if alias.lower() == LATEST or _NUMBERED_ALIAS.fullmatch(alias):
        raise Invalid(f"The alias {alias!r} is reserved.", field="alias")
    return alias


def check_description(description: str) -> str:
    if len(description) > MOST_DESCRIPTION:
        raise Invalid(f"A description has at most {MOST_DESCRIPTION} characters.", field="description")
    return description


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags whose keys and values are within MLflow's limits; raises Invalid."""
    for key, value in tags.items():
        if not key.strip() or len(key) > MOST_TAG_KEY or _unprintable(key):
            raise Invalid(
                f"Invalid tag key {key[:100]!r}: at most {MOST_TAG_KEY} characters, none of them control characters.",
                field="tags",
            )
        if len(value) > MOST_TAG_VALUE:
            raise Invalid(f"The tag {key!r} is longer than {MOST_TAG_VALUE} characters.", field="tags")
    return dict(tags)


def stage_of(text: str) -> Stage:
    """Return a stage, whatever its case; raises Invalid."""
    for stage in STAGES:
        if stage.lower() == text.lower():
            return stage
    raise Invalid(
        f"Invalid stage {text[:100]!r}: one of {', '.join(STAGES)}.{did_you_mean(text, STAGES)}",
        field="stage",
    )


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether the tags are those of an MLflow prompt, which has text and no files."""
    return tags.get(PROMPT_TAG, "").lower() == "true"


def tree_digest(files: Iterable[File]) -> str:
    """Return ``sha256:`` and the digest over the sorted (path, blob) pairs, which names the content as a whole."""
    pairs = sorted((file.path, file.blob) for file in files)
    return f"sha256:{hashlib.sha256(msgspec.json.encode(pairs)).hexdigest()}"


def _unprintable(text: str) -> bool:
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)
