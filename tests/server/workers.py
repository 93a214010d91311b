"""Which worker answered? A change has to hold in each, so calls are repeated until each had one."""

import re
from concurrent.futures import ThreadPoolExecutor

_REQUEST_LINE = re.compile(r"^\S+ \S+ (\d+) INFO \S+ werkzeug: ", re.MULTILINE)


def answering(server, since=0):
    """The pids of the processes that logged a request after `since` characters of the log."""
    return {int(pid) for pid in _REQUEST_LINE.findall(server.log()[since:])}


def in_every_worker(server, call, least=2, most=80):
    """The answers of at least `least` calls, made two at a time until every HTTP worker gave one."""
    since, answers, workers = len(server.log()), [], set(server.pids())
    with ThreadPoolExecutor(2) as pool:
        while len(answers) < least or not workers <= answering(server, since):
            assert len(answers) < most, f"{most} calls, and yet not in every worker"
            answers += pool.map(lambda _turn: call(), range(2))
    return answers


def times(number, call):
    """The answers of `number` calls, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda _turn: call(), range(number)))
