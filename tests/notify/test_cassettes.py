"""The recorded exchanges with a webhook: what is sent today is, byte for byte, what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import responses
from requests import PreparedRequest

from hubaudit.notify import DeliveryFailed
from hubaudit.notify.payload import message_key, schema
from hubaudit.notify.webhook import Webhook, signature
from tests.make_alert_cassettes import FOLDER, HEADERS, SCENES, SECRET

HOST = "https://hooks.example.org"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def cassette(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def body_of(request: PreparedRequest) -> str:
    assert isinstance(request.body, bytes)
    return request.body.decode()


def test_each_scene_is_recorded() -> None:
    assert sorted(SCENES) == NAMES


@pytest.mark.parametrize("name", NAMES)
@responses.activate(assert_all_requests_are_fired=True)
def test_what_is_sent_is_what_was_recorded(name: str) -> None:
    exchanges = cassette(name)
    for one in exchanges:
        answer = one["response"]
        url = HOST + one["request"]["path"]
        responses.post(url, status=answer["status"], headers=answer["headers"])
    webhook, scene = Webhook(f"{HOST}/hook", SECRET), SCENES[name]
    ends = []
    for _ in scene.answers:
        try:
            webhook.send(scene.alerts, message_key([one.key for one in scene.alerts]))
            ends.append("acknowledged")
        except DeliveryFailed as failed:
            ends.append(str(failed))
    sent = [call.request for call in responses.calls]
    assert [
        {
            "method": one.method,
            "path": one.path_url,
            "headers": {header: one.headers[header] for header in HEADERS},
            "body": body_of(one),
        }
        for one in sent
    ] == [one["request"] for one in exchanges]
    last = exchanges[-1]["response"]["status"]
    assert (ends[-1] == "acknowledged") == (200 <= last < 300)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_message_is_signed_and_follows_the_schema(name: str) -> None:
    for one in cassette(name):
        request = one["request"]
        jsonschema.validate(json.loads(request["body"]), schema())
        assert request["headers"]["X-Hubaudit-Signature-256"] == signature(
            SECRET.encode(), request["body"].encode()
        )


def test_a_message_that_is_retried_is_recorded_with_one_key_and_one_body() -> None:
    for name in ("retried", "redirected"):
        requests = [one["request"] for one in cassette(name)]
        assert len(requests) == 3
        assert len({(one["body"], one["headers"]["Idempotency-Key"]) for one in requests}) == 1


def test_no_cassette_names_a_place_of_whoever_recorded_it() -> None:
    for name in NAMES:
        text = Path(FOLDER / f"{name}.json").read_text(encoding="utf-8")
        assert "127.0.0.1" not in text
        assert "Host" not in text
