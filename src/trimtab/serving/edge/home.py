"""What a device keeps: the key that it trusts, the bundle in use and the one before it, and how far it has come.

``state.json`` alone says which bundle is in use, and it is replaced as a whole: the loss of power at any moment leaves
the old bundle or the new one. The highest number ever accepted is kept, so that no older bundle is taken again.
"""

import json
import os
import secrets
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import verify
from .verify import Refused

_MOST_BYTES = 2 << 30
_PIECE = 1 << 20
_KEY_BYTES = 32


class Home:
    """The folder of one device for one channel of bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    @property
    def installed(self) -> bool:
        return (self.folder / "state.json").exists()

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text("utf-8"))

    @property
    def trust(self) -> dict[str, str]:
        """The server's key and address, as they were when the first bundle came."""
        return json.loads((self.folder / verify.TRUST).read_text("utf-8"))

    def rules_key(self) -> bytes:
        """Return the key by which this device hashes what it writes down: made here, and known nowhere else."""
        path = self.folder / "rules.key"
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(OSError):
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
        return secrets.token_bytes(
            _KEY_BYTES
        )  # a full disk: equal values look equal until it is switched off

    def install(self, bundle: Path, *, key: str | None = None) -> dict[str, Any]:
        """Take a bundle's folder as the first one: its key is trusted from now on. Raises Refused.

        ``key`` is the fingerprint that the key must have, where it is known from elsewhere.
        """
        trust: dict[str, str] = json.loads((bundle / verify.TRUST).read_text("utf-8"))
        if key is not None and verify.fingerprint(trust["key"]) != key.lower():
            raise Refused(f"the bundle's key is {verify.fingerprint(trust['key'])}, not {key}")
        manifest = verify.read(bundle, trust["key"])
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / verify.TRUST, trust)
        target = self._place(manifest)
        shutil.rmtree(target, ignore_errors=True)
        for name in (*manifest["files"], verify.MANIFEST, verify.SIGNATURE):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / name, target / name)
        self._set({
            "device": secrets.token_hex(8),
            "channel": manifest["channel"],
            "highest": manifest["sequence"],
            "current": manifest["sequence"],
            "former": None,
            "refused": None,
        })  # fmt: skip
        return manifest

    def current(self) -> tuple[Path, dict[str, Any]]:
        """Return the bundle in use, checked anew; the former one where that was changed. Raises Refused."""
        state = self.state
        try:
            return self._read(state["current"])
        except (Refused, OSError, ValueError, KeyError) as error:
            if state["former"] is None:
                raise Refused(f"the bundle in use was changed: {error}") from error
        return self.roll_back(f"bundle {state['current']} was changed on this device")

    def roll_back(self, reason: str) -> tuple[Path, dict[str, Any]]:
        """Return to the former bundle, and note why; raises Refused where there is none."""
        state = self.state
        if state["former"] is None:
            raise Refused(f"{reason}, and there is no former bundle")
        found = self._read(state["former"])
        refused = {"sequence": state["current"], "reason": reason}
        self._set({**state, "current": state["former"], "former": None, "refused": refused})
        return found

    def unpack(self, archive: Path) -> tuple[Path, dict[str, Any]]:
        """Unpack a newer bundle beside the present one after every check, not in use yet; raises Refused and OSError."""
        state = self.state
        incoming = self.folder / "incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            with zipfile.ZipFile(archive) as packed:
                manifest = verify.read_signed(
                    _member(packed, verify.MANIFEST), _member(packed, verify.SIGNATURE), self.trust["key"]
                )
                if manifest["channel"] != state["channel"]:
                    raise Refused(f"the bundle is of {manifest['channel']}, not of {state['channel']}")
                if manifest["sequence"] <= state["highest"]:
                    raise Refused(
                        f"the bundle has number {manifest['sequence']}, and {state['highest']} was here already"
                    )
                if sum(size for _, size in manifest["files"].values()) > _MOST_BYTES:
                    raise Refused("the bundle is too large")
                for name, (_, size) in manifest["files"].items():
                    _unpack(packed, name, size, incoming / name)
                for name in (verify.MANIFEST, verify.SIGNATURE):
                    (incoming / name).write_bytes(_member(packed, name))
        except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
            raise Refused(f"the bundle is damaged: {error}") from error
        return incoming, verify.read(incoming, self.trust["key"])

    def accept(self, incoming: Path, manifest: dict[str, Any]) -> Path:
        """Put an unpacked bundle in use, keep the present one as the former, and remove those before it."""
        state = self.state
        target = self._place(manifest)
        shutil.rmtree(target, ignore_errors=True)
        incoming.rename(target)
        _sync(target.parent)
        self._set({
            **state,
            "highest": manifest["sequence"],
            "current": manifest["sequence"],
            "former": state["current"],
            "refused": None,
        })  # fmt: skip
        kept = {self._name(manifest["sequence"]), self._name(state["current"])}
        for old in target.parent.iterdir():
            if old.name not in kept:
                shutil.rmtree(old, ignore_errors=True)
        return target

    def refuse(self, sequence: int, reason: str) -> None:
        """Note that a bundle is not good, so that it is not fetched again; the present one stays."""
        self._set({**self.state, "refused": {"sequence": sequence, "reason": reason}})
        shutil.rmtree(self.folder / "incoming", ignore_errors=True)

    def _read(self, sequence: int) -> tuple[Path, dict[str, Any]]:
        folder = self.folder / "bundles" / self._name(sequence)
        manifest = verify.read(folder, self.trust["key"])
        if manifest["sequence"] != sequence or manifest["channel"] != self.state["channel"]:
            raise Refused(f"{folder.name} holds another bundle")
        return folder, manifest

    def _place(self, manifest: dict[str, Any]) -> Path:
        target = self.folder / "bundles" / self._name(manifest["sequence"])
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _name(self, sequence: int) -> str:
        return f"{sequence:08d}"

    def _set(self, state: dict[str, Any]) -> None:
        _write(self.folder / "state.json", state)


def _member(packed: zipfile.ZipFile, name: str) -> bytes:
    if packed.getinfo(name).file_size > 1 << 23:
        raise Refused(f"{name} is too large")
    return packed.read(name)


def _unpack(packed: zipfile.ZipFile, name: str, size: int, target: Path) -> None:
    if packed.getinfo(name).file_size != size:
        raise Refused(f"{name} is not the file that was signed")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with packed.open(name) as source, target.open("wb") as copy:
        while piece := source.read(_PIECE):
            done += len(piece)
            if done > size:
                raise Refused(f"{name} is not the file that was signed")
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())


def _write(path: Path, value: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
