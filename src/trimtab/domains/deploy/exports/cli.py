"""Commands that write endpoints down for other systems, and pack their models into images."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.kernel.errors import Conflict, Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Url


def export(
    name: Annotated[str, typer.Argument(help="An endpoint; every one when left out.")] = "*",
    format: Annotated[  # noqa: A002 (the flag's name)
        str | None, typer.Option("--format", help="The format by name, in place of its flag.")
    ] = None,
    haproxy: Annotated[bool, typer.Option("--haproxy", help="HAProxy's configuration.")] = False,
    envoy: Annotated[bool, typer.Option("--envoy", help="Envoy's bootstrap.")] = False,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Plain Kubernetes manifests.")] = False,
    kserve: Annotated[bool, typer.Option("--kserve", help="KServe's InferenceService.")] = False,
    ray: Annotated[bool, typer.Option("--ray", help="A folder for Ray Serve, with the models.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write, else it is printed; a new folder for Ray.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            help="Where versions answer: HOST:PORT of a gateway, VERSION=HOST:PORT of a server of one version."
            " https:// before the host for TLS. Repeat it. Default: this server's gateway."
        ),
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option(help="Where the proxy's machine has the authority of upstreams with TLS.")
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
    replicas: Annotated[
        int | None, typer.Option(help="For clusters: replicas at the least; 2, for Ray the endpoint's own.")
    ] = None,
    most_replicas: Annotated[
        int | None, typer.Option(help="For clusters: replicas at the most; 8, for Ray the endpoint's own.")
    ] = None,
    cpu: Annotated[str, typer.Option(help="For clusters: processors of a replica.")] = "500m",
    memory: Annotated[str, typer.Option(help="For clusters: memory of a replica.")] = "512Mi",
    storage_uri: Annotated[
        str | None,
        typer.Option(help="For KServe: where the model's folder is, in place of the image's copy."),
    ] = None,
    working_dir: Annotated[
        str | None, typer.Option(help="For Ray: where the cluster gets the folder, as an archive.")
    ] = None,
    installed: Annotated[
        bool, typer.Option("--installed", help="For Ray: the nodes have the packages; install none.")
    ] = False,
    url: Url = None,
) -> None:
    """Write the routing of an endpoint for another proxy or cluster."""
    flags = {"haproxy": haproxy, "envoy": envoy, "kubernetes": kubernetes, "kserve": kserve, "ray": ray}
    chosen = [*([format] if format else []), *[flag for flag, given in flags.items() if given]]
    if len(chosen) != 1:
        raise Invalid(f"Choose one format: {', '.join(f'--{flag}' for flag in flags)}.", field="format")
    if chosen[0] == "ray":
        body = {
            "version": version,
            "listen": listen,
            "replicas": replicas,
            "most_replicas": most_replicas,
            "cpu": cpu,
            "memory": memory,
            "working_dir": working_dir,
            "installed": installed,
        }
        _write_for_ray(connect(url), name, body, output)
        return
    pieces = connect(url).download(
        f"/endpoints/{name}/export",
        format=chosen[0],
        upstream=upstream or None,
        ca_file=ca_file,
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


def _write_for_ray(client: Client, name: str, body: dict[str, Any], folder: Path | None) -> None:
    if name == "*":
        raise Invalid("Ray Serve takes one endpoint in a folder: name it.", field="name")
    if folder is None:
        raise Invalid("Ray Serve needs the models beside its file: --output FOLDER.", field="output")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is not empty.", field="output")
    _extract(client.download(f"/endpoints/{name}/ray", body), folder)
    manifest = _check(folder, _server_key(client))
    print(
        f"Wrote {folder}: versions {manifest.version} of {manifest.model}, {len(manifest.files)} files, signed."
    )


BUILDERS = {
    "buildah": ["buildah", "bud", "-f", "Containerfile"],
    "podman": ["podman", "build", "-f", "Containerfile"],
    "docker": ["docker", "build", "-f", "Containerfile"],
}


def package(
    name: str,
    output: Annotated[Path | None, typer.Option("--output", help="Folder to write; it must be new.")] = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", help="Build the image under this name, with buildah, podman or docker."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A version that is served; default: the champion.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Image to build on: a Debian with the server's Python.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="A further package that the server has, such as pyarrow. Repeat it."),
    ] = None,
    url: Url = None,
) -> None:
    """Pack a served version for a container image, with a bill of materials and a signature."""
    if output is None and tag is None:
        raise Invalid("Say where to: --output FOLDER, or --tag IMAGE to build it.", field="output")
    client = connect(url)
    builder = _builder() if tag is not None else []
    with tempfile.TemporaryDirectory(prefix="trimtab-package-") as own:
        folder = output if output is not None else Path(own) / "package"
        if folder.exists() and any(folder.iterdir()):
            raise Conflict(f"{folder} is not empty.", field="output")
        body = {"version": version, "base": base, "include": include or []}
        _extract(client.download(f"/endpoints/{name}/package", body), folder)
        manifest = _check(folder, _server_key(client))
        print(f"Packed {manifest.model} version {manifest.version}: {len(manifest.files)} files, signed.")
        if output is not None:
            print(f"Wrote {output}")
        if tag is not None:
            # The image's name is said after "=", so that it is never read as an option.
            subprocess.run([*builder, f"--tag={tag}", "."], cwd=folder, check=True, stdout=sys.stderr)
            print(f"Built {tag}")


def verify(
    folder: Path,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key in PEM; default: the one that the server tells.")
    ] = None,
    url: Url = None,
) -> None:
    """Check a package's signature and every file against its manifest; exit 1 where they do not hold."""
    from trimtab.domains.deploy.exports.package.manifest import check
    from trimtab.infra.signing import BadSignature, fingerprint

    if key is not None and not key.is_file():
        raise Invalid(f"There is no key in {key}.", field="key")
    public_key = key.read_text() if key is not None else _server_key(connect(url))
    try:
        manifest = check(folder, public_key)
    except BadSignature as error:
        print(f"trimtab: {error.message}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(
        f"{folder}: {manifest.model} version {manifest.version} for endpoint {manifest.endpoint},"
        f" {len(manifest.files)} files as signed by {fingerprint(public_key)}"
    )


def signing_key(url: Url = None) -> None:
    """Print the public key by which packages of this server are checked."""
    print(_server_key(connect(url)), end="")


def _server_key(client: Client) -> str:
    return b"".join(client.download("/signing-key")).decode()


def _check(folder: Path, public_key: str) -> Any:
    from trimtab.domains.deploy.exports.package.manifest import check

    return check(folder, public_key)


def _builder() -> list[str]:
    found = next((command for name, command in BUILDERS.items() if shutil.which(name)), None)
    if found is None:
        raise Unavailable(
            f"To build an image needs one of {', '.join(BUILDERS)}; --output writes what to build from."
        )
    return found


def _extract(pieces: Iterator[bytes], folder: Path) -> None:
    """Write a tar stream's files below a folder, and nowhere else."""
    with tarfile.open(fileobj=_Reader(pieces), mode="r|") as archive:
        archive.extractall(folder, filter="data")


class _Reader(io.RawIOBase):
    """Pieces of an answer as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._left += piece
        size = len(self._left) if size < 0 else size
        taken, self._left = self._left[:size], self._left[size:]
        return taken
