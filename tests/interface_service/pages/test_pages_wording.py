"""The words of the pages: every one in both languages, none of them left over; and the addresses they make."""

from __future__ import annotations

import re

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from jinja2 import UndefinedError

from omgov_assets.interface_service.pages import HERE
from omgov_assets.interface_service.pages.addresses import Value, address, part, within
from omgov_assets.interface_service.pages.page import OPTION_WORDS, PAGE_NAMES
from omgov_assets.interface_service.pages.wording import (
    CATALOGUES,
    NOUNS_OF_PAGES,
    TERMS_OF_PAGES,
    environment,
    language,
)
from omgov_assets.quality_analysis.report.languages import language as language_of_report


def test_every_message_is_translated_and_every_translation_is_used() -> None:
    options = {"newstyle_gettext": "true", "silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}
    found = extract_from_dir(HERE / "templates", [("**.j2", "jinja2")], {"**.j2": options})
    used = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}
    used |= {word for pair in NOUNS_OF_PAGES.values() for word in pair}
    used |= {*TERMS_OF_PAGES.values(), *PAGE_NAMES.values()}
    assert len(used) > 200
    with CATALOGUES["zh"].open("rb") as file:
        catalogue = {
            message.id if isinstance(message.id, str) else message.id[0]: message
            for message in read_po(file, abort_invalid=True)
            if message.id
        }
    assert used - set(catalogue) - set(language_of_report("zh").words) == set()
    assert set(catalogue) - used == set()
    assert set(catalogue) & set(language_of_report("zh").words) == set()
    for name, message in catalogue.items():
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        for text in texts:
            assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", name)), name
            assert re.search(r"[\u4e00-\u9fff，。：]", text) or name == "by %(name)s", name


def test_every_option_of_an_address_has_a_word_and_a_misspelt_name_is_an_error() -> None:
    for code in ("en", "zh"):
        word = environment(code).globals["word"]
        assert all(word(name) for name in OPTION_WORDS.values())
    assert language("zh").text("root cause") == "根因"
    with pytest.raises(UndefinedError):
        environment("en").from_string("{{ nothing }}").render()


def test_an_address_is_quoted_and_leaves_out_what_is_not_asked() -> None:
    values: dict[str, Value] = {"day": None, "q": "", "type": ["a&b", "c d"]}
    assert address("/root", "/cases", values) == "/root/cases?type=a%26b&type=c+d"
    assert part("../x?y#z") == "%2E%2E%2Fx%3Fy%23z"
    assert within("/cases?x=1") == "/cases?x=1"
    assert {within(one) for one in ("//evil", "/\\evil", "cases", None, "/\x00", "/ä")} == {"/"}
