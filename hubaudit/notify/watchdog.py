"""A bound on how long a connection may take in all: time-outs of sockets only bound each of its waits."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock, Timer
from typing import Self


class Watchdog:
    """Cuts the sockets that it watches when its time is over; whoever waits on one then gets an error.

    It keeps a descriptor of its own for each, so it reaches below TLS, also during the handshake.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self.has_bitten = False
        self._timer = self._timed(seconds)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def watch(self, opened: socket.socket) -> None:
        """`opened` is a plain socket; it may be wrapped afterwards."""
        with self._lock:
            self._sockets.append(opened.dup())
        if self.has_bitten:
            self._bite()

    def allow(self, seconds: float) -> None:
        """This long from now on, instead of what was allowed before, and for the next sockets."""
        self._timer.cancel()
        self.has_bitten = False
        self._timer = self._timed(seconds)
        self._timer.start()

    def _timed(self, seconds: float) -> Timer:
        timer = Timer(seconds, self._bite)
        timer.daemon = True
        return timer

    def _bite(self) -> None:
        with self._lock:
            self.has_bitten = True
            for one in self._sockets:
                with suppress(OSError):  # already closed by the other side
                    one.shutdown(socket.SHUT_RDWR)
