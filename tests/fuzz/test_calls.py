"""Thousands of calls with hostile paths, URLs and bodies: answered, and kept inside."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dd_ray.api.app import build
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client, ask_asgi
from tests.api.fake_server import FakeServer
from tests.fuzz.watch import Trap, contents, watching

MANY = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "database": None,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A server whose one root is `root`, and a folder beside it that is nobody's business."""

    client: Client
    root: Path
    outside: Path
    traps: tuple[Trap, ...]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    from dd_ray.settings import settings as current

    base = tmp_path_factory.mktemp("fuzz")
    root, outside = base / "root", base / "outside"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "t.csv").write_text("a,y\n1,0\n2,1\n")
        (folder / "0001.model").write_text("{}")
    (root / "link").symlink_to(outside)
    (root / "link.csv").symlink_to(outside / "t.csv")
    traps = tuple(Trap(host) for host in ("127.0.0.1", *own_addresses()))
    with pytest.MonkeyPatch.context() as patch:
        (root / "cwd").mkdir()  # without links: `watching` sees a name, not in which folder
        patch.chdir(root / "cwd")
        patch.setenv("DD_RAY_ROOTS", str(root))
        patch.setenv("DD_RAY_CONNECT_TIMEOUT_S", "0.2")
        patch.setattr(socket, "getaddrinfo", without_name_servers(socket.getaddrinfo))
        current.cache_clear()
        http = AsgiHttp(build(local_server()))
        client = Client(http)
        client.create("flowers", str(root / "m"), mllib={"nclasses": 2})
        client.train("flowers", "a,y\n1,0\n2,1", input={"label": "y"}, mllib={"iterations": 1})
        yield Field(client, root, outside, traps)
        http.close()
    current.cache_clear()
    for trap in traps:
        trap.close()


def own_addresses() -> list[str]:
    """Addresses of this machine that are not loopback."""
    every = [entry for entries in psutil.net_if_addrs().values() for entry in entries]
    return [
        entry.address
        for entry in every
        if entry.family == socket.AF_INET and not entry.address.startswith("127.")
    ]


def without_name_servers(real: Any) -> Any:
    """Resolves what needs no name server, and finds nothing else: quick, and the same anywhere."""

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        number = name.lower().startswith("0x") or ":" in name or name.lower() == "localhost"
        if not number and any(c.isalpha() for c in name):
            raise socket.gaierror(-2, "Name or service not known")
        return real(host, port, *args, **kwargs)

    return resolve


def check(answer: Any) -> None:
    """An answer with the envelope, and no failure that nobody has a name for."""
    status = answer.json()["status"]
    assert status["code"] == answer.status_code
    if answer.status_code >= 500:
        assert status["dd_code"] == 1007, answer.text


PIECES = [
    *("..", ".", "", "link", "link.csv", "outside", "root", "t.csv", "m", "0001.model", "x", "~"),
    *("\0", "%2e%2e", "..%2f", "..\\", "a\nb", "*", "$HOME", "{root}", "{outside}", "\u2024\u2024"),
    *("/", "//", "/etc", "passwd", "/proc", "self", "environ", "fd", "/dev", "zero", "stdin"),
]
STARTS = ["{root}", "{outside}", "{root}/..", "{root}/link", "..", "", "/", "file://{outside}"]
PATHS = st.builds(
    lambda start, pieces: "/".join([start, *pieces]),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES), max_size=4),
) | st.text(max_size=20)

HOSTS = [
    *("127.0.0.1", "localhost", "LOCALHOST.", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "0.0.0.0", "127.0.0.1.", "{own}"),
    *("[::ffff:{own}]", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "a@127.0.0.1"),
    *(
        "127.0.0.1@evil.example",
        "127.0.0.1%00.evil.example",
        "evil.example#@127.0.0.1",
        "[::1%25lo]",
    ),
    *("169.254.169.254", "[fd00:ec2::254]", "", "[", "127.0.0.1\t", "127.0.0.1\\@evil.example"),
]
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}{host}{port}{path}",
    st.sampled_from(
        [
            "http://",
            "https://",
            "HTTP://",
            "http:",
            "http:///",
            "//",
            "ftp://",
            "file://",
            "http:\\\\",
        ]
    ),
    st.sampled_from(HOSTS),
    st.sampled_from([":{port}", "", ":0", ":99999", ":x"]),
    st.sampled_from(["/m.tar.gz", "/t.csv", "", "/../t.csv", "?a=http://x/", "#.tar"]),
)


def placed(text: str, field: Field, trap: Trap) -> str:
    """A made-up path or URL with this test's folders and ports in it."""
    places = {"{root}": field.root, "{outside}": field.outside, "{own}": trap.host}
    for name, value in {**places, "{port}": trap.port}.items():
        text = text.replace(name, str(value))
    return text


WHERE = ["repository", "init", "weights", "target", "train", "predict", "clear", "network", "root"]


def calls(client: Client, where: str, value: str) -> Iterator[Any]:
    """Calls with a value in one place."""
    model: dict[str, Any] = {"repository": "own", "create_repository": True}
    parameters: dict[str, Any] = {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}}
    data = ["a,y\n1,0\n2,1"]
    train: dict[str, Any] = {"input": {"label": "y"}, "mllib": {"iterations": 1}, "output": {}}
    predict: dict[str, Any] = {"output": {}}
    match where:
        case "repository" | "clear":
            model["repository"] = value
        case "init" | "weights":
            model[where] = value
        case "target":
            train["output"]["target_repository"] = value
        case "root":
            train["input"]["root_folder"] = value
        case "network":
            predict["output"]["network"] = {"url": value}
    create = {"mllib": "xgboost", "parameters": parameters, "model": model}
    request = client.http.request
    yield request("PUT", "/services/s", content=dumps(create))
    if where in ("target", "train", "root"):
        call = {"service": "s", "async": False, "parameters": train}
        call["data"] = [value] if where == "train" else data
        yield request("POST", "/train", content=dumps(call))
    if where in ("predict", "network"):
        call = {"service": "flowers", "parameters": predict}
        call["data"] = [value] if where == "predict" else ["1"]
        yield request("POST", "/predict", content=dumps(call))
    clear = "full" if where == "clear" else "dir"
    yield request("DELETE", f"/services/s?clear={clear}")
    yield request("DELETE", "/services/s")


def dumps(call: Any) -> bytes:
    return json.dumps(call).encode("utf-8", "surrogatepass")


@settings(max_examples=1200, **MANY)
@given(st.sampled_from(WHERE), PATHS)
def test_no_path_leads_out(field: Field, where: str, path: str) -> None:
    before = contents(field.outside)
    with watching(field.outside) as touched:
        for answer in calls(field.client, where, placed(path, field, field.traps[0])):
            if answer.status_code != 404:
                check(answer)
    assert touched == []
    assert contents(field.outside) == before
    assert (field.root / "t.csv").exists()


@settings(max_examples=900, **MANY)
@given(st.sampled_from(["init", "train", "predict", "network"]), URLS, st.data())
def test_no_url_leads_in(field: Field, where: str, url: str, data: st.DataObject) -> None:
    trap = data.draw(st.sampled_from(field.traps))
    for answer in calls(field.client, where, placed(url, field, trap)):
        if answer.status_code != 404:
            check(answer)
    assert [trap.host for trap in field.traps if trap.caught()] == []


def test_the_traps_catch() -> None:
    """The test of the test above."""
    for host in ("127.0.0.1", *own_addresses()):
        trap = Trap(host)
        assert not trap.caught()
        socket.create_connection((host, trap.port)).close()
        assert trap.caught()
        assert not trap.caught()
        trap.close()


def test_the_watch_sees(tmp_path: Path) -> None:
    with watching(tmp_path) as touched:
        (tmp_path / "a").write_text("")
        (tmp_path / "a").rename(tmp_path / "b")
        list(tmp_path.iterdir())
        (tmp_path / "b").unlink()
    assert {line.split()[0] for line in touched} == {"open", "os.rename", "os.listdir", "os.remove"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["flowers", "csv", "xgboost", "a,y\n1,0", "1", "{{#a}}", "y", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "service",
                        "data",
                        "parameters",
                        "input",
                        "mllib",
                        "output",
                        "model",
                        "async",
                    ),
                    *(
                        "connector",
                        "label",
                        "separator",
                        "iterations",
                        "measure",
                        "template",
                        "best",
                    ),
                    *(
                        "nclasses",
                        "categoricals_mapping",
                        "min_vals",
                        "max_vals",
                        "id",
                        "repository",
                    ),
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
ROUTES = st.sampled_from(
    [("PUT", "/services/x"), ("POST", "/train"), ("POST", "/predict"), ("POST", "/predict/flowers")]
)


@settings(max_examples=900, **MANY)
@given(ROUTES, JSON, st.booleans())
def test_any_json_is_answered(field: Field, route: tuple[str, str], body: Any, known: bool) -> None:
    if known and isinstance(body, dict):
        body = {**body, "service": "flowers"}
    check(field.client.http.request(*route, content=dumps(body)))


@settings(max_examples=600, **MANY)
@given(ROUTES, st.binary(max_size=200), st.sampled_from(["", "gzip", "deflate", "identity", "br"]))
def test_any_bytes_are_answered(
    field: Field, route: tuple[str, str], body: bytes, encoding: str
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    check(field.client.http.request(*route, content=body, headers=headers))


RAW = st.lists(
    st.sampled_from(
        [b"/", b"//", b"services", b"info", b"%2f", b"%00", b"%ff", b"..", b"\xff", b"a"]
    )
    | st.binary(max_size=6),
    max_size=6,
).map(b"".join)


@settings(max_examples=1000, **MANY)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"]),
    RAW,
    st.binary(max_size=30),
)
def test_any_path_and_query_are_answered(method: str, raw: bytes, query: bytes) -> None:
    path = "/" + raw.decode("latin-1")
    code, body = ask_asgi(
        build(FakeServer()), method, path=path, raw_path=b"/" + raw, query_string=query
    )
    assert 200 <= code < 500
    if method != "HEAD":
        assert json.loads(body)["status"]["code"] == code
