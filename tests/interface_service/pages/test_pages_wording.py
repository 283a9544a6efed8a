"""The words of the pages: every one in both languages, none of them left over; and the addresses they make."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from contrast import colours_beside, contrast, palettes
from jinja2 import UndefinedError

from omgov_assets import admission
from omgov_assets.data_management import collection
from omgov_assets.interface_service.pages import HERE
from omgov_assets.interface_service.pages.addresses import Value, address, part, within
from omgov_assets.interface_service.pages.page import OPTION_WORDS, PAGE_NAMES, style
from omgov_assets.interface_service.pages.refusals import OF_BATCHES, OF_COLUMNS, OF_RECORDS, REFUSALS, refusal
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
    used |= {*TERMS_OF_PAGES.values(), *PAGE_NAMES.values(), *REFUSALS.values()}
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


def test_every_code_of_the_gate_has_words_in_both_languages() -> None:
    files = [*Path(admission.__file__).parent.glob("*.py"), Path(collection.__file__)]
    source = {path: path.read_text(encoding="utf-8") for path in files}
    sql = "".join(path.read_text(encoding="utf-8") for path in Path(admission.__file__).parent.glob("*.sql"))
    raised, constants = set(), dict[str, str]()
    for text in source.values():
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                    constants[name] = value
                case ast.Call(func=ast.Name(id="RefusedBatchError" | "_refusal"), args=[ast.Constant(value=code), *_]):
                    raised.add(code)
                case ast.Call(func=ast.Name(id="RefusedBatchError"), args=[ast.Name(id=name), *_]) if name.isupper():
                    raised.add(constants.get(name, name))
    assert len(raised) > 25
    # A reader of CSV chooses between two, and the ledger has one of its own.
    assert set(OF_BATCHES) - raised == {"line_count_mismatch", "record_count_mismatch", "superseded"}
    assert raised - set(OF_BATCHES) == set()
    for code in (*OF_COLUMNS, *OF_RECORDS, *OF_BATCHES):
        assert re.search(rf"['\"]{code}(:|['\"])", "".join(source.values()) + sql), code
    for number_and_code in re.findall(r"\(number[^,()]*, \"([a-z_]+)\"", "".join(source.values())):
        assert number_and_code in OF_RECORDS
    text = language("zh").text
    assert refusal("not_convertible:last_seen", text) == "last_seen 类型不符"
    assert refusal("policy:a.b:c", text) == "不符合质量策略 a.b:c"
    assert refusal("truncated", text) == "文件不完整"
    assert refusal("truncated", str) == "the file is cut off"
    assert refusal("of_tomorrow:x", text) == "of tomorrow:x"


def test_every_option_of_an_address_has_a_word_and_a_misspelt_name_is_an_error() -> None:
    for code in ("en", "zh"):
        word = environment(code).globals["word"]
        assert all(word(name) for name in OPTION_WORDS.values())
    assert language("zh").text("root cause") == "根因"
    with pytest.raises(UndefinedError):
        environment("en").from_string("{{ nothing }}").render()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_pages_have_beyond_the_report_is_readable_by_wcag_aa(scheme: str) -> None:
    sheet = style()[1].decode()
    named = palettes(sheet)[scheme]
    assert set(named) == set(palettes(sheet)["light"])
    pairs = [("paper", "link"), ("paper", "deep"), ("paper", "ink"), ("link", "hover"), ("ink", "hover")]
    pairs += [("link", "info-wash"), ("ink", "info-wash"), ("ink", "good-wash"), ("ink", "bad-wash")]
    for ink, ground in pairs:
        assert contrast(named[ink], named[ground]) >= 4.5, (ink, ground)
    # Edges of fields and the outline of what has the focus.
    for edge in ("field", "link"):
        for ground in ("paper", "wash"):
            assert contrast(named[edge], named[ground]) >= 3, (edge, ground)
    own = (HERE / "style.css").read_text(encoding="utf-8")
    assert colours_beside(own) == []
    # Who wants more contrast gets it in either.
    for wanted in re.findall(r"prefers-contrast:more\) and \(prefers-color-scheme:(\w+)\)\{:root\{([^}]*)", own):
        if wanted[0] == scheme:
            for name, colour in re.findall(r"--([\w-]+):(#[0-9a-f]{6})", wanted[1]):
                assert contrast(colour, named["paper"]) > contrast(named[name], named["paper"]), name


def test_an_address_is_quoted_and_leaves_out_what_is_not_asked() -> None:
    values: dict[str, Value] = {"day": None, "q": "", "type": ["a&b", "c d"]}
    assert address("/root", "/cases", values) == "/root/cases?type=a%26b&type=c+d"
    assert part("../x?y#z") == "%2E%2E%2Fx%3Fy%23z"
    assert within("/cases?x=1") == "/cases?x=1"
    assert {within(one) for one in ("//evil", "/\\evil", "cases", None, "/\x00", "/ä")} == {"/"}
