"""Making a batch at the provider, at most once even where its answer goes astray."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dspex.clients.batch.exchange import exchange
from dspex.errors import ErrorKind, ProviderError

if TYPE_CHECKING:
    from dspex.clients.batch.dialect import Dialect
    from dspex.clients.batch.line import BatchLine
    from dspex.clients.batch.notes import Notes
    from dspex.clients.batch.open_batch import OpenBatch
    from dspex.clients.endpoint import Endpoint

__all__ = ("Sender",)

# After these the batch may have been made although nobody said so.
_UNCLEAR: Final = frozenset({ErrorKind.PROTOCOL, ErrorKind.TIMEOUT, ErrorKind.TRANSPORT})


class Sender:
    """Makes batches.

    Where the provider's list of batches shows our names, an unclear failure is looked into before
    the batch is made again; where it does not, a batch may be made twice after one.

    Args:
        endpoint: through whose connections it speaks.
        dialect: how.
    """

    __slots__ = ("_dialect", "_endpoint")

    def __init__(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self._endpoint = endpoint
        self._dialect = dialect

    async def make(self, batch: OpenBatch, lines: list[BatchLine], notes: Notes) -> None:
        """Send up what the batch is made of, and make it, noting what a restart has to know.

        Raises:
            ProviderError: it was refused.
            OSError: it cannot be noted, and was not made.
        """
        uploaded = await self.upload(lines)
        await notes.begin(batch)
        try:
            batch.batch = await self.create(lines, uploaded, batch.nonce)
        except ProviderError:
            await notes.void(batch, batch.lines)
            raise

        # It is known here, and a restart looks for it by our name: better than to send it twice.
        with suppress(OSError):
            await notes.made(batch)

    async def upload(self, lines: list[BatchLine]) -> bytes:
        """Send up what the batch is made of; return the answer, empty if there is nothing."""
        outgoing = self._dialect.upload(lines)
        if outgoing is None:
            return b""

        return await exchange(
            self._endpoint, "POST", outgoing.path, outgoing.body, outgoing.content_type
        )

    async def create(self, lines: list[BatchLine], uploaded: bytes, nonce: str) -> str:
        """Make the batch; after an answer that went astray, look whether it was made."""
        outgoing = self._dialect.create(lines, uploaded, nonce)
        searchable = self._dialect.search() is not None
        try:
            reply = await exchange(
                self._endpoint, "POST", outgoing.path, outgoing.body, retries=not searchable
            )
        except ProviderError as exc:
            made = await self.find(nonce) if exc.data.kind in _UNCLEAR else None
            if made is not None:
                return made

            if not (searchable and exc.unavailable):
                raise

            reply = await exchange(self._endpoint, "POST", outgoing.path, outgoing.body)

        return self._dialect.created(reply)

    async def find(self, nonce: str) -> str | None:
        """Return the id of the batch of that name, where the provider lets one look for it."""
        path = self._dialect.search()
        if path is None:
            return None

        return self._dialect.found(await exchange(self._endpoint, "GET", path), nonce)
