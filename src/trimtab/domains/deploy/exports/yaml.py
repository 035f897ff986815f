"""Writes values as YAML that people read: in the order given, without anchors, text of several lines as blocks."""

from collections.abc import Sequence
from typing import Any


def document(value: Any) -> str:
    """Return one YAML document."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Repeats what stands twice, where YAML would refer to it."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002
            del indentless
            super().increase_indent(flow, indentless=False)

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Plain.add_representer(str, text)
    return yaml.dump(value, Dumper=Plain, sort_keys=False, width=110, allow_unicode=True)


def documents(values: Sequence[Any]) -> str:
    """Return YAML documents, one after the other."""
    return "---\n".join(document(value) for value in values)
