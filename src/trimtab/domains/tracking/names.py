"""What names and texts tracking takes: the rules of keys, and the limits of values."""

import json
import posixpath
import random
import re

from trimtab.kernel.errors import Invalid

MOST_KEY = 250
MOST_PARAM = 6000
MOST_TAG = 8000
MOST_EXPERIMENT_NAME = 500
MOST_EXPERIMENT_TAG = 20_000
MOST_LOCATION = 2048

_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_CHOSEN_ID = re.compile(r"[0-9a-f]{32}")
_ADJECTIVES = (
    "amber azure brisk calm clever coral crisp eager fair fleet gentle golden hardy honest ivory jolly keen light "
    "lively lucid merry mild noble placid proud quick quiet rapid royal sage silver smooth steady stout sunny swift "
    "tidal trim vivid warm"
)
_NOUNS = (
    "anchor beacon bosun bow breeze brig buoy capstan channel compass cutter deck dory ferry fjord galley gull "
    "halyard harbor helm jetty jib keel ketch lagoon lantern mast mate oar osprey pilot port prow reef rudder sail "
    "schooner sextant sloop spar stern tide tiller trawler wake wharf yawl"
)


def check_key(name: str, field: str) -> str:
    """Return the name of a metric, parameter or tag; raises Invalid for one that could not be a file's name."""
    if not _KEY.fullmatch(name):
        raise Invalid(
            f"Invalid value {_quoted(name)} for parameter '{field}' supplied: Names may only contain alphanumerics, "
            "underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
            field=field,
        )
    norm = posixpath.normpath(name)
    if norm != name or norm == "." or norm.startswith(("..", "/")):
        raise Invalid(
            f"Invalid value {_quoted(name)} for parameter '{field}' supplied: Names may be treated as files in certain "
            f"cases, and must not resolve to other names when treated as such. This name would resolve to {norm[:100]!r}",
            field=field,
        )
    return check_length(name, MOST_KEY, field)


def check_length(text: str, most: int, field: str) -> str:
    """Return the text; raises Invalid when it is longer than the limit."""
    if len(text) > most:
        raise Invalid(f"'{field}' exceeds the maximum length of {most} characters", field=field)
    return text


def check_run_id(run_id: str) -> str:
    """Return the id; raises Invalid for what no server issues as one."""
    if not _RUN_ID.fullmatch(run_id):
        raise Invalid(f"Invalid value {_quoted(run_id)} for parameter 'run_id' supplied.", field="run_id")
    return run_id


def check_chosen_id(run_id: str) -> str:
    """Return an id that a client chose for a new run; raises Invalid unless it has the form that servers issue."""
    if not _CHOSEN_ID.fullmatch(run_id):
        raise Invalid("The id of a new run is 32 hexadecimal digits in lower case.", field="id")
    return run_id


def random_name() -> str:
    """Return a name such as ``brisk-keel-271`` for what nobody named."""
    adjective, noun = random.choice(_ADJECTIVES.split()), random.choice(_NOUNS.split())  # noqa: S311 - a label
    return f"{adjective}-{noun}-{random.randrange(1000)}"  # noqa: S311 - the same


def _quoted(text: str) -> str:
    return json.dumps(text[:100])
