"""The shortest way to a server: a plain ``trimtab up``, and nothing else, is read without the whole command line."""

import inspect

import pytest

from trimtab import commands
from trimtab.cli import UP_FLAGS, _plain_up
from trimtab.settings import Settings


def test_it_knows_the_flags_of_the_command() -> None:
    assert tuple(inspect.signature(commands.up).parameters) == UP_FLAGS
    assert set(UP_FLAGS) <= set(Settings.__struct_fields__)
    numbers = {name for name in UP_FLAGS if Settings.__annotations__[name] is int}
    assert numbers == {name for name in UP_FLAGS if name.endswith("port")}


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["up"], {}),
        (["up", "--home", "h", "--port", "80"], {"home": "h", "port": "80"}),
        (["up", "--home=a=b", "--sign-in", "always"], {"home": "a=b", "sign_in": "always"}),
        (["up", "--home="], {"home": ""}),
    ],
)
def test_plain_flags_are_read(words: list[str], flags: dict[str, str]) -> None:
    assert _plain_up(words) == flags


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["status"],
        ["--help", "up"],
        ["up", "--help"],
        ["up", "--home"],
        ["up", "--home", "--port"],
        ["up", "--port", "many"],
        ["up", "--port", "²"],
        ["up", "--port="],
        ["up", "--hom", "h"],
        ["up", "--workers", "2"],
        ["up", "--sign_in", "always"],
        ["up", "-home", "h"],
        ["up", "home"],
        ["up", "--home", "a", "--home", "b"],
    ],
)
def test_all_else_is_left_to_the_whole_command_line(words: list[str]) -> None:
    assert _plain_up(words) is None
