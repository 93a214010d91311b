"""Is the French translation complete, and does it keep what a translation has to keep?"""

import os
import re
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import polib
from odoo.tests.common import BaseCase, TransactionCase, tagged
from odoo.tools.translate import TranslationModuleReader, code_translations

FOLDER = Path(__file__).parents[1] / "i18n"
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdrf]|%%")
TAG = re.compile(r"</?[a-z][^>]*>")
TITLE = re.compile(r'(?<= title=")[^"]*')  # the one attribute that people read


def placeholders(text):
    return Counter(PLACEHOLDER.findall(text))


def tags(text):
    return [TITLE.sub("", tag) for tag in TAG.findall(text)]


def walk_addon(top, walk=os.walk, **_options):
    """Walk as os.walk does, but in the addon alone, and not where links in .dev lead back to it without an end."""
    for root, folders, files in walk(Path(top) / "api_guard"):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in {"dev", "tests"}]
        yield root, folders, files


def read(name):
    return polib.pofile(str(FOLDER / name), encoding="utf-8")


@tagged("post_install", "-at_install")
class TestCatalogue(BaseCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.template = read("api_guard.pot")
        cls.french = read("fr.po")

    def test_it_says_that_it_is_french(self):
        self.assertEqual(self.french.metadata["Language"], "fr")
        self.assertIn("nplurals=2", self.french.metadata["Plural-Forms"])
        self.assertIn("charset=UTF-8", self.french.metadata["Content-Type"])

    def test_it_has_every_term_once(self):
        terms = Counter((entry.msgctxt, entry.msgid) for entry in self.template)
        self.assertTrue(terms)
        self.assertEqual(Counter((entry.msgctxt, entry.msgid) for entry in self.french), terms)

    def test_it_places_every_term_where_the_template_does(self):
        places = {entry.msgid: set(entry.occurrences) for entry in self.template}
        self.assertEqual({entry.msgid: set(entry.occurrences) for entry in self.french}, places)

    def test_nothing_is_left_to_translate(self):
        self.assertFalse([entry.msgid for entry in self.french if not entry.translated()])
        self.assertFalse([entry.msgid for entry in self.french if entry.fuzzy or entry.obsolete])

    def test_placeholders_stay(self):
        for entry in self.french:
            with self.subTest(entry.msgid):
                self.assertEqual(placeholders(entry.msgstr), placeholders(entry.msgid))

    def test_markup_stays(self):
        for entry in self.french:
            with self.subTest(entry.msgid):
                self.assertEqual(tags(entry.msgstr), tags(entry.msgid))


@tagged("post_install", "-at_install")
class TestTemplate(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with patch("odoo.tools.translate.os.walk", walk_addon):
            # module, type, name, id, source, value, comments: odoo/tools/translate.py
            cls.rows = list(TranslationModuleReader(cls.env.cr, modules=["api_guard"]))
        cls.template = {entry.msgid for entry in read("api_guard.pot")}

    def test_it_has_every_term_of_the_addon(self):
        # Any module may add fields to these; their words are not the addon's.
        mixins = {*self.env["mail.thread"]._fields, *self.env["mail.activity.mixin"]._fields}
        own = {row[4] for row in self.rows if not (row[1] == "model" and row[3].split("__")[-1] in mixins)}
        self.assertIn("Suspended key", own)  # of the code, which the walk has to find
        self.assertFalse(sorted(own - self.template), "Run make i18n, and translate these.")

    def test_it_has_no_other_term(self):
        self.assertFalse(sorted(self.template - {row[4] for row in self.rows}), "Run make i18n.")


@tagged("post_install", "-at_install")
class TestFrench(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")
        cls.env["ir.module.module"].search([("name", "=", "api_guard")])._update_translations(["fr_FR"])
        cls.french = cls.env(context={"lang": "fr_FR"})

    def test_a_field(self):
        mode = self.french["api.policy"].fields_get(["mode"])["mode"]
        self.assertEqual(mode["string"], "Mode")  # the same word in both languages
        self.assertEqual(dict(mode["selection"]), {"enforce": "Appliquer", "monitor": "Surveiller"})
        self.assertIn("journal d'audit", mode["help"])

    def test_a_menu(self):
        self.assertEqual(self.french.ref("api_guard.menu_policy").name, "Politiques")
        self.assertEqual(self.french.ref("api_guard.menu_audit_entry").name, "Journal d'audit")

    def test_a_view(self):
        arch = self.french["api.policy"].get_view(view_type="form")["arch"]
        self.assertIn("Aucune ligne", arch)
        self.assertNotIn("No line: calls may come from anywhere.", arch)

    def test_a_sentence_of_the_code(self):
        sentences = code_translations.get_python_translations("api_guard", "fr_FR")
        self.assertEqual(sentences["Suspended key"], "Clé suspendue")
