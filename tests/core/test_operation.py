"""What does a public method do to records?"""

from odoo.tests.common import BaseCase

from ...core.call import Operation
from ...core.operation import OPERATIONS, operations_of

# fmt: off
METHODS = {
    "read": "read", "search": "read", "search_read": "read", "search_count": "read", "read_group": "read",
    "web_read": "read", "web_search_read": "read", "name_search": "read", "fields_get": "read",
    "export_data": "read", "onchange": "read", "default_get": "read", "get_views": "read",
    "write": "write", "action_archive": "write", "toggle_active": "write", "web_save_multi": "write",
    "create": "create", "name_create": "create",
    "unlink": "unlink",
    "copy": "create read",
    "web_save": "create write", "load": "create write",
    "action_confirm": "execute", "message_post": "execute", "button_immediate_install": "execute",
    "": "execute", "READ": "execute", " read": "execute", "read ": "execute", "__init__": "execute",
}
# fmt: on


class TestOperation(BaseCase):
    def test_a_method_asks_for_all_that_it_may_do(self):
        for method, expected in METHODS.items():
            with self.subTest(method):
                self.assertEqual(" ".join(sorted(operations_of(method))), expected)

    def test_what_is_in_the_table_is_never_execute_nor_empty(self):
        for method, operations in OPERATIONS.items():
            with self.subTest(method):
                self.assertTrue(operations)
                self.assertFalse(operations & {Operation.EXECUTE, Operation.AUTHENTICATE})

    def test_no_method_stands_in_two_rows(self):
        # Read from the table as it is written: in the dict the later row would have won in silence.
        from ...core.operation import _TABLE

        written = [method for methods in _TABLE.values() for method in methods.split()]
        self.assertEqual(len(written), len(set(written)))
        self.assertEqual(len(written), len(OPERATIONS))

    def test_no_method_that_changes_records_counts_as_reading(self):
        reading = {method for method, operations in OPERATIONS.items() if operations == {Operation.READ}}
        for word in ("write", "create", "unlink", "save", "archive", "update", "resequence", "delete", "set_"):
            with self.subTest(word):
                self.assertEqual([method for method in sorted(reading) if word in method], [])
