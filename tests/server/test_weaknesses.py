"""Does the addon close what stock Odoo leaves open? `dev/weaknesses`, row by row, against both.

The stock column matters as much: it shows that the probe sees the weakness where it is.
"""

import pytest

from dev import weaknesses

# Sessions of the web client, which the addon leaves alone; the table says why.
NOT_OURS = {"W13b", "W14"}
CLOSED = [row for row in weaknesses.ROWS if row not in NOT_OURS and weaknesses.ROWS[row].is_weakness]


@pytest.fixture(scope="module")
def table():
    return weaknesses.measure([*CLOSED, "W15"])


@pytest.mark.parametrize("row", CLOSED)
def test_weakness_is_open_on_stock_and_closed_by_the_addon(table, row):
    told = table[row]
    assert (told["stock"], told["guarded"]) == ("open", "closed"), told["evidence"]


def test_key_of_archived_user_is_refused_with_and_without_the_addon(table):
    assert (table["W15"]["stock"], table["W15"]["guarded"]) == ("ok", "ok"), table["W15"]["evidence"]


def test_every_row_that_stays_open_says_why():
    assert {row for row in weaknesses.ROWS if weaknesses.ROWS[row].why} == NOT_OURS
