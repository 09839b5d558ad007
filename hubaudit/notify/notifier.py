"""What a sink is, how it fails, and how it is named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Protocol

from hubaudit.errors import HubauditError
from hubaudit.report.escape import visible
from hubaudit.watch.alert import Alert


class DeliveryFailed(HubauditError):
    """The sink did not take it; it is sent again. Neither the message nor the chain holds a secret.

    `retry_after`: seconds after which the sink wants to be asked again, if it said so. `is_final`: it is
    this message that the sink does not take, whatever is wrong with others.
    """

    def __init__(
        self,
        said: str,
        retry_after: float | None = None,
        is_final: bool = False,
        *,
        hint: str = "it is sent again; see docs/alerts.md",
    ) -> None:
        super().__init__(said, hint=hint)
        self.retry_after = retry_after
        self.is_final = is_final


class Notifier(Protocol):
    """A sink. `name` is the same after a restart, tells sinks apart, and holds no secret.

    One thread sends. `close` may come from another one while a message is under way.
    """

    @property
    def name(self) -> str: ...

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        """All of `alerts`, of which there is one at least, as one message. Returns once the sink has it.

        The same message has the same `key`. Raises DeliveryFailed.
        """

    def close(self) -> None: ...


def name_of(kind: str, shown: str, place: str) -> str:
    """`kind:shown:1a2b3c4d`. `place` is all that tells the sink from others and may be secret.

    Either may hold bytes of a file name that are no UTF-8, as `os.fsdecode` gives them.
    """
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()
    return f"{kind}:{visible(shown)}:{digest[:8]}"
