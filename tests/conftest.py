"""Data that many tests use: small tables that can be read here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dd_ray.settings import settings
from tests.buckets import Bucket

Write = Callable[..., str]
SetSettings = Callable[..., None]


@pytest.fixture
def set_settings() -> Iterator[SetSettings]:
    """Sets settings of this process by their names, as an operator sets the variables."""
    with pytest.MonkeyPatch.context() as patch:

        def set_values(**values: object) -> None:
            for name, value in values.items():
                patch.setenv(f"DD_RAY_{name.upper()}", str(value))
            settings.cache_clear()

        yield set_values
    settings.cache_clear()


@pytest.fixture
def loopback_allowed(set_settings: SetSettings) -> None:
    """URLs of calls may name servers of the test itself."""
    set_settings(allowed_hosts="127.0.0.1")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, set_settings: SetSettings, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket that calls may use."""
    made = Bucket(s3_server, f"b-{uuid.uuid4().hex[:12]}")
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    set_settings(roots=f"/:{made.url}")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines to a file of that name and returns its path."""

    def write_lines(name: str, *lines: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write_lines


@pytest.fixture(scope="session")
def iris_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """scikit-learn's iris with an id column and a numeric label `target`."""
    from sklearn.datasets import load_iris

    data = load_iris()
    lines = ["id,sepal length,sepal width,petal length,petal width,target"]
    for i, (row, target) in enumerate(zip(data.data, data.target, strict=True)):
        lines.append(",".join([f"flower-{i}", *(f"{value:g}" for value in row), str(target)]))
    path = tmp_path_factory.mktemp("data") / "iris.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="session")
def numbers_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two random columns and a target that is their sum: a regression without noise."""
    values = np.random.default_rng(0).uniform(size=(300, 2))
    lines = ["a,b,y", *(f"{a:.6f},{b:.6f},{a + b:.6f}" for a, b in values)]
    path = tmp_path_factory.mktemp("data") / "numbers.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)
