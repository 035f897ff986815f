"""The names by which traces are searched and sorted, and what each stands for."""

from trimtab.domains.traces.infos.model import NAME_TAG, PROMPTS_TAG, RUN_KEY
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import Clause

ENTITIES = {
    "attribute": "attribute",
    "attributes": "attribute",
    "trace": "attribute",
    "tag": "tag",
    "tags": "tag",
    "request_metadata": "metadata",
    "metadata": "metadata",
    "span": "span",
    "feedback": "feedback",
    "expectation": "expectation",
    "issue": "issue",
}
TEXTS = {"request_id": "t.id", "status": "t.state", "client_request_id": "t.client_request_id"}
NUMBERS = {
    "timestamp_ms": "(t.request_us / 1000)",
    "execution_time_ms": "(t.duration_us / 1000)",
    "end_time_ms": "((t.request_us + coalesce(t.duration_us, 0)) / 1000)",
}
ALIASES = {"timestamp": "timestamp_ms", "execution_time": "execution_time_ms", "end_time": "end_time_ms"}
MEANINGS = {
    "name": ("tag", NAME_TAG),
    "prompt": ("tag", PROMPTS_TAG),
    "run_id": ("metadata", RUN_KEY),
    "text": ("span", "content"),
}
SEARCHED = sorted([*TEXTS, *NUMBERS, *ALIASES, *MEANINGS])
ORDERED = sorted([*NUMBERS, *ALIASES, "experiment_id", "status", "request_id", "name", "run_id"])


def meaning(clause: Clause) -> tuple[str, str]:
    """Return what kind of thing a clause compares, and which one."""
    entity = ENTITIES.get(clause.entity or "attribute")
    if entity is None:
        raise clause.refuse(
            f"Invalid entity type '{clause.entity}'. Valid values are {sorted(ENTITIES)}"
            f"{did_you_mean(clause.entity or '', ENTITIES)}"
        )
    if entity == "attribute" and clause.key not in SEARCHED:
        raise clause.refuse(
            f"Invalid attribute key '{clause.key}' specified. Valid keys are '{SEARCHED}'"
            f"{did_you_mean(clause.key, SEARCHED)}"
        )
    if clause.entity is None and clause.key == "text":
        raise clause.refuse("Invalid clause(s) in filter string: write trace.text.")
    if entity == "span":
        return entity, clause.key
    lowered = clause.key.lower()
    return MEANINGS.get(lowered) or (entity, ALIASES.get(lowered, clause.key))
