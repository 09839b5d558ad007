"""A mail server on loopback: as much of SMTP as a client needs, with STARTTLS, and answers as told."""

from __future__ import annotations

import base64
import socketserver
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread


@dataclass
class Taken:
    sender: str
    to: list[str]
    data: bytes
    is_encrypted: bool
    login: str | None


@dataclass
class MailServer:
    """`answers` replace what would be said to a command, by its verb; "" says nothing and waits."""

    certificate: Path | None = None
    is_tls: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    released: Event = field(default_factory=Event)
    port: int = 0

    def __enter__(self) -> MailServer:
        mail = self

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_args: object) -> None:
                pass  # clients that are gone or do not trust us

        self._server = Server(("127.0.0.1", 0), lambda *given: _Talk(mail, *given))
        self.port = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
        return made


class _Talk(socketserver.BaseRequestHandler):
    def __init__(self, mail: MailServer, *given: object) -> None:
        self._mail = mail
        self._sender, self._to = "", list[str]()
        self._login: str | None = None
        self._is_encrypted = False
        super().__init__(*given)  # type: ignore[arg-type]

    def handle(self) -> None:
        if self._mail.is_tls:
            self._encrypt()
        self._lines = self.request.makefile("rb")
        try:
            if self._say("GREETING", "220 mail.example.org"):
                while line := self._lines.readline():
                    verb, _, rest = line.decode("ascii").strip().partition(" ")
                    if not self._answer(verb.upper(), rest):
                        return
        finally:
            self._lines.close()
            self.request.close()  # of TLS another one than the server would close

    def _answer(self, verb: str, rest: str) -> bool:
        match verb:
            case "EHLO":
                more = (
                    "" if self._is_encrypted or not self._mail.certificate else "250-STARTTLS\r\n"
                )
                return self._say(verb, f"250-mail\r\n{more}250 AUTH PLAIN")
            case "STARTTLS":
                if not self._say(verb, "220 go ahead"):
                    return False
                self._lines.close()
                self._encrypt()
                self._lines = self.request.makefile("rb")
                return True
            case "AUTH":
                self._login = base64.b64decode(rest.split()[1]).decode()
                return self._say(verb, "235 welcome")
            case "MAIL":
                self._sender = rest
                return self._say(verb, "250 ok")
            case "RCPT":
                self._to.append(rest)
                return self._say(verb, "250 ok")
            case "DATA":
                return self._data()
            case "QUIT":
                self._say(verb, "221 bye")
                return False
        return self._say(verb, "250 ok")

    def _data(self) -> bool:
        if not self._say("DATA", "354 go on"):
            return False
        if "DATA" in self._mail.answers:
            return True
        data = b""
        while (line := self._lines.readline()) not in (b".\r\n", b""):
            data += line.removeprefix(b".") if line.startswith(b"..") else line
        answer = self._mail.answers.get(".", "250 taken")
        if answer.startswith("2"):
            self._mail.taken.append(
                Taken(self._sender, self._to, data, self._is_encrypted, self._login)
            )
        return self._say(".", "250 taken")

    def _say(self, verb: str, usual: str) -> bool:
        said = self._mail.answers.get(verb, usual)
        if not said:
            self._mail.released.wait(20)
            return False
        self.request.sendall(said.encode() + b"\r\n")
        return True

    def _encrypt(self) -> None:
        self.request = self._mail.context().wrap_socket(self.request, server_side=True)
        self._is_encrypted = True


def make_certificate(folder: Path, name: str = "localhost") -> Path:
    """One for `name`, signed by itself, made by openssl; its key beside it as `.key`."""
    made = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}"),
            *("-keyout", str(made.with_suffix(".key")), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return made
