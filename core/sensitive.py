"""What does a name or a text give away that no log may hold?

Secrets by the names that they go by and by how they look, and numbers of cards and accounts by
their check digits. Whatever a caller sends is looked at here, so nothing in these patterns can
match the same text in two ways; whoever asks hands over a bounded piece of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from .secret import PREFIX

REDACTED = "[redacted]"
CARD, IBAN, EMAIL, PHONE = "[card number]", "[IBAN]", "[e-mail]", "[phone]"

LONGEST = 104  # characters of what a pattern finds, white space included; what follows a secret's name aside

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|otp|authori[sz]ation|credential|cookie"
    r"|session|cvc|cvv|signature|one_time|exact_value|_key$|(?:^|[^a-z0-9])(?:pwd|key|pin|sid|puk|tfa|mfa)(?:$|[^a-z0-9_])",
    re.IGNORECASE,
)
_EMAIL_NAME = re.compile(r"e?mail", re.IGNORECASE)
_PHONE_NAME = re.compile(r"phone|mobile|(?:^|_)(?:fax|tel|cell)(?:_|$)", re.IGNORECASE)

# Wider than the pattern of keys: of one that lost its end or was glued to a word, the rest is too much, too.
_OURS = re.compile(rf"{PREFIX}[0-9A-Za-z]{{24,36}}")
_SHAPES = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])"  # a key of Odoo's
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # a token of RFC 7519
    r"|(?<![0-9A-Za-z])(?:AKIA[0-9A-Z]{16}|gh[a-z]_\w{20,}|glpat-[\w-]{20,}|xox[a-z]-[\w-]{10,}|sk_(?:live|test)_\w{10,})"
    r"|(?<=://)[^/\s@]{1,100}:[^/\s@]{1,200}@"
)
_BEARER = re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_MARKERS = re.compile(r"bearer|basic|eyJ|AKIA|gh[a-z]_|glpat|xox|sk_|://|[0-9a-f]{40}", re.IGNORECASE)
#: a secret's name within a text, and what says that the secret follows: the rest of the text is too much
_NAMED = re.compile(
    r"(?:passw\w{0,20}|passphrase|secret\w{0,20}|token\w{0,20}|api[_ -]?key|private[_ -]?key|access[_ -]?key"
    r"|(?<![a-z0-9])(?:otp|pwd|pin|key|sid|puk|cvc|cvv2?)|authori[sz]ation|credentials?|cookie|signature"
    r"|session[_ -]?(?:id|key))"
    r"(?:[ \t\"'\\\])]{0,8}[:=,;|>\t\n]| is )"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d(?:[\s-]{0,2}\d){12,}")
_ACCOUNT = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[\s-]{0,2}[0-9A-Za-z]){11,}")
_CARD_GROUP, _CARD_BEGIN = re.compile(r"\d+"), re.compile(r"\d\d")
_ACCOUNT_GROUP, _ACCOUNT_BEGIN = re.compile(r"[0-9A-Za-z]+"), re.compile(r"[A-Za-z]{2}\d{2}")
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"'=]{1,64}@[^\s@<>()\[\],;:\"'=]{1,255}")
_NUMBER = re.compile(r"(?<![\w.])(?:\+|\(?0)(?:[ ()./-]{0,3}\d){6,14}(?!\d)")


def is_secret_name(name: object) -> bool:
    """Does a value under this name have to stay out of every log?

    >>> is_secret_name("new_password"), is_secret_name("user_id.pin"), is_secret_name("keyword")
    (True, True, False)
    """
    return isinstance(name, str) and len(name) <= 64 and bool(_SECRET_NAME.search(name))


def is_secret_key(name: object) -> bool:
    """The same of the name in a mapping, which is a name however long it is. Its beginning and its end tell."""
    return isinstance(name, str) and bool(_SECRET_NAME.search(name[:256]) or _SECRET_NAME.search(name[-256:]))


def is_email_name(name: str) -> bool:
    """Does a field of this name hold e-mail addresses?

    >>> is_email_name("email_from"), is_email_name("name")
    (True, False)
    """
    return bool(_EMAIL_NAME.search(name))


def is_phone_name(name: str) -> bool:
    """Does a field of this name hold phone numbers?

    >>> is_phone_name("mobile_phone"), is_phone_name("hotel")
    (True, False)
    """
    return bool(_PHONE_NAME.search(name))


def blank(text: str, secrets: Sequence[str]) -> str:
    """`text` without any of `secrets`, and without whatever looks like a key of ours, mistyped ones too.

    >>> blank("bad key 0123456789", ["0123456789"]), blank("ag_" + "0" * 36, [])
    ('bad key [redacted]', '[redacted]')
    """
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        if len(secret) >= 4:  # blanking shorter ones would spell them out by what is missing
            text = text.replace(secret, REDACTED)
    return _OURS.sub(REDACTED, text) if PREFIX in text else text


def without_secrets(text: str) -> str:
    """`text` without what looks like a secret, and without what follows the name of one.

    >>> without_secrets("user=ada&password=hunter2&x=1"), without_secrets("https://ada:x@example.com/a")
    ('user=ada&password=[redacted]', 'https://[redacted]example.com/a')
    """
    if _MARKERS.search(text):
        text = _SHAPES.sub(REDACTED, _BEARER.sub(rf"\1{REDACTED}", text))
    found = _NAMED.search(text)
    return text[: found.end()] + REDACTED if found and text[found.end() :].strip(" \t\n\"'") else text


def without_numbers(text: str) -> str:
    """`text` without the numbers of payment cards and of bank accounts.

    >>> without_numbers("card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00 please")
    'card [card number], IBAN [IBAN] please'
    """
    text = _ACCOUNT.sub(_account, text)
    return _DIGITS.sub(_card, text)


def without_emails(text: str) -> str:
    """`text` without the e-mail addresses in it.

    >>> without_emails("Ada <ada@example.com>")
    'Ada <[e-mail]>'
    """
    return _ADDRESS.sub(EMAIL, text) if "@" in text else text


def without_phones(text: str) -> str:
    """`text` without the phone numbers in it: those that begin with + or 0.

    >>> without_phones("call +32 2 555 12 34 or 02/555.12.34, room 1234567")
    'call [phone] or [phone], room 1234567'
    """
    return _NUMBER.sub(PHONE, text)


def _card(found: re.Match[str]) -> str:
    """A run of digits with each card's number in it marked: other groups of digits may stand beside it."""
    return _marked(found.group(), _CARD_GROUP, _CARD_BEGIN, 13, 19, _is_card, CARD)


def _account(found: re.Match[str]) -> str:
    return _marked(found.group(), _ACCOUNT_GROUP, _ACCOUNT_BEGIN, 15, 34, _is_iban, IBAN)


def _is_card(number: str) -> bool:
    return luhn.is_valid("".join(str(int(digit)) for digit in number))  # there are other digits than ours


def _is_iban(number: str) -> bool:
    return mod_97_10.is_valid((number[4:] + number[:4]).upper())


def _marked(
    text: str,
    group: re.Pattern[str],
    begin: re.Pattern[str],
    least: int,
    most: int,
    is_valid: Callable[[str], bool],
    mark: str,
) -> str:
    groups = list(group.finditer(text))
    kept, start, position = [], 0, 0
    while start < len(groups):
        first = groups[start]
        end = None if start and not begin.match(first.group()) else _end(groups, start, least, most, is_valid)
        if end is not None:
            kept += [text[position : first.start()], mark]
            position, start = groups[end].end(), end
        start += 1
    return "".join([*kept, text[position:]])


def _end(groups: list[re.Match[str]], start: int, least: int, most: int, is_valid: Callable[[str], bool]) -> int | None:
    """With which group ends the longest valid number that begins with group `start`? None: there is none."""
    number, found = "", None
    for place in range(start, len(groups)):
        number += groups[place].group()
        if len(number) > most:
            break
        if len(number) >= least and is_valid(number):
            found = place
    return found
