"""How many secrets can be tried in a while? So many connections, each going on as fast as it is answered.

    python -m dev.attack.attacker      a job as one line of JSON; READY; a line to begin; what came of it
"""

import asyncio
import time
from collections import Counter

from . import wire
from .child import serve
from .doors import DOORS
from .manners import MANNERS

THROWN = "thrown out"


class Attack:
    """One attack on one door. Answers are counted by kind; whoever is not answered when time is over, is not."""

    def __init__(self, job):
        self._job, self._port = job, job["port"]
        self._door, self._manner = DOORS[job["door"]], MANNERS[job["manner"]]
        self._sessions = [None] * job["connections"]
        self._n, self.answers, self.times = 0, Counter(), []

    async def prepare(self):
        """Open the pages that this door begins with, one for each connection."""
        for connection in range(len(self._sessions)):
            await self._open(connection)

    async def run(self):
        """Try for the seconds of the job."""
        self._until = time.monotonic() + self._job["seconds"]
        tasks = [asyncio.create_task(self._work(connection)) for connection in range(len(self._sessions))]
        _done, pending = await asyncio.wait(tasks, timeout=self._job["seconds"])
        for task in pending:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # a mistake of this program's own is told
        return {"sent": self._n, "answers": dict(self.answers), "answer_ms": _median(self.times)}

    async def _work(self, connection):
        while time.monotonic() < self._until:
            try:
                await self._try(connection)
            except wire.Thrown:
                self.answers[THROWN] += 1
            except OSError as error:
                self.answers[f"error {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)

    async def _try(self, connection):
        n, door = self._n, self._door
        if door.session and self._sessions[connection] is None:
            await self._open(connection)
        victim = self._manner.victim(n, self._job["victims"])
        data = door.attempt(self._job, victim, n, self._sessions[connection])
        self._n, began = n + 1, time.monotonic()
        answer = await wire.ask(self._port, self._manner.address(n), data)
        self.times.append((time.monotonic() - began) * 1000)
        self.answers[door.kind(answer)] += 1
        if door.session and answer.location == "/web/login":
            self._sessions[connection] = None  # the page is gone: begin anew, as an attacker would

    async def _open(self, connection):
        address = self._manner.address(connection)
        if self._door.session == "form":
            self._sessions[connection] = await wire.open_form(self._port, address, "/web/login")
        elif self._door.session == "code":
            victim = self._manner.victim(connection, self._job["victims"])
            self._sessions[connection] = await wire.open_second_step(
                self._port, address, victim["login"], self._job["password"])


def _median(times):
    return sorted(times)[len(times) // 2] if times else None


async def main(job, ready):
    attack = Attack(job)
    await attack.prepare()
    await asyncio.to_thread(ready)
    return await attack.run()


if __name__ == "__main__":
    serve(lambda job, ready: asyncio.run(main(job, ready)))
