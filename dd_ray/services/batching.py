"""Joining predict calls: what queued while the model was busy is the next batch.

There is no waiting for more: with one client every call is answered at once, with many the model
sees as many rows as came meanwhile. Only calls with the same parameters share a batch, and what
fails in a batch is tried again alone, so that it fails nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from dd_ray.data import Output
from dd_ray.errors import ApiError, LibraryError, Unavailable
from dd_ray.services.answer import Rendered, render_error
from dd_ray.services.joining import joined, parts
from dd_ray.services.pipeline import Pipeline, Prediction, Prepared
from dd_ray.services.predict import parse, pushed, shaped
from dd_ray.services.stats import Stats
from dd_ray.services.tickets import Done, Limits, Ticket, took_too_long

logger = logging.getLogger(__name__)

_INLINE_MS = 2.0
"""What a batch may take on the event loop; what takes longer goes to a thread."""

_SMALL = 2**16
"""Bytes of a call that are parsed on the event loop."""

_READERS = 16
"""Threads that read data: files and URLs may be slow, and each has the time it takes."""


class _Ran(NamedTuple):
    """A batch that has run."""

    results: list[Prediction | ApiError]
    rows: int
    began: float
    model_ms: float


class Batcher:
    """Answers predict calls of one pipeline. Lives on the event loop it is made on."""

    def __init__(self, pipeline: Pipeline, stats: Stats, *, limits: Limits) -> None:
        self._pipeline = pipeline
        self._stats = stats
        self._limits = limits
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._queue: deque[Ticket] = deque()
        self._open = 0
        self._busy = False
        self._scheduled = False
        self._inline_rows = 0
        self._pushes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Calls that have been taken and not answered."""
        return self._open

    async def predict(self, raw: bytes, name: str = "") -> Rendered:
        """The answer to the body of a call; `name` is that of the service when the path has it."""
        answer: asyncio.Future[Rendered] = self._loop.create_future()

        def done(rendered: Rendered) -> None:
            if not answer.done():
                answer.set_result(rendered)

        ticket = self.submit(raw, done, name)
        try:
            return await answer
        except asyncio.CancelledError:
            ticket.cancel()
            raise

    def submit(self, raw: bytes, done: Done, name: str = "") -> Ticket:
        """Takes a call; `done` gets the answer, perhaps at once. Never raises ApiError."""
        ticket = Ticket(done)
        self._open += 1
        if self._open > self._limits.waiting:
            error = Unavailable(f"{self._limits.waiting} calls wait already, try again")
            self._stats.refused(error.dd_code)
            self._finish(ticket, render_error(error))
            return ticket
        if self._limits.timeout_s:
            ticket.timer = self._loop.call_later(self._limits.timeout_s, self._expire, ticket)
        if len(raw) > _SMALL:
            self._in_thread(ticket, lambda: self._pipeline.prepare(parse(raw, name, self.name)))
            return ticket
        try:
            call = parse(raw, name, self.name)
            if self._pipeline.quick(call):
                self._take(ticket, self._pipeline.prepare(call))
            else:
                self._in_thread(ticket, lambda: self._pipeline.prepare(call))
        except ApiError as exc:
            self._fail(ticket, exc)
        except Exception as exc:  # a mistake of ours: the client gets an answer all the same
            self._fail(ticket, _unexpected(exc))
        return ticket

    @property
    def name(self) -> str:
        return self._pipeline.definition.name

    def close(self) -> None:
        """Ends the threads; calls that are under way are answered first."""
        self._readers.shutdown(wait=False)
        self._model.shutdown(wait=False)

    # -- reading --------------------------------------------------------------------------------

    def _in_thread(self, ticket: Ticket, prepare: Callable[[], Prepared]) -> None:
        def work() -> Prepared | ApiError:
            try:
                return prepare()
            except ApiError as exc:
                return exc
            except Exception as exc:
                return _unexpected(exc)

        def read(future: asyncio.Future[Prepared | ApiError]) -> None:
            found = future.result()
            if isinstance(found, ApiError):
                self._fail(ticket, found)
            else:
                self._take(ticket, found)

        self._loop.run_in_executor(self._readers, work).add_done_callback(read)

    def _take(self, ticket: Ticket, prepared: Prepared) -> None:
        ticket.prepared = prepared
        ticket.queued = time.perf_counter()
        self._queue.append(ticket)
        if not self._busy and not self._scheduled:
            self._scheduled = True
            if self._limits.wait_s:
                self._loop.call_later(self._limits.wait_s, self._run)
            else:
                self._loop.call_soon(self._run)  # after whatever else has come in by now

    # -- predicting -----------------------------------------------------------------------------

    def _run(self) -> None:
        """Starts the next batch, unless one is under way."""
        self._scheduled = False
        while self._queue and not self._busy:
            batch = self._next()
            if not batch:
                continue
            if sum(len(_prepared(ticket).batch) for ticket in batch) <= self._inline_rows:
                self._answer_all(batch, self._predict(batch))
            else:
                self._busy = True
                work = self._loop.run_in_executor(self._model, self._predict, batch)
                work.add_done_callback(partial(self._ran, batch))

    def _ran(self, batch: list[Ticket], work: asyncio.Future[_Ran]) -> None:
        self._busy = False
        self._answer_all(batch, work.result())
        self._run()

    def _next(self) -> list[Ticket]:
        """The calls at the head of the queue that may share a batch."""
        batch: list[Ticket] = []
        rows, most = 0, 0
        while self._queue:
            ticket = self._queue[0]
            if ticket.cancelled:
                self._queue.popleft()
                self._open -= 1
                continue
            prepared = _prepared(ticket)
            if not batch:
                most = self._most(prepared)
            elif rows + len(prepared.batch) > most or not prepared.joins(_prepared(batch[0])):
                break
            batch.append(self._queue.popleft())
            rows += len(prepared.batch)
        return batch

    def _most(self, prepared: Prepared) -> int:
        """Rows of the batch that this call begins, when others join it."""
        at_once = prepared.predictor.at_once(prepared.params.mllib)
        return min(self._limits.rows, at_once or self._limits.rows)

    def _predict(self, batch: list[Ticket]) -> _Ran:
        """What became of a batch, each call with an error of its own."""
        began = time.perf_counter()
        calls = [_prepared(ticket) for ticket in batch]
        sizes = [len(call.batch) for call in calls]
        try:
            first = calls[0]
            output = first.predictor.predict(
                joined([call.batch for call in calls]), first.params.mllib
            )
            outputs: list[Output | ApiError] = list(parts(output, sizes))
        except Exception as exc:
            error = exc if isinstance(exc, ApiError) else _unexpected(exc)
            outputs = [error] if len(calls) == 1 else [_alone(call) for call in calls]
        model_ms = (time.perf_counter() - began) * 1000
        results = [
            self._prediction(call, output) for call, output in zip(calls, outputs, strict=True)
        ]
        took_ms = (time.perf_counter() - began) * 1000
        rows = sum(sizes)
        if took_ms > _INLINE_MS:
            self._inline_rows = min(self._inline_rows, rows - 1)
        elif took_ms < _INLINE_MS / 2:
            self._inline_rows = max(self._inline_rows, 2 * rows)
        return _Ran(results, rows, began, model_ms)

    def _prediction(self, call: Prepared, output: Output | ApiError) -> Prediction | ApiError:
        if isinstance(output, ApiError):
            return output
        try:
            return self._pipeline.answer(call, output)
        except ApiError as exc:
            return exc
        except Exception as exc:
            return _unexpected(exc)

    # -- answering ------------------------------------------------------------------------------

    def _answer_all(self, batch: list[Ticket], ran: _Ran) -> None:
        waited_s = 0.0
        for ticket, result in zip(batch, ran.results, strict=True):
            waited_s += ran.began - ticket.queued
            if isinstance(result, ApiError):
                self._fail(ticket, result)
            else:
                self._answer(ticket, result)
        self._stats.ran(ran.rows, ran.model_ms, waited_s * 1000)

    def _expire(self, ticket: Ticket) -> None:
        """Answers a call whose time is over; what is under way for it goes on, unseen."""
        if ticket.cancelled:
            return
        error = took_too_long(self._limits.timeout_s)
        ticket.expired = ticket.cancelled = True
        self._stats.failed((time.perf_counter() - ticket.began) * 1000, error.dd_code)
        ticket.done(render_error(error))

    def _answer(self, ticket: Ticket, prediction: Prediction) -> None:
        if ticket.expired:
            self._open -= 1
            return
        took_ms = (time.perf_counter() - ticket.began) * 1000
        self._stats.succeeded(prediction.rows, took_ms, prediction.transform_ms)
        try:
            rendered = shaped(prediction, self.name, took_ms)
        except ApiError as exc:
            self._finish(ticket, render_error(exc))
            return
        if prediction.params.output.network is None:
            self._finish(ticket, rendered)
            return
        task = self._loop.create_task(self._push(ticket, prediction, rendered))
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)

    async def _push(self, ticket: Ticket, prediction: Prediction, rendered: Rendered) -> None:
        self._finish(ticket, await pushed(prediction, rendered))

    def _fail(self, ticket: Ticket, error: ApiError) -> None:
        if ticket.expired:
            self._open -= 1
            return
        self._stats.failed((time.perf_counter() - ticket.began) * 1000, error.dd_code)
        self._finish(ticket, render_error(error))

    def _finish(self, ticket: Ticket, rendered: Rendered) -> None:
        self._open -= 1
        if ticket.timer is not None:
            ticket.timer.cancel()
        if not ticket.cancelled:
            ticket.done(rendered)


def _prepared(ticket: Ticket) -> Prepared:
    assert ticket.prepared is not None
    return ticket.prepared


def _alone(call: Prepared) -> Output | ApiError:
    try:
        return call.predictor.predict(call.batch, call.params.mllib)
    except ApiError as exc:
        return exc
    except Exception as exc:
        return _unexpected(exc)


def _unexpected(error: Exception) -> ApiError:
    logger.error("a prediction failed", exc_info=error)
    return LibraryError(f"the prediction failed: {type(error).__name__}")
