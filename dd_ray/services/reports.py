"""Final reports on their way to the clients that ask for them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable

from dd_ray.errors import ApiError
from dd_ray.services import handout, schema
from dd_ray.services.handout import Answer, Handout
from dd_ray.services.records import JobRecord
from dd_ray.services.store import Store

LEASE_S = 30.0
"""How long a request may have a report without saying whether its client got it."""


class Reports:
    """Hands out the reports of ended jobs; see dd_ray.services.handout."""

    def __init__(self, store: Store, *, history_jobs: int, clock: Callable[[], float]) -> None:
        self._store = store
        self._history_jobs = history_jobs
        self._clock = clock

    async def ask(self, each: JobRecord, request: str) -> bool:
        """Whether a request may give the report to its client; waits while another one does."""
        request = request or uuid.uuid4().hex
        while True:
            now = self._clock()
            asked, answer = handout.ask(each.handout, request, now=now, lease_s=LEASE_S)
            if answer is not Answer.WAIT:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(each.handed.wait(), each.handout.until - now)
        if answer is Answer.GONE:
            return False
        before, each.handout = each.handout, asked
        try:
            await self._store.commit(schema.set_handout(each.job.key, asked))
        except ApiError:  # nobody was given it, so that nobody has to wait for the lease
            self._tell(each, before)
            raise
        return True

    async def confirm(self, each: JobRecord, request: str) -> bool:
        """The client of the request has the report; whether the job is of the past now."""
        if not handout.confirm(each.handout, request).taken:
            return False
        await self.leave(each)
        return True

    async def release(self, each: JobRecord, request: str) -> None:
        """The client of the request was gone: somebody else may have the report."""
        after = handout.release(each.handout, request)
        if after != each.handout:
            await self._store.commit(schema.set_handout(each.job.key, after))
            self._tell(each, after)

    async def leave(self, each: JobRecord) -> None:
        """Leaves an ended job to people; no client can ask for it any more."""
        after = Handout(taken=True)
        history = await self._store.read(lambda c: schema.history(c, each.job.key))
        await self._store.commit(
            schema.set_handout(each.job.key, after),
            *schema.leave_to_people(each.job.key, history, most=self._history_jobs),
        )
        self._tell(each, after)

    def _tell(self, each: JobRecord, after: Handout) -> None:
        each.handout = after
        each.handed.set()
        each.handed = asyncio.Event()
