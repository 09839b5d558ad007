"""HTTP/1.1 on a loopback port: requests in as values, answers out as told, nothing left running."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hubaudit.demo.exchange import Host, Incoming
from hubaudit.demo.faults import Sending

Send = Callable[[Sending], int]
"""Sends an answer; returns how many bytes of its body went out."""

Serve = Callable[[Incoming, Send], bool]
"""Handles one request; False if the connection is to be closed."""


class Listener(ThreadingHTTPServer):
    """A port of its own on 127.0.0.1, and a thread for each connection. `closing` ends pauses."""

    # Threads that are joined on close: a daemon thread would outlive the server.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, host: Host, serve: Serve, closing: threading.Event) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host: Host = host
        self.serve = serve
        self.closing = closing
        self._open: set[socket.socket] = set()
        self._loop = threading.Thread(
            target=self.serve_forever, args=(0.02,), name=f"stand-in {host}"
        )

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Stop accepting, cut idle keep-alive connections, wait for every thread. Idempotent."""
        self.shutdown()
        self._loop.join()
        for connection in list(self._open):
            _hang_up(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        incoming = Incoming(self.server.host, self.command, self.path, headers, body)
        if not self.server.serve(incoming, self._send):
            self.close_connection = True

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names that http.server looks for

    def _send(self, sending: Sending) -> int:
        answer = sending.answer
        # No Date and no Server: the same request gets the same bytes.
        self.send_response_only(answer.status)
        for name, value in answer.having({"Content-Length": str(len(answer.body))}).headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return 0
        body = memoryview(answer.body)[: sending.limit]
        sent = 0
        try:
            while sent < len(body):
                sent += self.connection.send(body[sent : sent + sending.piece])
                if sending.pause and self.server.closing.wait(sending.pause):
                    break
        except ConnectionError:
            self.close_connection = True
        return sent

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
        """Nothing: the Hub keeps a log of its own."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was first
