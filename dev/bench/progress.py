"""How far is it? A bar on the terminal's error stream, so that the results can go into a file; elsewhere nothing."""

import shutil
import sys
import time

_WIDTH = 24


class Progress:
    """`total` steps, each of which is a part of its own: `with progress.part(name, rounds, seconds) as tick`."""

    def __init__(self, total, stream=sys.stderr):
        self._total, self._done, self._stream = total, 0, stream
        self._began, self._drawn = time.monotonic(), 0.0

    def part(self, title, rounds=None, seconds=None):
        """Return a function to be told the number of the round that begins."""
        began = time.monotonic()
        self._done += 1

        def tick(n):
            now = time.monotonic()
            if now - self._drawn > 0.1:
                self._drawn = now
                shares = [n / rounds if rounds else 0, (now - began) / seconds if seconds else 0]
                self._draw(min(1.0, max(shares)), title, f"round {n}")
        self._draw(0, title, "")
        return tick

    def end(self):
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, share, title, detail):
        if not self._stream.isatty():
            return
        filled = round((self._done - 1 + share) / self._total * _WIDTH)
        bar = "█" * filled + "·" * (_WIDTH - filled)
        seconds = time.monotonic() - self._began
        line = f"{bar} {self._done}/{self._total} {title} {detail}  {seconds // 60:.0f}:{seconds % 60:02.0f}"
        self._stream.write(f"\r\x1b[K{line[:shutil.get_terminal_size().columns - 1]}")
        self._stream.flush()
