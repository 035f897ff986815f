"""References to objects of any domain as text, such as ``model:flights/3`` or ``run:0af3``."""

KINDS = (
    "alert",
    "alert-channel",
    "alert-rule",
    "artifact",
    "batch-prediction",
    "blob",
    "commit",
    "data",
    "endpoint",
    "episode",
    "evaluation-dataset",
    "experiment",
    "job",
    "logged-model",
    "model",
    "monitor",
    "pipeline",
    "pipeline-run",
    "prediction",
    "rollout",
    "run",
    "token",
    "trace",
    "user",
    "view",
    "webhook",
)


def run(run_id: str) -> str:
    return f"run:{run_id}"


def model(name: str, version: int | str | None = None) -> str:
    return f"model:{name}" if version is None else f"model:{name}/{version}"


def data(name: str, version: int | str | None = None) -> str:
    return f"data:{name}" if version is None else f"data:{name}@{version}"


def make(kind: str, name: str) -> str:
    """Return the reference of a plain kind; raises ValueError for an unknown one."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of reference {kind!r}")
    return f"{kind}:{name}"


def split(ref: str) -> tuple[str, str]:
    """Return (kind, name); raises ValueError where the text is no reference."""
    kind, colon, name = ref.partition(":")
    if not colon or kind not in KINDS or not name:
        raise ValueError(f"not a reference: {ref!r}")
    return kind, name


def model_parts(ref: str) -> tuple[str, str | None]:
    """Return (name, version or None) of a model reference."""
    name, _, version = split(ref)[1].rpartition("/")
    return (name, version) if name else (version, None)


def data_parts(ref: str) -> tuple[str, str | None]:
    """Return (name, version or None) of a data reference."""
    name, at, version = split(ref)[1].partition("@")
    return name, version if at else None


def href(ref: str) -> str:
    """Return the page of the web UI that shows the object."""
    kind, name = split(ref)
    match kind:
        case "model":
            model_name, version = model_parts(ref)
            return f"/models/{model_name}" + (f"/versions/{version}" if version else "")
        case "data":
            data_name, version = data_parts(ref)
            return f"/data/{data_name}" + (f"/versions/{version}" if version else "")
        case "run":
            return f"/experiments/runs/{name}"
        case "pipeline-run":
            return f"/pipelines/runs/{name}"
        case "batch-prediction":
            return f"/batch/{name}"
        case "endpoint" | "monitor" | "alert" | "prediction" | "experiment" | "pipeline" | "trace":
            return f"/{kind}s/{name}"
        case "alert-channel" | "alert-rule":
            return "/alerts"
        case _:
            return f"/lineage?ref={ref}"
