"""Reads the conventions of other tracers, so that their spans show inputs, outputs, models and tokens like MLflow's.

Sources: OpenTelemetry's semantic conventions for generative AI, OpenInference, Traceloop (OpenLLMetry), Langfuse,
Laminar and Google's agent kit. What a span says in MLflow's own words always wins. Prices are not looked up.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.spans.model import (
    INPUTS,
    MODEL,
    OUTPUTS,
    PROVIDER,
    SPAN_TYPE,
    TOKEN_USAGE,
    Span,
    count,
    dumps,
    loads_or_text,
)


class Convention(msgspec.Struct, frozen=True):
    """Which attributes of one tracer say what. A key that ends in ``*`` stands for all that begin so."""

    kind: str = ""
    kinds: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    provider: str = ""
    tokens: tuple[str, str, str] = ("", "", "")  # in, out, total
    cached: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())  # read, written


_GEN_AI_MODELS = ("gen_ai.response.model", "gen_ai.request.model")
CONVENTIONS = (
    Convention(
        kind="openinference.span.kind",
        kinds={
            name: name
            for name in (
                "TOOL",
                "CHAIN",
                "LLM",
                "RETRIEVER",
                "EMBEDDING",
                "AGENT",
                "RERANKER",
                "UNKNOWN",
                "GUARDRAIL",
                "EVALUATOR",
            )
        },
        inputs=("input.value",),
        outputs=("output.value",),
        models=(
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "embedding.model_name",
        ),
        provider="llm.provider",
        tokens=("llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total"),
        cached=(
            ("llm.token_count.prompt_details.cache_read",),
            ("llm.token_count.prompt_details.cache_write",),
        ),
    ),
    Convention(
        kind="gen_ai.operation.name",
        kinds={
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "text_completion": "LLM",
            "response": "LLM",
        },
        inputs=("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
        outputs=("gen_ai.output.messages", "gen_ai.tool.call.result"),
        models=_GEN_AI_MODELS,
        provider="gen_ai.provider.name",
        tokens=("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", ""),
        cached=(
            ("gen_ai.usage.cache_read.input_tokens",),
            ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        ),
    ),
    Convention(
        kind="traceloop.span.kind",
        kinds={
            "workflow": "WORKFLOW",
            "task": "TASK",
            "agent": "AGENT",
            "tool": "TOOL",
            "unknown": "UNKNOWN",
        },
        inputs=("traceloop.entity.input", "gen_ai.prompt.*"),
        outputs=("traceloop.entity.output", "gen_ai.completion.*"),
        provider="gen_ai.system",
        tokens=("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "llm.usage.total_tokens"),
    ),
    Convention(
        inputs=("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
        outputs=("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
    ),
    Convention(
        kind="lmnr.span.type",
        kinds={
            "LLM": "LLM",
            "TOOL": "TOOL",
            "DEFAULT": "CHAIN",
            "PIPELINE": "CHAIN",
            "EXECUTOR": "AGENT",
            "EVALUATOR": "EVALUATOR",
            "HUMAN_EVALUATOR": "EVALUATOR",
            "EVALUATION": "EVALUATOR",
            "CACHED": "LLM",
        },
        inputs=("lmnr.span.input",),
        outputs=("lmnr.span.output",),
    ),
    Convention(
        kind="langfuse.observation.type",
        kinds={
            "generation": "LLM",
            "embedding": "EMBEDDING",
            "tool": "TOOL",
            "retriever": "RETRIEVER",
            "agent": "AGENT",
            "chain": "CHAIN",
            "evaluator": "EVALUATOR",
            "guardrail": "GUARDRAIL",
            "span": "UNKNOWN",
        },
        inputs=("langfuse.observation.input",),
        outputs=("langfuse.observation.output",),
    ),
)
_CONTENT = re.compile(r"\d+\.content$")
_FOREIGN = re.compile(
    r"(?:openinference|llm|input|output|embedding|gen_ai|traceloop|gcp\.vertex|lmnr|langfuse)\."
)


def understood(span: Span) -> Span:
    """Return the span with MLflow's attributes added for what another tracer said in its own."""
    attributes = dict(span.attributes)
    if any(_FOREIGN.match(key) for key in attributes):
        _translate(attributes)
    if MODEL not in attributes and (model := _model_in_values(attributes)):
        attributes[MODEL] = dumps(model)
    return msgspec.structs.replace(span, attributes=attributes)


def _translate(attributes: dict[str, str]) -> None:
    if loads_or_text(attributes.get(SPAN_TYPE, "null")) in (None, "UNKNOWN") and (kind := _kind(attributes)):
        attributes[SPAN_TYPE] = dumps(kind)
    for target, field in ((INPUTS, "inputs"), (OUTPUTS, "outputs")):
        if target not in attributes:
            found = (_first(attributes, getattr(one, field)) for one in CONVENTIONS)
            if text := next((one for one in found if one), None):
                attributes[target] = text
    if TOKEN_USAGE not in attributes and (usage := _usage(attributes)):
        attributes[TOKEN_USAGE] = dumps(usage)
    if MODEL not in attributes:
        named = (_first(attributes, one.models) for one in CONVENTIONS)
        if text := next((one for one in named if one), None):
            attributes[MODEL] = text
    if PROVIDER not in attributes:
        named = (_first(attributes, (one.provider,)) for one in CONVENTIONS if one.provider)
        if text := next((one for one in named if one), None):
            attributes[PROVIDER] = text


def _kind(attributes: dict[str, str]) -> str | None:
    for one in CONVENTIONS:
        if one.kind and (text := attributes.get(one.kind)):
            stated = loads_or_text(text)
            if isinstance(stated, str) and (kind := one.kinds.get(stated)):
                return kind
    return None


def _first(attributes: dict[str, str], keys: Sequence[str]) -> str | None:
    """Return the JSON text of the first of these attributes that says something."""
    for key in keys:
        names = [key]
        if key.endswith("*"):
            start = key[:-1]
            names = [
                name for name in attributes if name.startswith(start) and _CONTENT.match(name[len(start) :])
            ]
        for name in names:
            text = attributes.get(name)
            if text is not None and loads_or_text(text):
                return text
    return None


def _usage(attributes: dict[str, str]) -> dict[str, int]:
    def number(key: str) -> int | None:
        return count(loads_or_text(attributes[key])) if key in attributes else None

    for one in CONVENTIONS:
        into, out, total = (number(key) for key in one.tokens)
        if into is not None and out is not None and total is None:
            total = into + out
        read, written = (
            next((n for key in keys if (n := number(key)) is not None), None) for keys in one.cached
        )
        usage = {"input_tokens": into, "output_tokens": out, "total_tokens": total}
        if any(value is not None for value in usage.values()):
            usage |= {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
            return {key: value for key, value in usage.items() if value is not None}
    return {}


def _model_in_values(attributes: dict[str, str]) -> str | None:
    """Return the model that a request or an answer names itself."""
    for key in (INPUTS, OUTPUTS):
        if '"model"' in (text := attributes.get(key, "")):
            value: Any = loads_or_text(text)
            if isinstance(value, dict) and isinstance(value.get("model"), str) and value["model"]:
                return value["model"]
    return None
