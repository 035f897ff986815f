"""The state of the random generators that a training starts from, to be kept and to be set again."""

import base64
import hashlib
import json
import os
import random
import sys
from typing import Any


def capture() -> dict[str, Any]:
    """Return the state of Python's generator and of NumPy's and Torch's global ones, where these are imported."""
    version, state, gauss = random.getstate()
    seeds: dict[str, Any] = {
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED"),
        "random": [version, _packed_words(state), gauss],
    }
    if (numpy := sys.modules.get("numpy")) is not None and hasattr(numpy, "random"):
        kind, words, at, has_gauss, cached = numpy.random.get_state(legacy=True)
        seeds["numpy"] = [
            kind,
            base64.b64encode(words.tobytes()).decode(),
            int(at),
            int(has_gauss),
            float(cached),
        ]
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        state = bytes(torch.get_rng_state().tolist())
        seeds["torch"] = [int(torch.initial_seed()), base64.b64encode(state).decode()]
    return seeds


def summary(seeds: dict[str, Any]) -> dict[str, Any]:
    """Return captured states in short: what was seeded as it is, a state as its digest."""
    short: dict[str, Any] = {"PYTHONHASHSEED": seeds.get("PYTHONHASHSEED")}
    for name in ("random", "numpy"):
        if name in seeds:
            short[name] = hashlib.sha256(json.dumps(seeds[name]).encode()).hexdigest()[:12]
    if "torch" in seeds:
        short["torch"] = seeds["torch"][0]
    return short


def restore(seeds: dict[str, Any]) -> list[str]:
    """Set the generators to a captured state; return the names of those that were set."""
    done: list[str] = []
    if kept := seeds.get("random"):
        random.setstate((kept[0], _words(kept[1]), kept[2]))
        done.append("random")
    if (kept := seeds.get("numpy")) and (numpy := sys.modules.get("numpy")) is not None:
        words = numpy.frombuffer(base64.b64decode(kept[1]), dtype=numpy.uint32)
        numpy.random.set_state((kept[0], words, *kept[2:]))
        done.append("numpy")
    if (kept := seeds.get("torch")) and (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(kept[0])  # the devices too
        torch.set_rng_state(torch.tensor([*base64.b64decode(kept[1])], dtype=torch.uint8))
        done.append("torch")
    return done


def _packed_words(state: tuple[int, ...]) -> str:
    return base64.b64encode(b"".join(word.to_bytes(4, "little") for word in state)).decode()


def _words(text: str) -> tuple[int, ...]:
    packed = base64.b64decode(text)
    return tuple(int.from_bytes(packed[at : at + 4], "little") for at in range(0, len(packed), 4))
