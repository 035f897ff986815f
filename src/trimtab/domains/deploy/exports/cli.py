"""Commands that write endpoints down for other systems."""

from pathlib import Path
from typing import Annotated

import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import connect

Url = Annotated[str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")]


def export(
    name: Annotated[str, typer.Argument(help="An endpoint; every one when left out.")] = "*",
    format: Annotated[  # noqa: A002 (the flag's name)
        str | None, typer.Option("--format", help="The format by name, in place of its flag.")
    ] = None,
    haproxy: Annotated[bool, typer.Option("--haproxy", help="HAProxy's configuration.")] = False,
    envoy: Annotated[bool, typer.Option("--envoy", help="Envoy's bootstrap.")] = False,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Plain Kubernetes manifests.")] = False,
    kserve: Annotated[bool, typer.Option("--kserve", help="KServe's InferenceService.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write; else it is printed.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            help="Where versions answer: HOST:PORT of a gateway, VERSION=HOST:PORT of a server of one version."
            " Repeat it. Default: this server's gateway."
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT at which the proxy listens.")] = "127.0.0.1:8000",
    split: Annotated[
        str, typer.Option(help="Who chooses the version: proxy, or gateways as they do for everyone.")
    ] = "proxy",
    version: Annotated[str | None, typer.Option(help="As if this version had every request.")] = None,
    sticky_header: Annotated[
        str | None, typer.Option(help="Callers with the same value of this header meet the same version.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="For clusters: the packaged image; {version} stands for the version.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="For clusters.")] = None,
    replicas: Annotated[int, typer.Option(help="For clusters: replicas at the least.")] = 2,
    most_replicas: Annotated[int, typer.Option(help="For clusters: replicas at the most.")] = 8,
    cpu: Annotated[str, typer.Option(help="For clusters: processors of a replica.")] = "500m",
    memory: Annotated[str, typer.Option(help="For clusters: memory of a replica.")] = "512Mi",
    storage_uri: Annotated[
        str | None,
        typer.Option(help="For KServe: where the model's folder is, in place of the image's copy."),
    ] = None,
    url: Url = None,
) -> None:
    """Write the routing of an endpoint for another proxy or cluster."""
    flags = {"haproxy": haproxy, "envoy": envoy, "kubernetes": kubernetes, "kserve": kserve}
    chosen = [*([format] if format else []), *[flag for flag, given in flags.items() if given]]
    if len(chosen) != 1:
        raise Invalid(f"Choose one format: {', '.join(f'--{flag}' for flag in flags)}.", field="format")
    pieces = connect(url).download(
        f"/endpoints/{name}/export",
        format=chosen[0],
        upstream=upstream or None,
        listen=listen,
        split=split,
        version=version,
        sticky_header=sticky_header,
        image=image,
        namespace=namespace,
        replicas=replicas,
        most_replicas=most_replicas,
        cpu=cpu,
        memory=memory,
        storage_uri=storage_uri,
    )
    text = b"".join(pieces)
    if output is None:
        print(text.decode(), end="")
        return
    output.write_bytes(text)
    print(f"Wrote {output}")
