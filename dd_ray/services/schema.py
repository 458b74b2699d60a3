"""The tables of the state's file: their versions, what is written to them and read from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.handout import Handout
from dd_ray.services.history import History
from dd_ray.services.jobs import Job, Status
from dd_ray.services.records import JobView, PastJob

MIGRATIONS = [
    """
    CREATE TABLE services (
        name TEXT PRIMARY KEY,
        definition TEXT NOT NULL,
        version INTEGER NOT NULL,
        next_job INTEGER NOT NULL,
        next_blocking INTEGER NOT NULL
    );
    CREATE TABLE jobs (
        key TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        id INTEGER NOT NULL,
        blocking INTEGER NOT NULL,
        accepted REAL NOT NULL,
        ended REAL,
        status TEXT NOT NULL,
        stopping INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        reached INTEGER NOT NULL,
        deaths INTEGER NOT NULL,
        body TEXT,
        error TEXT,
        repository TEXT NOT NULL,
        folder INTEGER NOT NULL,
        held INTEGER NOT NULL,
        holder TEXT NOT NULL,
        until REAL NOT NULL
    );
    CREATE INDEX jobs_by_end ON jobs (held, ended);
    CREATE TABLE calls (key TEXT PRIMARY KEY, call TEXT NOT NULL);
    CREATE TABLE points (
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        points TEXT NOT NULL,
        PRIMARY KEY (key, attempt, batch)
    ) WITHOUT ROWID;
    CREATE TABLE answered (request TEXT PRIMARY KEY, answer TEXT NOT NULL, at REAL NOT NULL);
    """,
]
"""What makes each version of the file out of the one before; the number of them is its version."""

POINTS_FOR_PEOPLE = 1000
"""Points of a measure that are kept of a job whose report was taken."""

_ANSWERED_S = 3600.0

Statement = tuple[str, tuple[Any, ...]]


def put_service(
    definition: ServiceDefinition, *, version: int, next_job: int, next_blocking: int
) -> Statement:
    values = (json.dumps(definition.as_json()), version, next_job, next_blocking)
    sql = (
        "INSERT INTO services VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version ="
        " excluded.version, next_job = excluded.next_job, next_blocking = excluded.next_blocking"
    )
    return sql, (definition.name, *values)


def drop_service(name: str) -> list[Statement]:
    """A service and what could be asked of its jobs; they stay for people."""
    return [
        ("DELETE FROM services WHERE name = ?", (name,)),
        ("UPDATE jobs SET held = 0 WHERE service = ?", (name,)),
    ]


def add_job(job: Job, call: Mapping[str, Any], repository: str) -> list[Statement]:
    row = (job.key, job.service, job.id, job.blocking, job.accepted, *_state(job), repository)
    return [
        (
            "INSERT INTO jobs (key, service, id, blocking, accepted, status, stopping, attempt,"
            " reached, deaths, body, error, repository, folder, held, holder, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1, '', 0)",
            row,
        ),
        ("INSERT INTO calls VALUES (?, ?)", (job.key, json.dumps(call))),
    ]


def set_job(job: Job) -> Statement:
    return (
        "UPDATE jobs SET status = ?, stopping = ?, attempt = ?, reached = ?, deaths = ?, body = ?,"
        " error = ? WHERE key = ?",
        (*_state(job), job.key),
    )


def set_folder(key: str, there: bool) -> Statement:
    """Whether the job has a folder in its repository, which is to be removed when it ends."""
    return "UPDATE jobs SET folder = ? WHERE key = ?", (there, key)


def end_job(job: Job, history: History, *, now: float) -> list[Statement]:
    """The end of a job, without its call: that can be large, and nobody needs it again."""
    return [
        set_job(job),
        ("UPDATE jobs SET ended = ? WHERE key = ?", (now, job.key)),
        ("DELETE FROM calls WHERE key = ?", (job.key,)),
        *replace_points(job.key, job.attempt, history.dump()),
    ]


def set_handout(key: str, handout: Handout) -> Statement:
    return (
        "UPDATE jobs SET holder = ?, until = ?, held = held AND NOT ? WHERE key = ?",
        (handout.holder, handout.until, handout.taken, key),
    )


def leave_to_people(key: str, history: History, *, most: int) -> list[Statement]:
    """A job whose report was taken: with a short history, and only the last so many of them."""
    oldest = "SELECT key FROM jobs WHERE held = 0 ORDER BY ended DESC LIMIT -1 OFFSET ?"
    return [
        ("UPDATE jobs SET held = 0 WHERE key = ?", (key,)),
        *replace_points(key, 0, history.dump(most=POINTS_FOR_PEOPLE)),
        (f"DELETE FROM points WHERE key IN ({oldest})", (most,)),  # noqa: S608  # ours
        (f"DELETE FROM jobs WHERE folder = 0 AND key IN ({oldest})", (most,)),  # noqa: S608
    ]


def add_points(
    key: str, attempt: int, batch: int, points: Sequence[Mapping[str, Any]]
) -> Statement:
    return (
        "INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?)",
        (key, attempt, batch, json.dumps(points)),
    )


def replace_points(
    key: str, attempt: int, dump: Mapping[str, Any], *, batch: int = 0
) -> list[Statement]:
    """A whole history, as the batch of that number, in place of what it was made of."""
    return [
        ("DELETE FROM points WHERE key = ?", (key,)),
        ("INSERT INTO points VALUES (?, ?, ?, ?)", (key, attempt, batch, json.dumps(dump))),
    ]


def add_answer(request: str, answer: Any, *, now: float) -> list[Statement]:
    """What a request was answered that may come again, because the state died before it was."""
    row = (request, json.dumps(answer), now)
    return [
        ("INSERT OR REPLACE INTO answered VALUES (?, ?, ?)", row),
        ("DELETE FROM answered WHERE at < ?", (now - _ANSWERED_S,)),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredService:
    """A service as the file has it."""

    definition: ServiceDefinition
    version: int
    next_job: int
    next_blocking: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job as the file has it; `batches` are those of its last attempt."""

    job: Job
    ended: float | None
    repository: str
    folder: bool
    held: bool
    handout: Handout
    call: Mapping[str, Any]
    batches: int


def services(connection: sqlite3.Connection) -> list[StoredService]:
    rows = connection.execute("SELECT * FROM services ORDER BY rowid")
    return [
        StoredService(
            definition=ServiceDefinition(**json.loads(row["definition"])),
            version=row["version"],
            next_job=row["next_job"],
            next_blocking=row["next_blocking"],
        )
        for row in rows
    ]


def jobs(
    connection: sqlite3.Connection, where: str = "1", values: Sequence[Any] = ()
) -> list[StoredJob]:
    """The jobs of a condition, in the order in which they were accepted."""
    batches = (
        "SELECT max(batch) + 1 FROM points"
        " WHERE points.key = jobs.key AND points.attempt = jobs.attempt"
    )
    rows = connection.execute(
        f"SELECT jobs.*, calls.call, ({batches}) AS batches FROM jobs LEFT JOIN calls USING (key)"  # noqa: S608  # all ours
        f" WHERE {where} ORDER BY accepted, jobs.rowid",
        values,
    )
    return [_job(row) for row in rows]


def past_jobs(
    connection: sqlite3.Connection, service: str = "", *, key: str = "", most: int = 1
) -> list[PastJob]:
    """Jobs of the past, of a service or all, or the one of that key; the newest first."""
    kept = jobs(
        connection,
        "held = 0 AND ended IS NOT NULL AND ? IN ('', service) AND ? IN ('', jobs.key)",
        (service, key),
    )
    found = []
    for each in kept[: -most - 1 : -1]:
        assert each.ended is not None
        past = history(connection, each.job.key)
        view = JobView(
            job=each.job,
            elapsed_s=each.ended - each.job.accepted,
            measure=past.measure,
            history=past.series(0),
        )
        found.append(PastJob(view=view, ended=each.ended))
    return found


def job_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many jobs there are in each status."""
    return dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY status").fetchall())


def history(connection: sqlite3.Connection, key: str) -> History:
    """The history of a job out of all that is kept of it."""
    found = History()
    rows = connection.execute(
        "SELECT points FROM points WHERE key = ? ORDER BY attempt, batch", (key,)
    )
    for (text,) in rows:
        content = json.loads(text)
        if isinstance(content, dict):
            found = History.of(content)
            continue
        for point in content:
            found.add(point)
    return found


def answered(connection: sqlite3.Connection, request: str) -> tuple[Any] | None:
    """What a request was answered, None when it was not."""
    found = connection.execute("SELECT answer FROM answered WHERE request = ?", (request,))
    row = found.fetchone()
    return None if row is None else (json.loads(row["answer"]),)


def _state(job: Job) -> tuple[Any, ...]:
    body, error = (None if part is None else json.dumps(part) for part in (job.body, job.error))
    return (job.status, job.stopping, job.attempt, job.reached, job.deaths, body, error)


def _job(row: sqlite3.Row) -> StoredJob:
    body, error = (row[name] and json.loads(row[name]) for name in ("body", "error"))
    job = Job(
        service=row["service"],
        id=row["id"],
        key=row["key"],
        accepted=row["accepted"],
        blocking=bool(row["blocking"]),
        status=Status(row["status"]),
        stopping=bool(row["stopping"]),
        attempt=row["attempt"],
        reached=row["reached"],
        deaths=row["deaths"],
        body=body,
        error=error,
    )
    return StoredJob(
        job=job,
        ended=row["ended"],
        repository=row["repository"],
        folder=bool(row["folder"]),
        held=bool(row["held"]),
        handout=Handout(holder=row["holder"], until=row["until"], taken=not row["held"]),
        call=json.loads(row["call"] or "{}"),
        batches=row["batches"] or 0,
    )
