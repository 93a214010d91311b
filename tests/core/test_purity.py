"""Does `core` decide, and nothing else? No Odoo, no clock, no I/O, no globals that change.

Read from the source, so that what only runs on a bad day is found too.
"""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

from odoo.tests.common import BaseCase

from ... import core

FOLDER = Path(core.__file__).parent
SOURCES = sorted(FOLDER.rglob("*.py"))
PACKAGE = core.__name__

#: Odoo; clocks; the world outside; chance; what speaks to it.
BANNED_MODULES = {
    "odoo", "psycopg2", "werkzeug", "requests", "http", "urllib", "socket", "ssl", "asyncio", "subprocess", "signal",
    "time", "calendar", "os", "io", "pathlib", "shutil", "tempfile", "glob", "sqlite3", "mmap", "fcntl",
    "random", "secrets", "uuid", "logging", "warnings", "sys", "builtins", "importlib", "inspect", "gc", "atexit",
    "threading", "multiprocessing", "concurrent", "contextvars", "queue", "locale", "getpass", "platform", "pickle",
}  # fmt: skip
#: Whatever they are called on: asking a clock, or for a memory that outlives the call.
BANNED_CALLS = {"now", "utcnow", "today", "localtime", "monotonic", "perf_counter", "getenv", "system"}
BANNED_NAMES = {"open", "print", "input", "eval", "exec", "compile", "__import__", "globals", "breakpoint", "id"}
BANNED_DECORATORS = {"cache", "lru_cache", "cached_property"}
MUTATORS = {
    "add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update",
    "sort", "reverse", "__setitem__", "__delitem__", "intersection_update", "difference_update",
}  # fmt: skip


def offences(source):
    """What of this source is not pure, each as a line and a word."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        yield from ((node.lineno, word) for word in _words(node))
    shared = {name for statement in tree.body for name in _bound(statement)}
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _changes(function, shared)


def _words(node):
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] in BANNED_MODULES)
    elif isinstance(node, ast.ImportFrom):
        yield from _imported(node)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        yield type(node).__name__.lower()
    elif isinstance(node, ast.Attribute) and node.attr in BANNED_CALLS | BANNED_DECORATORS:
        yield node.attr
    elif isinstance(node, ast.Name) and node.id in BANNED_NAMES | BANNED_DECORATORS:
        yield node.id


def _imported(node):
    if node.level == 0 and node.module.split(".")[0] in BANNED_MODULES:
        yield node.module
    if node.level > 1:  # out of core, into what knows Odoo
        yield "." * node.level
    yield from (alias.name for alias in node.names if alias.name in BANNED_CALLS | BANNED_DECORATORS)


def _bound(statement):
    """Which names does a statement of the module bind?"""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    names = [getattr(statement, "name", None), *(getattr(node, "id", None) for node in targets)]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        names += [alias.asname or alias.name for alias in statement.names]
    return filter(None, names)


def _changes(function, shared):
    """Where does a function change something that belongs to the module?"""
    own = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    for node in ast.walk(function):
        thing = _changed(node)
        while isinstance(thing, (ast.Attribute, ast.Subscript)):
            thing = thing.value
        if isinstance(thing, ast.Name) and thing.id in shared - own:
            yield node.lineno, thing.id


def _changed(node):
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    return None


# fmt: off
IMPURE = [
    ("import odoo", "odoo"),
    ("import odoo.tools", "odoo.tools"),
    ("from odoo import api", "odoo"),
    ("def f():\n    import time", "time"),
    ("from os import path", "os"),
    ("import logging.handlers as x", "logging.handlers"),
    ("from .. import models", ".."),
    ("from ..models import x", ".."),
    ("x = datetime.now()", "now"),
    ("def f(at=datetime.now): pass", "now"),
    ("x = datetime.datetime.utcnow()", "utcnow"),
    ("date.today()", "today"),
    ("from x import now", "now"),
    ("open('x')", "open"),
    ("x = print", "print"),
    ("import functools\n@functools.lru_cache(maxsize=9)\ndef f(): pass", "lru_cache"),
    ("from functools import cache", "cache"),
    ("def f():\n    global X\n    X = 1", "global"),
    ("X = {}\ndef f():\n    X['a'] = 1", "X"),
    ("X = {}\ndef f():\n    del X['a']", "X"),
    ("X = {}\ndef f():\n    X['a'] += 1", "X"),
    ("X: dict = {}\ndef f():\n    X.update(a=1)", "X"),
    ("X = []\nf = lambda: X.append(1)", "X"),
    ("class X: pass\ndef f():\n    X.a = 1", "X"),
    ("class X:\n    def f(self):\n        X.seen.add(self)", "X"),
    ("import json\ndef f():\n    json.x = 1", "json"),
    ("from .call import Call\ndef f():\n    Call.x = 1", "Call"),
]
PURE = [
    "from .signal import alert",
    "import json, re, hashlib",
    "from datetime import datetime",
    "X = {}\nX.update(a=1)",
    "X = {}\ndef f():\n    return X['a'], X.get('a')",
    "X = []\ndef f():\n    X = []\n    X.append(1)",
    "X = []\ndef f(X):\n    X.append(1)",
    "def f():\n    found = []\n    found.append(1)",
    "class X:\n    def f(self):\n        self.seen.add(1)",
]
# fmt: on


def public_functions(source):
    """Every function that another module may call: name and node. What has a name of Python's own is known."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for place in (tree, *classes):
        for node in place.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                yield node.name, node


class TestPurity(BaseCase):
    def test_core_is_pure(self):
        for path in SOURCES:
            with self.subTest(path.name):
                self.assertEqual(list(offences(path.read_text())), [])

    def test_what_is_not_pure_is_found(self):
        for source, word in IMPURE:
            with self.subTest(source):
                self.assertIn(word, [found for _line, found in offences(source)])

    def test_what_is_pure_is_not_complained_about(self):
        for source in PURE:
            with self.subTest(source):
                self.assertEqual(list(offences(source)), [])

    def test_there_is_something_to_read(self):
        names = {path.name for path in SOURCES}
        self.assertLessEqual({"call.py", "decide.py", "network.py", "policy.py", "redact.py", "scope.py"}, names)

    def test_every_module_says_what_it_answers(self):
        for path in SOURCES:
            with self.subTest(path.name):
                self.assertTrue(ast.get_docstring(ast.parse(path.read_text())))

    def test_every_public_function_says_what_it_answers(self):
        for path in SOURCES:
            for name, node in public_functions(path.read_text()):
                with self.subTest(path.name, function=name):
                    self.assertTrue(ast.get_docstring(node))

    def test_every_public_function_is_annotated(self):
        for path in SOURCES:
            for name, node in public_functions(path.read_text()):
                with self.subTest(path.name, function=name):
                    self.assertIsNotNone(node.returns)
                    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    bare = [argument.arg for argument in arguments if argument.annotation is None]
                    self.assertLessEqual(set(bare), {"self", "cls"})

    def test_every_public_class_says_what_it_is(self):
        for path in SOURCES:
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    with self.subTest(path.name, name=node.name):
                        self.assertTrue(ast.get_docstring(node))

    def test_dataclasses_are_frozen(self):
        for module in _modules():
            for name, found in inspect.getmembers(module, inspect.isclass):
                if found.__module__ == module.__name__ and hasattr(found, "__dataclass_params__"):
                    with self.subTest(name):
                        self.assertTrue(found.__dataclass_params__.frozen)

    def test_what_the_docstrings_show_is_so(self):
        # pytest collects doctests, Odoo's runner does not.
        shown = 0
        for module in _modules():
            with self.subTest(module.__name__):
                flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
                result = doctest.testmod(module, optionflags=flags)
                self.assertEqual(result.failed, 0)
                shown += result.attempted
        self.assertGreater(shown, 25)


def _modules():
    for path in SOURCES:
        parts = path.relative_to(FOLDER).with_suffix("").parts
        name = ".".join((PACKAGE, *parts)).removesuffix(".__init__")
        yield importlib.import_module(name)
