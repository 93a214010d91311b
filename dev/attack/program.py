"""How long does somebody's program wait? One call after another at a fixed pace, each from when it was due.

    python -m dev.attack.program      a job as one line of JSON; READY; a line to begin; what came of it

A call that is late because the one before took long has waited as well. What was due and never
answered has waited until the end at least, and counts with that.
"""

import asyncio
import time
from collections import Counter

from . import wire
from .child import serve
from .doors import right_key

ADDRESS = "127.7.7.7"


def run(job, ready):
    ready()
    return asyncio.run(_run(job))


async def _run(job):
    data, answers, waited = right_key(job, job["key"]), Counter(), []
    began = time.monotonic()
    end, due, each = began + job["seconds"], began, 1 / job["pace"]
    while due < end and time.monotonic() < end:
        await asyncio.sleep(max(0, due - time.monotonic()))
        answers[await _call(job["port"], data, end)] += 1
        waited.append(time.monotonic() - due)
        due += each
    while due < end:
        answers["never sent"] += 1
        waited.append(end - due)
        due += each
    return {"answers": dict(answers), "due": len(waited), **_shares([1000 * seconds for seconds in waited])}


async def _call(port, data, end):
    try:
        answer = await asyncio.wait_for(wire.ask(port, ADDRESS, data), max(0.001, end - time.monotonic()))
    except (asyncio.TimeoutError, TimeoutError):
        return "never answered"
    except OSError as error:
        return f"error {type(error).__name__}"
    return str(answer.status)


def _shares(milliseconds):
    ordered = sorted(milliseconds)
    return {f"p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95)}


if __name__ == "__main__":
    serve(run)
