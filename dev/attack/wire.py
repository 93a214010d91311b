"""What does the server answer to these bytes, sent from that address? HTTP/1.1, a connection for each request.

Odoo's workers close the connection after each answer, so nothing would be kept open anyway.
"""

import asyncio
import re
import socket
import sys
import urllib.parse
from dataclasses import dataclass

_COOKIE = re.compile(rb"^set-cookie: (session_id=[^;\r]*)", re.IGNORECASE | re.MULTILINE)
_LOCATION = re.compile(rb"^location: (\S+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: (\d+)", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')
# Leaves the choice of the port to connect(), which knows the peer: bind() would soon run out of them.
_BIND_ADDRESS_NO_PORT = 24


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def location(self):
        found = _LOCATION.search(self.head)
        return urllib.parse.urlsplit(found[1].decode()).path if found else ""


@dataclass
class Session:
    """What a browser keeps of a page with a form: the cookie, and the form's token."""

    cookie: str
    token: str


class Thrown(Exception):
    """The server has not given the page that was asked for."""


def request(method, path, body=b"", kind="application/json", **headers):
    """The bytes of a request; an underscore in a header's name is a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    if method == "POST":
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(path, cookie="", **fields):
    body = urllib.parse.urlencode(fields).encode()
    return request("POST", path, body, "application/x-www-form-urlencoded", Cookie=cookie)


async def ask(port, address, data):
    """The server's Answer. Raises OSError where there is none."""
    loop, received = asyncio.get_running_loop(), bytearray()
    with _socket(address) as connection:
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, data)
        # Not until the server closes: werkzeug waits 10 ms for more, unless the client closes first.
        while not _is_whole(received) and (chunk := await loop.sock_recv(connection, 65536)):
            received += chunk
    head, found, body = bytes(received).partition(b"\r\n\r\n")
    if not found:
        raise ConnectionError("the server closed the connection without an answer")
    return Answer(int(head[9:12]), head, body)


def _is_whole(received):
    head, found, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head) if found else None
    return length is not None and len(body) >= int(length[1])


def _socket(address):
    connection = socket.socket()
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((address, 0))
    except OSError:
        connection.close()
        raise
    return connection


# ---------------------------------------------------------------------- pages with a form


async def open_form(port, address, path, cookie=""):
    """Open a page as a browser does; raises Thrown where it holds no form."""
    answer = await ask(port, address, request("GET", path, Cookie=cookie))
    token = _TOKEN.search(answer.body)
    if not token:
        raise Thrown(f"{path}: {answer.status} {answer.location}")
    return Session(_cookie(answer, cookie), token[1].decode())


async def open_second_step(port, address, login, password):
    """Log in with a right password and open the page that asks for the code; raises Thrown where there is none."""
    page = await open_form(port, address, "/web/login")
    answer = await ask(port, address, form(
        "/web/login", page.cookie, csrf_token=page.token, login=login, password=password, type="password"))
    if answer.location != "/web/login/totp":
        raise Thrown(f"/web/login: {answer.status} {answer.location}")
    return await open_form(port, address, "/web/login/totp", _cookie(answer, page.cookie))


def _cookie(answer, before):
    found = _COOKIE.search(answer.head)
    return found[1].decode() if found else before
