"""What does one call take, seen from the wire? HTTP/1.1, one connection kept for as long as the server keeps it.

Odoo's workers close the connection after each answer (an idle one would hold a whole process),
so there a call begins with a new connection: `reused` tells how many did not.
"""

import http.client
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: tuple = ()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    began: float
    ended: float

    @property
    def ms(self):
        return (self.ended - self.began) * 1000


class Client:
    """One caller of one server; of one thread."""

    def __init__(self, port):
        self._port, self._connection = port, None
        self.calls = self.reused = 0

    def send(self, request):
        """Return the whole answer. From before a needed connection is made until the last byte is read."""
        headers = dict(request.headers)
        self.calls += 1
        self.reused += self._connection is not None
        began = time.perf_counter()
        connection = self._connection or self._connect()
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        body = response.read()
        ended = time.perf_counter()
        if response.will_close:
            connection.close()
            self._connection = None
        return Answer(response.status, body, began, ended)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        return connection
