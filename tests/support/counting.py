"""A provider that takes so many requests a second and counts them, in a process of its own.

    python -m tests.support.counting <per second> [<burst>]

It prints its port. `GET /counts` gives what it saw; everything else is a chat completion, or 429.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import orjson

from tests.support.sockets import chat_body, http, read_request

_REFUSAL: Final = orjson.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
_REFUSED: Final = http(_REFUSAL, status="429 Too Many Requests")


class Counter:
    """A bucket of requests, and how often it was asked since it first had to refuse."""

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = self.level = burst
        self.at = time.monotonic()
        self.served = self.refused = self.served_before = 0

    def take(self) -> bool:
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.per_s)
        self.at = now
        if self.level < 1:
            if not self.refused:
                self.served_before = self.served

            self.refused += 1
            return False

        self.level -= 1
        self.served += 1
        return True

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                if (await reader.readexactly(4)).startswith(b"GET"):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(http(orjson.dumps(self.counts())))
                    continue

                await read_request(reader)
                writer.write(http(chat_body()) if self.take() else _REFUSED)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def counts(self) -> dict[str, int]:
        return {
            "served": self.served,
            "refused": self.refused,
            "served_before": self.served_before,
        }


async def serve(per_s: float, burst: float) -> None:
    server = await asyncio.start_server(
        Counter(per_s, burst).connected, "127.0.0.1", 0, backlog=4_096
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - it is what it is asked
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), float((sys.argv[2:] or sys.argv[1:])[0])))
