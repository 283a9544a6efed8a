"""`--help` says of every option what it is for, in whole words."""

from __future__ import annotations

import re

from command_tree import all_commands


def test_every_option_and_argument_has_a_help_text() -> None:
    without = [
        f"{name}: {parameter.opts[0]}"
        for name, command in all_commands()
        for parameter in command.params
        if parameter.name != "help" and not parameter.help
    ]
    assert without == []


def test_no_word_stands_twice_in_a_help_text() -> None:
    for name, command in all_commands():
        texts = [command.help or "", *(parameter.help or "" for parameter in command.params)]
        doubled = [found for text in texts for found in re.findall(r"\b(\w+) \1\b", text)]
        assert doubled == [], name


def test_home_and_project_say_where_they_are_by_default() -> None:
    for name, command in all_commands():
        for parameter in command.params:
            if parameter.name in ("home", "project"):
                assert " Default " in parameter.help, name
