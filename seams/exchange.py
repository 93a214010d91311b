"""Who is calling, and what became of the call: one `Exchange` per HTTP request.

Odoo hides the request from the RPC services (`borrow_request`), and closes its
cursor. The exchange stays in reach of everything that runs for one request, and
is where the guard notes what it learns until the entry is written.
"""

import contextlib
import logging
import secrets
import sys
import threading
import time
from contextvars import ContextVar
from datetime import datetime, timezone

import odoo.http
import odoo.sql_db
from odoo.modules.registry import Registry

from ..core.call import Door, Operation
from ..core.limit import rate_limit_fields, x_rate_limit_fields
from ..core.network import peer_of
from ..core.reading import NOTHING
from ..core.verdict import Allow, Deny
from .detain import detain
from .patch import patch

_logger = logging.getLogger(__name__)

_current: ContextVar = ContextVar("api_guard_exchange", default=None)
_ENVIRON_KEY = "api_guard.exchange"
_HEADER, _RECEIPT = "X-Request-Id", "X-Audit-Receipt"
_CURSOR_ATTRIBUTE = "_api_guard_exchange"

_DOORS = (
    ("/xmlrpc/2/", Door.XMLRPC),
    ("/xmlrpc/", Door.XMLRPC_V1),
    ("/jsonrpc", Door.JSONRPC),
    ("/json/2", Door.JSON2),
    ("/api_guard/v1/", Door.JSON2),
    ("/json/1/", Door.JSON1),
    ("/doc-bearer/", Door.DOCS),
    ("/mail_plugin/", Door.MAIL_PLUGIN),
    ("/mail_client_extension/", Door.MAIL_PLUGIN),
)
_RPC = _DOORS[:3]
_READS = frozenset({Operation.READ})

# For all cursors, wherever this is imported: the ORM's hooks ask it of every cursor, and what one does not have,
# it asks psycopg for, by code that costs more than all the hooks.
setattr(odoo.sql_db.BaseCursor, _CURSOR_ATTRIBUTE, None)


def door_of(path):
    """Which door does this path or route lead through? None: none that is known by its path."""
    found = next((door for prefix, door in _DOORS if path.startswith(prefix)), None)
    # routers are generous: /fr/xmlrpc/2/object, //jsonrpc and xmlrpc/2/object are served too
    return found or next((door for prefix, door in _RPC if prefix[1:] in path), None)


class Exchange:
    """One request, from its first byte to its answer.

    `deferred`: this request's answer passes through `_answer`, which writes
    what is still unwritten. False in a worker's very first call, when the addon
    is imported in the middle of it, and where Python calls a service itself:
    then whoever ends the call writes the entry.
    """

    __slots__ = (
        "_environ",
        "_future_response",
        "answered",
        "arguments",
        "asked",
        "asks_codes",
        "attempting",
        "barred",
        "bytes",
        "call",
        "closures",
        "code",
        "companies",
        "database",
        "defaults",
        "deferred",
        "depth",
        "digests",
        "door",
        "entered",
        "error",
        "filled",
        "given",
        "holder",
        "identity",
        "interrupted",
        "is_counted",
        "is_local",
        "is_settled",
        "keeping",
        "named",
        "nested",
        "peer",
        "place",
        "proofs",
        "queries",
        "read_only",
        "readable",
        "reading",
        "reads_only",
        "record_count",
        "record_ids",
        "references",
        "registry",
        "rendered",
        "request_id",
        "results",
        "route_target",
        "rows",
        "running",
        "scoped",
        "secrets",
        "sent",
        "service",
        "shows",
        "standings",
        "started",
        "started_at",
        "suspended",
        "taking",
        "up_to_date",
        "unproven",
        "unrenderable",
        "verdict",
        "vouched",
        "written",
    )

    def __init__(self, environ=None, deferred=False, future_response=None):
        self._environ = environ or {}
        self._future_response = future_response
        self.deferred = deferred
        self.door = (door_of(self.path) if environ else Door.INTERNAL) or Door.BEARER
        self.request_id = None
        self.started = time.perf_counter()
        self.started_at = None
        self.queries = getattr(threading.current_thread(), "query_count", 0)
        self.up_to_date = None  # (registry, when): checked for changes that other workers signal
        self.registry = None  # the guarded registry in whose log this exchange belongs
        self.database = None  # the database that an RPC call names, before anything was checked
        self.service = None  # "object.execute_kw" and the like
        self.identity = None
        self.peer = None
        self.asked = (None, None)  # model and method that the request names, before anything was judged
        self.call = None  # core Call, as it was judged last
        self.reads_only = False  # the method of `call` only reads, as it is classified; the ORM asks for each value
        self.closures = ()  # what its policies leave of records and fields
        self.barred = ({}, {})  # reading, writing: id of a field → (field, the closure that closes it or None)
        self.readable = {}  # id of a field → the user who may read it, whatever the moment
        self.given = ()  # all ids of the records that the call names
        self.named = None  # {(model, field)} that its values name; None: they may be said in other ways as well
        self.filled = frozenset()  # names of fields that Odoo fills in by itself in the records that are being created
        self.references = ()  # (model, id) of those that its values name
        self.defaults = {}  # what its context gives to new records of whatever model: name of a field → value
        self.shows = False  # what a specification asks for is being read
        self.depth = 0  # of the computations of fields that are under way
        self.suspended = False  # what runs is Odoo's own doing, and not the caller's
        self.scoped = False  # a policy has scopes: what the call meets on its way has to be covered
        self.companies = None  # ids of those it may act in; None: all of its user's
        self.place = None  # what a refused method met: "res.partner.phone", "res.country: read"
        self.nested = {}  # (model, operation) → refusal or None, judged once
        self.asks_codes = False  # a policy asks a code for what it changes
        self.read_only = False  # PostgreSQL refuses to write
        self.verdict = None
        self.route_target = None  # the route that is running without having asked for a key
        self.keeping = None  # what its entry keeps, once its policies were asked
        self.arguments = self.results = None
        self.digests = ((), ())  # of its arguments, of its results
        self.reading = NOTHING  # what its answer tells of
        self.secrets = ()
        self.code = self._environ.get("HTTP_X_API_OTP")  # of a second factor; over RPC also behind the key
        self.proofs = {}  # lineage of a key → why `code` proves nothing, or None; judged once, whatever is repeated
        self.unproven = None  # what a wrong code shows, for the log
        self.record_ids = ()
        self.record_count = None
        self.rows = self.bytes = None
        self.rendered = None  # (result, its XML): rendered once
        self.error = None  # what the call ended with
        self.unrenderable = None  # why its result cannot be told on this door; its effect is committed all the same
        self.interrupted = False  # the method itself raised
        self.running = False  # between the verdict and the end of the business transaction
        self.entered = False  # an entry is committed, or on its way
        self.sent = None  # the connection beside on which it is, until the answer waits for it
        self.vouched = False  # a password is being checked: no key matched
        self.attempting = False  # a secret is being checked, and its failure counted where that began
        self.taking = None  # the question to the store of its limits that is on its way
        self.standings = None  # [(Counter, Standing)] of its limits, once they were asked; once for all repetitions
        self.holder = ""  # by whom its slots are held
        self.is_counted = False  # it was taken from its counters
        self.is_local = False  # the counters were this process's own
        self.is_settled = False  # what it has cost is charged
        self.written = 0  # records that were created, written or deleted with its caller's rights
        self.answered = False

    # what the request says of itself; nothing here is believed without `peer_of`

    @property
    def path(self):
        return self._environ.get("PATH_INFO", "")

    @property
    def http_method(self):
        return self._environ.get("REQUEST_METHOD")

    @property
    def agent(self):
        return self._environ.get("HTTP_USER_AGENT")

    @property
    def host(self):
        return self._environ.get("HTTP_HOST", "")

    @property
    def wants_receipt(self):
        return self._environ.get("HTTP_X_AUDIT_RECEIPT") == "1"

    @property
    def forwarded(self):
        return self._environ.get("HTTP_X_FORWARDED_FOR")

    @property
    def remote(self):
        # with proxy_mode, ProxyFix may already have replaced it by the last forwarded hop
        original = self._environ.get("werkzeug.proxy_fix.orig") or self._environ
        return original.get("REMOTE_ADDR")

    def begin(self):
        """Name the exchange. Only governed ones are named, so that the others cost nothing."""
        if self.request_id is None:
            elapsed = time.perf_counter() - self.started
            started = time.time() - elapsed
            self.started_at = datetime.fromtimestamp(started, timezone.utc)
            # the time first: neighbours in time are neighbours in the log's index, which stays quick to fill
            self.request_id = f"{int(started * 1000):011x}{secrets.randbits(36):09x}"
            if self._future_response is not None:  # no `_answer` will name it
                self._future_response.headers[_HEADER] = self.request_id
                if self.wants_receipt:
                    self._future_response.headers[_RECEIPT] = f"/api_guard/v1/receipt/{self.request_id}"
        return self.request_id

    def enter(self, registry):
        """This exchange belongs to the log of `registry`, a guarded one."""
        self.begin()
        self.registry = registry

    def begin_attempt(self):
        """Odoo repeats a call that met a concurrent one: what the last attempt ended with is forgotten."""
        self.running = self.interrupted = False
        self.error = self.place = self.results = None
        self.reading = NOTHING
        self.digests = (self.digests[0], ())
        self.written = 0
        self.nested = {}

    @contextlib.contextmanager
    def computing(self):
        """Within, the code of a field runs, and not what the caller asked for."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def locate(self, trusted):
        self.peer = peer_of(self.remote, self.forwarded, trusted) if self._environ else None
        return self.peer

    @property
    def is_remote(self):
        """Did it come in by HTTP? Python may call a service itself."""
        return bool(self._environ)

    def judge(self, call):
        """From here on it is `call` that is judged and run."""
        self.call = call
        self.reads_only = call.target is not None and call.target.operations == _READS

    @property
    def is_strict(self):
        """Is what is read now what the caller asked to see?"""
        return self.shows or self.reads_only

    @contextlib.contextmanager
    def showing(self, shows=True):
        """Within, the caller is shown what it asked for; False: business code works, in the middle of that."""
        was, self.shows = self.shows, shows
        try:
            yield
        finally:
            self.shows = was

    @contextlib.contextmanager
    def suspending(self):
        """Within, what runs is Odoo's own doing, and not the caller's."""
        was, self.suspended = self.suspended, True
        try:
            yield
        finally:
            self.suspended = was

    @contextlib.contextmanager
    def unconfined(self):
        """Within, Odoo is asked what it would do if no policy took companies from the user."""
        was, self.companies = self.companies, None
        try:
            with self.suspending():
                yield
        finally:
            self.companies = was

    @property
    def body_size(self):
        """The length of the request in bytes; infinite where the caller does not tell."""
        length = self._environ.get("CONTENT_LENGTH")
        if length:
            return int(length) if length.isdigit() else float("inf")
        return float("inf") if self._environ.get("HTTP_TRANSFER_ENCODING") else 0

    @property
    def is_proven(self):
        """Did it bring a code of its key's second factor that was right?"""
        return self.identity is not None and self.proofs.get(self.identity.lineage_id, False) is None

    @property
    def is_refused(self):
        return isinstance(self.verdict, Deny)

    @property
    def is_governed(self):
        return self.registry is not None

    @property
    def is_unwritten(self):
        """Is there something of it that no entry tells?"""
        return not self.entered or self.interrupted

    @property
    def outcome(self):
        if self.is_refused:
            return "refused"
        if self.error is not None or not isinstance(self.verdict, Allow):
            return "failed"
        return "allowed"

    def fail(self, error):
        """The call ended in `error`. The first one told is the cause; later ones are its wrapping."""
        if self.error is None:
            self.error = error


def current():
    """The exchange that is under way, or None outside of any HTTP request.

    In the call in whose middle this addon is imported nobody has set one: there
    the WSGI frame below us holds the request, and the new exchange is kept in
    its environ, so that it ends with it.
    """
    exchange = _current.get()
    if exchange is None and (frame := _application_frame()) is not None:
        environ, request = frame.f_locals["environ"], frame.f_locals.get("request")
        exchange = environ.get(_ENVIRON_KEY)
        if exchange is None:
            exchange = environ[_ENVIRON_KEY] = Exchange(environ, future_response=request and request.future_response)
    return exchange


def of_cursor(cr):
    """The exchange for which the business cursor `cr` works, or None."""
    return getattr(cr, _CURSOR_ATTRIBUTE, None) or current()


def working_for(cr):
    """The exchange whose business method runs on `cr` at this moment, or None. Asked by the ORM all the time: cheap."""
    exchange = cr._api_guard_exchange
    return exchange if exchange is not None and exchange.running else None


def bind(exchange, cr):
    """Let `cr` know for whom it works: an attribute survives reset, rollback and every new environment."""
    setattr(cr, _CURSOR_ATTRIBUTE, exchange)


def _application_frame():
    """The frame of Odoo's WSGI application that this code runs in, or None."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "__call__" and frame.f_code.co_filename == odoo.http.__file__:
            if "environ" in frame.f_locals:
                return frame
        frame = frame.f_back
    return None


def guarded(database):
    """The registry of `database` if it is loaded in this process and has the guard, else None."""
    if not isinstance(database, str):
        return None
    try:
        registry = Registry.registries.get(database)
    except Exception:  # an exotic name must not break the answer
        return None
    return registry if registry is not None and "api.guard" in registry else None


def _application_call(original):
    def __call__(self, environ, start_response):
        exchange = Exchange(environ, deferred=True)
        token = _current.set(exchange)

        told = []

        def answer(status, headers, exc_info=None):
            _answer(exchange, status, headers)
            told[:] = status, headers
            return start_response(status, headers, exc_info)

        try:
            result = original(self, environ, answer)
            return detain(exchange, environ, *told, result) if told and exchange.is_refused else result
        finally:
            _current.reset(token)
            if exchange.sent is not None:  # there was no answer
                exchange.sent.close()
            if exchange.taking is not None and exchange.taking[2] is not None:
                exchange.taking[2].close()

    return __call__


def _answer(exchange, status, headers):
    """Write what is still unwritten of the exchange, then name it in the answer.

    Runs once per request, after its cursors are closed and before its first byte
    is sent. Raises Refused when the entry cannot be written: Odoo then answers
    with that, and comes here again.
    """
    if exchange.registry is None:
        _adopt_stray(exchange)
    if exchange.registry is not None and not exchange.answered:
        exchange.answered = True
        exchange.registry["api.recorder"]._finish(exchange, status=int(status[:3]), size=_content_length(headers))
    if exchange.request_id is not None:
        headers.append((_HEADER, exchange.request_id))
        if exchange.wants_receipt and exchange.entered and exchange.outcome == "allowed":
            headers.append((_RECEIPT, f"/api_guard/v1/receipt/{exchange.request_id}"))
        headers.extend(_limit_fields(exchange))


def _limit_fields(exchange):
    """What the answer tells of limits and of waiting, on every door. RFC 9110, section 10.2.3 for the wait."""
    if isinstance(exchange.verdict, Deny) and exchange.verdict.reason.is_temporary:
        yield "Retry-After", str(exchange.verdict.seconds or 60)
    if exchange.standings:
        yield from rate_limit_fields(exchange.standings)
        if exchange.identity.settings.get("api_guard.x_ratelimit") in ("True", "1", "true"):
            yield from x_rate_limit_fields(exchange.standings)


def _adopt_stray(exchange):
    """A request that reached a door but no check (malformed, wrong content type) is an entry too."""
    if exchange.door in (Door.BEARER, Door.INTERNAL):
        return
    request = odoo.http.request
    registry = guarded(exchange.database)
    if registry is None and (not isinstance(exchange.database, str) or exchange.database not in Registry.registries):
        registry = guarded(request.db if request else None)  # it names no database: the host's own, if there is one
    if registry is not None:
        exchange.enter(registry)


def _content_length(headers):
    for name, value in headers:
        if name.lower() == "content-length" and value.isdigit():
            return int(value)
    return None


def install():
    patch(odoo.http.Application, "__call__", _application_call)
