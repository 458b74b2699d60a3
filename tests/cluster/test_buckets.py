"""Models and data in a bucket, over the wire."""

from __future__ import annotations

import pytest

from tests.api.client import Client
from tests.buckets import Bucket
from tests.cluster.faults import INPUT, OUTPUT, ROW

pytestmark = pytest.mark.ray


def test_a_model_is_trained_in_a_bucket_and_served_from_it(
    wire: Client, shared_bucket: Bucket, iris_csv: str
) -> None:
    """By one process, by two that train together, and by a service that did not train it."""
    with open(iris_csv) as file:
        data = shared_bucket.put("iris.csv", file.read())
    url = f"{shared_bucket.url}/m"
    assert wire.create("s", url, mllib={"nclasses": 3})[0] == 201
    given = {"input": INPUT, "output": OUTPUT}
    code, answer = wire.train("s", data, mllib={"iterations": 20}, **given)
    assert (code, answer["body"]["model"]) == (201, {"repository": url}), answer
    assert wire.create("t", url, mllib={"nclasses": 3})[0] == 201
    answers = [wire.predict(name, ROW) for name in ("s", "t")]
    assert answers[0][0] == 200
    assert answers[0][1]["body"] == answers[1][1]["body"]
    together = {"iterations": 30, "workers": 2, "resources": {"num_cpus": 0.5}}
    code, answer = wire.train("s", data, mllib=together, **given)
    assert (code, answer["body"]["measure"]["iteration"]) == (201, 29.0), answer
    assert "m/0030.model" in shared_bucket.names("m")
    assert not [name for name in shared_bucket.names("m") if ".job-" in name]
    assert wire.call("DELETE", "/services/t")[0] == 200
    assert wire.call("DELETE", "/services/s?clear=full")[0] == 200
    assert shared_bucket.names("m") == []
