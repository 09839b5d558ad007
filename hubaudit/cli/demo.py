"""`hubaudit demo`: the tool at work on a Hub of its own."""

from __future__ import annotations

from hubaudit.cli.errors import Job


def demo() -> Job:
    """Audit sample repositories on a stand-in Hub on this machine. Needs no network, leaves nothing."""

    def job() -> int:
        from hubaudit.demo.run import run

        return run()

    return job
