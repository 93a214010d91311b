"""A breach report as files: a spreadsheet with all there is, and a document for the notice.

Whatever came from the log or the database is written as text: in a spreadsheet a name may begin
with "=", in a document it may hold markup.
"""

import base64
import io
from contextlib import suppress
from xml.sax.saxutils import escape

import xlsxwriter
from odoo.tools import file_path
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.platypus import ListFlowable, ListItem, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

_FONT = "web/static/fonts/sign/NotoSans-Reg.ttf"  # of more scripts than the standard ones
_MAX_CELL = 32_000  # characters; Excel takes 32,767
_PERSONS, _CALLS, _TEXT = 300, 300, 500  # of the document


def write_xlsx(told, words):
    """The report as a spreadsheet, in base64."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False}) as book:
        bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
        summary = [[line] for line in _summary(told, words)]
        tables = [
            (None, summary, [120]),
            (
                words["model_columns"],
                [_model_row(row, words) for row in told["models"]],
                [28, 24, 8, 12, 12, 12, 40, 60, 60],
            ),
            (words["person_columns"], [[name, model, number] for model, number, name in told["persons"]], [40, 24, 10]),
            (words["call_columns"], told["calls"], [22, 24, 24, 20, 30, 50, 8, 20]),
            (words["changed_columns"], told["changed"], [28, 10, 10]),
        ]
        for name, (columns, rows, widths) in zip(words["sheets"], tables, strict=True):
            sheet = book.add_worksheet(name[:31])
            _fill(sheet, ([columns] if columns else []) + rows, bold if columns else None, wrapped)
            for place, width in enumerate(widths):
                sheet.set_column(place, place, width)
            if columns:
                sheet.freeze_panes(1, 0)
    return base64.b64encode(stream.getvalue())


def _fill(sheet, rows, head, plain):
    for line, row in enumerate(rows):
        for place, value in enumerate(row):
            style = head if head and line == 0 else plain
            if isinstance(value, int):
                sheet.write_number(line, place, value, style)
            else:
                sheet.write_string(line, place, str(value)[:_MAX_CELL], style)


def _model_row(row, words):
    return [
        row["model"], row["label"], row["calls"], row["rows"], row["records"],
        words["yes"] if row["is_whole"] else words["at_least"], ", ".join(row["personal"]), ", ".join(row["fields"]),
        row["ids"],
    ]  # fmt: skip


def _summary(told, words):
    yield words["title"]
    yield words["question"] % told
    yield words["made"] % told
    if told["noticed"]:
        yield words["noticed"] % told
    yield ""
    for name in ("nature", "consequences", "measures", "contact"):
        yield words[name]
        yield told[name] or words["to_fill"]
    yield ""
    yield from _counts(told, words)
    yield from told["categories"]
    yield ""
    yield words["caveats"]
    yield from told["caveats"]


def _counts(told, words):
    yield words["record_count"] % {"calls": told["told"], "records": told["records"]}
    yield words["person_count"] % {"count": len(told["persons"]) + told["unnamed"]}
    yield words["refused"] % told


def write_pdf(told, words):
    """The report as a document in the order of GDPR, Article 33 (3), in base64."""
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream, pagesize=A4, title=words["title"], leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm,
        bottomMargin=16 * mm,
    )  # fmt: skip
    document.build(list(_Story(told, words).flowables()), onFirstPage=_number, onLaterPages=_number)
    return base64.b64encode(stream.getvalue())


def _number(canvas, document):
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, str(document.page))


def _font():
    """The name of a font that has most letters; a standard one where Odoo's is not there."""
    with suppress(FileNotFoundError, TTFError, ValueError):
        if "ApiGuardNoto" not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont("ApiGuardNoto", file_path(_FONT)))
        return "ApiGuardNoto"
    return "Helvetica"


class _Story:
    """The document, paragraph by paragraph."""

    def __init__(self, told, words):
        self._told, self._words = told, words
        font, base = _font(), getSampleStyleSheet()
        self._title = ParagraphStyle("title", base["Title"], fontName=font, alignment=0, fontSize=18)
        self._head = ParagraphStyle("head", base["Heading2"], fontName=font, fontSize=12, spaceBefore=10)
        self._plain = ParagraphStyle("plain", base["BodyText"], fontName=font, fontSize=9, leading=12)
        self._small = ParagraphStyle("small", self._plain, fontSize=7, leading=9, wordWrap="CJK")

    def flowables(self):
        told, words = self._told, self._words
        yield Paragraph(escape(words["title"]), self._title)
        yield self._text(words["question"] % told)
        yield self._text(words["made"] % told)
        if told["noticed"]:
            yield self._text(words["noticed"] % told)
        yield from self._section("nature", told["nature"] or words["to_fill"])
        yield from self._section("persons", words["person_count"] % {"count": len(told["persons"]) + told["unnamed"]})
        rows = [[name, model, str(number)] for model, number, name in told["persons"]]
        yield from self._table(words["person_columns"], rows, (90, 54, 30), _PERSONS)
        yield from self._section("records", words["record_count"] % {"calls": told["told"], "records": told["records"]})
        if told["categories"]:
            yield self._text(words["categories"])
            yield self._list(told["categories"])
        yield from self._models()
        for name in ("consequences", "measures", "contact"):
            yield from self._section(name, told[name] or words["to_fill"])
        yield from self._section("caveats")
        yield self._list(told["caveats"])
        yield from self._section("calls", words["refused"] % told)
        rows = [[*row[:4], row[4], row[5], str(row[6])] for row in told["calls"]]
        yield from self._table(words["call_columns"][:7], rows, (26, 30, 24, 22, 26, 36, 10), _CALLS)

    def _models(self):
        words, told = self._words, self._told
        rows = [
            [row[1], str(row[2]), str(row[4]), row[5], row[6] or "–", row[8] or "–"]
            for row in (_model_row(row, words) for row in told["models"])
        ]
        columns = [words["model_columns"][place] for place in (1, 2, 4, 5, 6, 8)]
        yield from self._table(columns, rows, (34, 14, 20, 18, 44, 44), 200)
        if told["changed"]:
            yield self._text(words["changed"])
            rows = [[str(value) for value in row] for row in told["changed"]]
            yield from self._table(words["changed_columns"], rows, (90, 42, 42), 100)

    def _section(self, name, text=""):
        yield Paragraph(escape(self._words[name]), self._head)
        if text:
            yield self._text(text)

    def _text(self, text):
        return Paragraph(escape(text).replace("\n", "<br/>"), self._plain)

    def _list(self, texts):
        return ListFlowable([ListItem(self._text(text)) for text in texts], bulletType="bullet", bulletFontSize=6)

    def _table(self, columns, rows, widths, most):
        if not rows:
            return
        shown = [[Paragraph(escape(_short(text)), self._small) for text in row] for row in (columns, *rows[:most])]
        table = Table(shown, colWidths=[width * mm for width in widths], repeatRows=1)
        table.setStyle(
            TableStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.25, colors.lightgrey),
                    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ]
            )
        )
        yield Spacer(1, 2 * mm)
        yield table
        if len(rows) > most:
            yield self._text(self._words["more"] % {"count": len(rows) - most})


def _short(text):
    text = str(text)
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"
