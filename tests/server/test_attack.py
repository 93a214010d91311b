"""Does the measurement of attacks measure? `make attack`, one door for a few seconds."""

import pytest

from core.secret import is_well_formed, write_secret
from dev.attack import doors, main, manners, report

SIZES = main.Sizes(seconds=3, quiet=1, connections=4)


@pytest.fixture(scope="module")
def rows():
    return main.measure([("xmlrpc_login", "one")], SIZES)


@pytest.mark.parametrize("variant", ["stock", "guarded"])
def test_wrong_passwords_are_sent_answered_and_compared(rows, variant):
    [row] = rows
    measured = row[variant]
    assert 0 < sum(measured["answers"].values()) <= measured["sent"]
    assert doors.IN not in measured["answers"], measured["answers"]
    assert 0 < measured["counts"]["password"] == measured["checks"] <= measured["sent"]


@pytest.mark.parametrize("variant", ["stock", "guarded"])
def test_the_program_is_slower_under_attack_and_the_person_attacked_is_asked(rows, variant):
    [row] = rows
    measured = row[variant]
    # the last call may be under way when time is up, on a busy machine
    assert "200" in measured["quiet"]["answers"]
    assert set(measured["quiet"]["answers"]) <= {"200", "never answered"}
    assert measured["program"]["due"] == pytest.approx(main.PACE * SIZES.seconds, abs=1)
    if variant == "stock":
        assert measured["program"]["p95_ms"] > measured["quiet"]["p50_ms"]
    assert [entry["way"] for entry in measured["entries"]] == ["web", "RPC"]


def test_the_table_has_a_row_for_each_attack(rows):
    heading, line, row, *_legend = report.table(rows, vars(SIZES)).splitlines()
    assert heading.count("|") == line.count("|") == row.count("|")
    assert str(rows[0]["stock"]["checks"]) in row


def test_wrong_keys_begin_like_real_ones_and_have_their_form():
    for key in ("5f" * 20, write_secret(bytes(range(32)))):
        forged = doors.wrong_key(key)
        assert (forged[:8], len(forged)) == (key[:8], len(key)) and forged != key
        assert is_well_formed(forged) == is_well_formed(key)


def test_manners_differ_in_who_is_tried_and_from_where():
    victims = list(range(50))
    tried = {
        name: ({manner.address(n) for n in range(400)}, {manner.victim(n, victims) for n in range(400)})
        for name, manner in manners.MANNERS.items()
    }
    told = {name: (len(addresses), len(logins)) for name, (addresses, logins) in tried.items()}
    assert told == {"one": (1, 1), "logins": (1, 50), "addresses": (200, 50), "networks": (200, 50), "siege": (200, 1)}
    assert len({address.rpartition(".")[0] for address in tried["networks"][0]}) == 200
