"""Lays out the folder that an image is built from, and sends it as a tar stream that is the same each time."""

import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import trimtab
from trimtab.domains.deploy.exports.package import manifest
from trimtab.domains.deploy.exports.package.image import Packed, containerfile, readme
from trimtab.domains.deploy.exports.package.lock import Lock
from trimtab.domains.deploy.exports.package.manifest import Manifest
from trimtab.infra.signing import Signer
from trimtab.version import __version__

_CODE = ("__init__.py", "version.py", "kernel", "serving")
"""What of this package runs in an image: the data plane, which stands apart."""

_LEFT_OUT = ("compiling", "bulk", "ray_serve")
"""Parts of the data plane that work on models and tables, and not on requests; and those that run on Ray."""

_BLOCK = 512
_PIECE = 1 << 20


def lay_out(
    folder: Path,
    packed: Packed,
    *,
    base: str,
    packages: Lock,
    bill: bytes,
    settings: bytes,
    signer: Signer,
) -> Manifest:
    """Write all but the model, which lies in ``model/`` already, and the signed manifest of all; return that."""
    (folder / "Containerfile").write_text(containerfile(packed, base=base))
    (folder / "README.md").write_text(readme(packed))
    (folder / "requirements.lock").write_text(packages.model)
    (folder / "server.lock").write_text(packages.server)
    (folder / "bom.cdx.json").write_bytes(bill)
    (folder / "settings.json").write_bytes(settings)
    (folder / "wheels").mkdir()
    (folder / "wheels" / "README").write_text("Wheels put here are installed in place of a registry's.\n")
    copy_code(folder / "app" / "trimtab")
    return sign(
        folder,
        packed.endpoint,
        model=packed.model,
        version=packed.version,
        digest=packed.digest,
        signer=signer,
    )


def sign(folder: Path, endpoint: str, *, model: str, version: str, digest: str, signer: Signer) -> Manifest:
    """Write the signed manifest of all that lies in a folder; return it."""
    (folder / manifest.KEY).write_text(signer.public_key)
    made = Manifest(endpoint, model, version, digest, f"trimtab {__version__}", manifest.files_of(folder))
    content = manifest.encode(made)
    (folder / manifest.MANIFEST).write_bytes(content)
    (folder / manifest.SIGNATURE).write_bytes(signer.sign(content))
    return made


def copy_code(target: Path, *, but: Sequence[str] = _LEFT_OUT) -> None:
    """Copy the data plane's code, without some of its parts."""
    source = Path(trimtab.__file__).parent
    left_out = shutil.ignore_patterns("__pycache__", *but)
    for name in _CODE:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=left_out)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def pack(folder: Path, *, modified_s: int) -> Iterator[bytes]:
    """Yield a folder as a tar archive, piece by piece; owners, modes and times do not depend on this machine."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        about = tarfile.TarInfo(file.relative_to(folder).as_posix())
        about.size, about.mtime, about.mode = file.stat().st_size, modified_s, 0o644
        yield about.tobuf(tarfile.PAX_FORMAT)
        with file.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield piece
        yield b"\0" * (-about.size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)
