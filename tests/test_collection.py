"""Does every test run, whichever runner is asked?

pytest collects by file. Odoo collects the modules that the `tests` package holds
under a name `test_…`, of these the classes with tags, and of these the methods
that the class itself defines (`odoo/tests/loader.py`). A test that only one of
them sees passes for ever. `tests/server` is a suite of its own, for pytest alone.
"""

import ast
import inspect
from importlib import import_module
from pathlib import Path
from unittest import TestCase

from odoo.tests.common import BaseCase
from odoo.tests.loader import get_module_test_cases, get_test_modules
from odoo.tests.tag_selector import TagsSelector

PACKAGE = __package__
FOLDER = Path(__file__).parent
SERVER = FOLDER / "server"
FILES = sorted(path for path in FOLDER.rglob("test_*.py") if SERVER not in path.parents)
POSITIONS = TagsSelector("at_install"), TagsSelector("post_install")
STANDARD = TagsSelector("standard")


def module_of(path):
    return ".".join((PACKAGE, *path.relative_to(FOLDER).with_suffix("").parts))


class TestCollection(BaseCase):
    def test_every_file_is_imported_by_the_package(self):
        seen = {module.__name__ for module in get_test_modules(PACKAGE.split(".")[2])}
        missing = {module_of(path) for path in FILES} - seen
        # Two modules of one name hide each other: import one of them `as test_…`.
        self.assertFalse(missing, "not imported in tests/__init__.py, so Odoo does not run them")

    def test_every_class_is_run_by_odoo(self):
        for path in FILES:
            module = import_module(module_of(path))
            cases = list(get_module_test_cases(module))
            with self.subTest(path.name):
                self.assertTrue(cases, "no test of Odoo's kind: derive a class from odoo.tests.common.BaseCase")
            for case in cases:
                with self.subTest(path.name, case=case):
                    self.assertIsInstance(case, BaseCase)
                    self.assertTrue(STANDARD.check(case), "without the tag `standard` nobody asks for it")
                    self.assertEqual(sum(position.check(case) for position in POSITIONS), 1)

    def test_every_method_is_run_by_odoo(self):
        for path in FILES:
            for name, found in inspect.getmembers(import_module(module_of(path)), inspect.isclass):
                if not issubclass(found, TestCase) or getattr(found, "allow_inherited_tests_method", False):
                    continue
                with self.subTest(path.name, name=name):
                    inherited = [word for word in dir(found) if word.startswith("test_") and word not in vars(found)]
                    methods = [word for word in inherited if callable(getattr(found, word))]
                    self.assertFalse(methods, "inherited; set allow_inherited_tests_method")

    def test_no_test_is_a_plain_function(self):
        for path in FILES:
            with self.subTest(path.name):
                body = ast.parse(path.read_text()).body
                names = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
                self.assertFalse([name for name in names if name.startswith("test")])

    def test_no_test_hides_another_of_its_name(self):
        for path in FILES:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.Module, ast.ClassDef)):
                    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
                    names = [item.name for item in node.body if isinstance(item, kinds)]
                    with self.subTest(path.name, within=getattr(node, "name", "")):
                        self.assertEqual(len(names), len(set(names)), names)

    def test_every_test_has_a_name_of_its_kind(self):
        strays = [path for path in FOLDER.rglob("*_test.py") if SERVER not in path.parents]
        self.assertFalse(strays, "named test_….py they would be collected")
