"""Predictions as JSON, templates and network."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dd_ray.data import Scores, Values
from dd_ray.errors import ApiError, BadParameter, BadRequest, NetworkError
from dd_ray.outputs.network import push
from dd_ray.outputs.params import NetworkParams, OutputParams
from dd_ray.outputs.predictions import predictions
from dd_ray.outputs.template import MAX_TAGS, render

SCORES = Scores(probs_NC=np.array([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]))


def shaped(output: Any = SCORES, names: list[str] | None = None, **given: Any) -> list[Any]:
    params = OutputParams.merge(given)
    uris = [f"u{i}" for i in range(len(output))]
    return predictions(output, uris, params, class_names=names or [])


def test_the_best_class_by_default() -> None:
    assert shaped(names=["a", "b"]) == [
        {"uri": "u0", "classes": [{"prob": 0.5, "cat": "b", "last": True}]},
        {"uri": "u1", "classes": [{"prob": 1.0, "cat": "2", "last": True}]},
    ]


def test_best_minus_one_is_all_in_order_and_ties_by_index() -> None:
    assert [c["cat"] for c in shaped(best=-1)[0]["classes"]] == ["1", "0", "2"]
    assert [c["cat"] for c in shaped(best=9)[1]["classes"]] == ["2", "0", "1"]


def test_best_zero_is_an_empty_array() -> None:
    assert shaped(best=0)[0] == {"uri": "u0", "classes": []}


def test_the_threshold_is_strict_and_zero_keeps_all() -> None:
    assert len(shaped(best=-1, confidence_threshold=0)[1]["classes"]) == 3
    assert shaped(best=-1, confidence_threshold=0.5)[0]["classes"] == []
    assert [c["prob"] for c in shaped(best=-1, confidence_threshold=0.3)[0]["classes"]] == [0.5]


def test_regression_is_a_vector_in_output_order() -> None:
    output = Values(values_ND=np.array([[1.5, 2.5]], np.float32))
    vector = [{"val": 1.5, "cat": "0"}, {"val": 2.5, "cat": "1", "last": True}]
    assert shaped(output) == [{"uri": "u0", "vector": vector}]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)),
    st.integers(-1, 6),
    st.sampled_from([0.0, 0.3]),
)
def test_classes_are_what_sorting_each_row_gives(
    probs: np.ndarray, best: int, threshold: float
) -> None:
    found = shaped(Scores(probs_NC=probs), best=best, confidence_threshold=threshold)
    for row, prediction in zip(probs.tolist(), found, strict=True):
        order = sorted(range(4), key=lambda i: (-row[i], i))
        kept = [i for i in order if threshold == 0 or row[i] > threshold]
        expected = kept if best == -1 else kept[:best]
        assert [int(c["cat"]) for c in prediction["classes"]] == expected
        assert [c.get("last", False) for c in prediction["classes"]] == [
            i == len(expected) - 1 for i in range(len(expected))
        ]


@pytest.mark.parametrize(
    "given",
    [{"best": "1"}, {"best": -2}, {"measure": "acc"}, {"measure": [1]}, {"network": {"url": 3}}],
)
def test_a_parameter_of_the_wrong_kind_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=rf"parameters\.output\.{next(iter(given))}"):
        OutputParams.merge(given)


def test_what_other_services_take_is_ignored() -> None:
    assert OutputParams.merge({"bbox": True, "rois": "", "best": None, "index": 1}).best == 1


ANSWER = {
    "status": {"code": 200, "msg": "OK"},
    "head": {"method": "/predict", "time": 28.0, "service": "imageserv"},
    "body": {
        "predictions": [
            {
                "uri": "ambulance.jpg",
                "classes": [
                    {"prob": 0.993358314037323, "cat": "n02701002 ambulance"},
                    {"prob": 0.006424566265195608, "cat": "n03977966 police van, black Maria"},
                    {"prob": 0.00009115227294387296, "cat": "n03769881 minibus"},
                ],
            }
        ]
    },
}


def test_the_template_of_the_reference_gives_its_text() -> None:
    template = (
        "status={{#status}}{{code}}{{/status}}\n{{#body}}{{#predictions}}*{{uri}}:\n"
        "{{#classes}}{{cat}}->{{prob}}\n{{/classes}}{{/predictions}}{{/body}}"
    )
    assert render(template, ANSWER) == (
        "status=200\n*ambulance.jpg:\nn02701002 ambulance->0.993358\n"
        "n03977966 police van, black Maria->0.00642457\nn03769881 minibus->9.11523e-05\n"
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{head.time}}", "28"),
        ("{{#body.predictions}}{{uri}}{{/body.predictions}}", "ambulance.jpg"),
        ("{{nothing}}{{^nothing}}none{{/nothing}}", "none"),
        ("{{>/etc/passwd}}", ""),
        ("{{body}}{{{body.predictions}}}{{#body.predictions}}{{.}}{{/body.predictions}}", ""),
        ("plain", "plain"),
        ("{{! a comment }}x", "x"),
    ],
)
def test_mustache(template: str, text: str) -> None:
    assert render(template, ANSWER) == text


def test_text_is_escaped_unless_asked() -> None:
    answer = {"a": '<&">', "b": True, "c": False}
    assert render("{{a}} {{{a}}} {{b}} {{#c}}no{{/c}}", answer) == '&lt;&amp;&quot;&gt; <&"> true '


@pytest.mark.parametrize("template", ["{{#a}}", "{{/a}}", "{{a", "{{#a}}{{/b}}", "{{=<% %>=}}<%#x"])
def test_a_malformed_template_is_1006(template: str) -> None:
    with pytest.raises(BadParameter, match=r"parameters\.output\.template"):
        render(template, ANSWER)


def test_a_template_that_would_explode_is_refused() -> None:
    answer = {"l": list(range(1000))}
    nested = "{{#l}}" * 5 + "x" + "{{/l}}" * 5
    with pytest.raises(BadParameter, match="could be longer"):
        render(nested, answer)
    with pytest.raises(BadParameter, match="tags"):
        render("{{a}}" * (MAX_TAGS + 1), answer)


def test_sections_that_show_nothing_are_not_gone_through_for_ever() -> None:
    with pytest.raises(BadParameter, match="could be longer"):
        render("{{#l}}{{#l}}{{/l}}{{/l}}", {"l": list(range(4000))})


@pytest.mark.parametrize("template", ["{{#l}}{{a}}{{/l}}", "{{#l}}xxxxx{{/l}}", "{{{s}}}{{s}}"])
def test_the_output_of_a_template_has_a_limit(
    template: str, set_settings: Callable[..., None]
) -> None:
    answer = {"l": [{"a": "12345"}] * 20, "s": "x" * 50}
    set_settings(max_template_chars=100)
    assert len(render(template, answer)) == 100
    set_settings(max_template_chars=99)
    with pytest.raises(BadParameter, match="could be longer than 99 characters"):
        render(template, answer)


def test_many_predictions_are_rendered() -> None:
    answer = {"body": {"predictions": [{"uri": "u", "classes": [{"cat": "c"}]}] * 2000}}
    template = "{{#body}}{{#predictions}}{{#classes}}{{cat}}{{/classes}}{{/predictions}}{{/body}}"
    assert render(template, answer) == "c" * 2000


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}#/^&!=> ab.\n", max_size=40))
def test_any_template_renders_or_is_refused(template: str) -> None:
    with contextlib.suppress(BadParameter):
        assert isinstance(render(template, ANSWER), str)


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            body = b""
        else:
            self.send_response(207)
            body = self.headers["Content-Type"].encode() + b"|" + body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def remote() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pushed(**given: Any) -> tuple[int, bytes]:
    return asyncio.run(push(NetworkParams.merge(given), b"content"))


def test_the_caller_gets_the_remotes_answer(remote: str, loopback_allowed: None) -> None:
    assert pushed(url=remote) == (207, b"application/json|content")
    given = {"http_method": "put", "content_type": "Content-Type: text/xml"}
    assert pushed(url=remote, **given) == (207, b"text/xml|content")


def test_redirects_are_not_followed(remote: str, loopback_allowed: None) -> None:
    assert pushed(url=f"{remote}/redirect") == (302, b"")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, BadRequest),
        ({"url": "http://127.0.0.1:9/"}, NetworkError),
        ({"url": "ftp://127.0.0.1/"}, NetworkError),
        ({"url": "nonsense"}, NetworkError),
        ({"url": "http://127.0.0.1:9/", "http_method": "BREW"}, BadParameter),
        ({"url": "http://127.0.0.1:9/", "content_type": "no header"}, BadParameter),
        ({"url": "http://127.0.0.1:9/", "content_type": "A: b\r\nC: d"}, BadParameter),
    ],
)
def test_what_cannot_be_pushed(given: dict[str, Any], error: type[ApiError]) -> None:
    with pytest.raises(error):
        pushed(**given)
