"""What sinks get follows the published schema, and the documents show it as it is."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hubaudit.model import Severity, Verdict
from hubaudit.notify.payload import message_key, payload, schema
from hubaudit.notify.webhook import signature
from hubaudit.watch.alert import Alert, Event, Name
from hubaudit.watch.kinds import Change, Kind

from .conftest import HOSTILE, alert, closing

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "alerts",
    [[alert()], [alert(said=HOSTILE)], [closing([alert()])], [alert(1), closing([alert(1)])]],
)
def test_what_is_sent_follows_the_schema(alerts: list[Alert]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(payload(alerts)), schema())


def test_the_schema_refuses_what_is_no_alert() -> None:
    found = json.loads(payload([alert()]))
    wrongs: tuple[dict[str, Any], ...] = (
        {"more": 1},
        {"key": "x"},
        {"severity": "bad"},
        {"repo": {}},
        {"changes": [{}]},
    )
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**found, **wrong}, schema())


def test_the_schema_has_every_field_and_every_word() -> None:
    defined: dict[str, Any] = schema()["$defs"]
    known = defined["alert"]["properties"]
    named = {one.name for one in fields(Alert)}
    assert set(known) == named - {"name"} | {"repo", "schema"}
    assert set(known["repo"]["properties"]) == {one.name for one in fields(Name)}
    assert set(defined["change"]["properties"]) == {one.name for one in fields(Change)}
    for place, words in (
        (known["event"], list(Event)),
        (known["kind"], [*Kind, None]),
        (known["severity"], list(Severity)),
        (known["verdict"], [*Verdict, None]),
        (defined["change"]["properties"]["kind"], list(Kind)),
    ):
        assert place["enum"] == words


def test_the_same_alerts_have_the_same_key_and_others_another() -> None:
    assert message_key(["a"]) == "a"
    assert message_key(["a", "b"]) == message_key(["a", "b"])
    assert len({message_key(keys) for keys in (["a", "b"], ["b", "a"], ["ab", ""], ["a"])}) == 4


def test_the_example_of_the_documents_has_the_fields_of_an_alert() -> None:
    [example] = [json.loads(block) for block in blocks("json")]
    sent = json.loads(payload([alert()]))
    assert list(example) == list(sent)
    assert list(example["repo"]) == list(sent["repo"])
    assert list(example["changes"][0]) == list(sent["changes"][0])


def test_the_receiver_of_the_documents_tells_ours_from_others() -> None:
    [code] = blocks("python")
    there: dict[str, Any] = {}
    exec(code, there)
    body = payload([alert()])
    header = "X-Hubaudit-Signature-256"
    check = there["is_from_hubaudit"]
    assert check(b"secret", body, {header: signature(b"secret", body)})
    assert not check(b"secret", body + b" ", {header: signature(b"secret", body)})
    assert not check(b"secret", body, {header: signature(b"other", body)})
    assert not check(b"secret", body, {})
