"""Networks over REST: tables and images, under the names of torch, caffe and caffe2."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.api.client import Client

SOLVER = {"iterations": 60, "solver_type": "ADAM", "base_lr": 0.02}
MLP = {"template": "mlp", "layers": [16], "nclasses": 3, "seed": 1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders `bright` and `dark`, 12 images of 40 x 36 in each."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 180)):
        (root / name).mkdir()
        for i in range(12):
            noise = rng.integers(-40, 40, (36, 40, 3))
            pixels = np.clip(level + noise, 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(root / name / f"{i}.png"), pixels)
    return root


def create(
    client: Client,
    path: Path,
    ml: dict[str, Any],
    *,
    name: str = "net",
    mllib: str = "torch",
    connector: str = "csv",
    **more: Any,
) -> tuple[int, Any]:
    call = {
        "mllib": mllib,
        "parameters": {"input": {"connector": connector} | more.pop("input", {}), "mllib": ml},
        "model": {"repository": str(path), "create_repository": True} | more.pop("model", {}),
    }
    return client.call("PUT", f"/services/{name}", call | more)


@pytest.mark.parametrize("mllib", ["torch", "caffe", "caffe2"])
def test_a_table_under_each_name(client: Client, iris_csv: str, tmp_path: Path, mllib: str) -> None:
    assert create(client, tmp_path, MLP, mllib=mllib)[0] == 201
    code, answer = client.train(
        "net",
        iris_csv,
        input={
            "label": "target",
            "id": "id",
            "scale": True,
            "test_split": 0.2,
            "shuffle": True,
            "seed": 0,
        },
        mllib={"solver": SOLVER, "gpu": True},
        output={"measure": ["acc", "f1"], "measure_hist": True},
    )
    assert code == 201, answer
    assert answer["body"]["measure"]["acc"] > 0.8
    assert answer["body"]["measure"]["iteration"] == 59.0
    assert len(answer["body"]["measure_hist"]["train_loss_hist"]) == 60
    assert answer["body"]["parameters"]["input"].keys() == {"connector", "min_vals", "max_vals"}
    output = {"best": 3, "logits": True}
    code, answer = client.predict("net", "5.1,3.5,1.4,0.2", output=output)
    (prediction,) = answer["body"]["predictions"]
    assert next(one["cat"] for one in prediction["classes"]) == "0"
    assert sum(one["prob"] for one in prediction["classes"]) == pytest.approx(1)
    assert len(prediction["logits"]) == 3
    ending = {"torch": ".npt", "caffe": ".caffemodel", "caffe2": ".npt"}[mllib]
    assert [path.suffix for path in tmp_path.iterdir()].count(ending) == 1
    assert client.call("DELETE", "/services/net?clear=lib")[0] == 200
    assert [path.suffix for path in tmp_path.iterdir()].count(ending) == 0


def test_images_from_folders(client: Client, pictures: Path, tmp_path: Path) -> None:
    ml = {"template": "cifar", "nclasses": 2, "seed": 1, "mirror": True}
    assert create(client, tmp_path / "m", ml, connector="image", input={"scale": 0.0039})[0] == 201
    code, answer = client.train(
        "net",
        str(pictures),
        input={"test_split": 0.25, "shuffle": True, "seed": 1},
        mllib={"solver": {"iterations": 30, "base_lr": 0.01}, "net": {"batch_size": 8}},
        output={"measure": ["acc", "f1", "cmdiag"]},
    )
    assert code == 201, answer
    assert answer["body"]["measure"]["acc"] > 0.9
    assert answer["body"]["measure"]["labels"] == ["bright", "dark"]
    bright, dark = (str(pictures / name / "0.png") for name in ("bright", "dark"))
    encoded = base64.b64encode(Path(dark).read_bytes()).decode()
    code, answer = client.predict("net", bright, encoded, dark)
    predictions = answer["body"]["predictions"]
    assert [p["uri"] for p in predictions] == [bright, "1", dark]
    assert [p["classes"][0]["cat"] for p in predictions] == ["bright", "dark", "dark"]
    code, answer = client.predict("net", str(pictures), output={"measure": ["acc"]})
    assert answer["body"]["measure"]["acc"] > 0.9
    service = client.call("GET", "/services/net")[1]["body"]
    assert (service["mltype"], service["mllib"]) == ("classification", "torch")


def test_what_a_training_call_says_of_images_is_what_predictions_use(
    client: Client, pictures: Path, tmp_path: Path
) -> None:
    """Size and scale stand in the training call alone."""
    ml = {"template": "convnet", "layers": ["1CR8", "16"], "nclasses": 2, "seed": 1}
    create(client, tmp_path, ml, connector="image")
    sizes = {"width": 24, "height": 20, "bw": True, "scale": 0.0039}
    solver = {"iterations": 20, "solver_type": "ADAM", "base_lr": 0.01}
    code, answer = client.train("net", str(pictures), input=sizes, mllib={"solver": solver})
    assert code == 201, answer
    code, answer = client.predict("net", str(pictures / "dark" / "0.png"))
    assert answer["body"]["predictions"][0]["classes"][0]["cat"] == "dark"
    code, answer = client.predict("net", str(pictures / "dark" / "0.png"), input={"width": 32})
    assert (code, answer["status"]["dd_code"]) == (400, 1005)
    assert "32x20 with 1 channels, but the model was trained on 24x20" in str(answer)


def test_several_test_sets(client: Client, iris_csv: str, tmp_path: Path) -> None:
    create(client, tmp_path, MLP)
    _code, answer = client.train(
        "net",
        *[iris_csv] * 3,
        blocking=False,
        input={"label": "target", "id": "id"},
        mllib={"solver": SOLVER | {"test_interval": 30}},
        output={"measure": ["acc", "f1"]},
    )
    answer = client.call(
        "GET", "/train?service=net&job=1&timeout=60&parameters.output.measure_hist=true"
    )[1]
    body = answer["body"]
    assert answer["head"]["status"] == "finished", body
    assert [m["test_id"] for m in body["measures"]] == [0, 1]
    assert body["measure"]["acc"] == body["measures"][0]["acc"]
    assert body["measure_hist"].keys() >= {"acc_hist", "acc_test0_hist", "acc_test1_hist"}
    assert len(body["measure_hist"]["iteration_hist"]) == 2
    assert (tmp_path / "best_model_test_1.txt").exists()


def test_a_training_goes_on_where_it_was_stopped(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    create(client, tmp_path, MLP)
    given: dict[str, Any] = {"input": {"label": "target", "id": "id"}}
    client.train("net", iris_csv, mllib={"solver": SOLVER | {"iterations": 20}}, **given)
    client.train("net", iris_csv, mllib={"solver": SOLVER | {"iterations": 20}}, **given)
    code, answer = client.train("net", iris_csv, mllib={"solver": SOLVER}, **given)
    assert (code, answer["status"]["dd_code"]) == (400, 1006)
    assert "a solverstate file requires a resume argument for training" in str(answer)
    resumed = {"solver": SOLVER | {"iterations": 30}, "resume": True}
    client.train("net", iris_csv, blocking=False, mllib=resumed, **given)
    answer = client.call("GET", "/train?service=net&job=1&timeout=60")[1]
    assert answer["head"]["status"] == "finished", answer
    assert answer["body"]["measure"]["iteration"] == 29.0
    assert (tmp_path / "checkpoint-30.npt").exists()


def test_the_best_model_goes_to_the_target_repository(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    create(client, tmp_path / "m", MLP)
    code, _ = client.train(
        "net",
        iris_csv,
        input={"label": "target", "id": "id", "test_split": 0.2, "shuffle": True, "seed": 0},
        mllib={"solver": SOLVER | {"test_interval": 10}},
        output={"measure": ["f1"], "target_repository": str(tmp_path / "best")},
    )
    assert code == 201
    assert (tmp_path / "best" / "best_model.txt").exists()
    without_template = {"nclasses": 3}
    assert create(client, tmp_path / "best", without_template, name="copy")[0] == 201
    code, answer = client.predict("copy", "5.1,3.5,1.4,0.2")
    assert (code, answer["body"]["predictions"][0]["classes"][0]["cat"]) == (200, "0")


def test_an_inner_layer_of_an_unsupervised_service(
    client: Client, pictures: Path, tmp_path: Path
) -> None:
    ml = {"template": "cifar", "nclasses": 2, "seed": 1}
    create(client, tmp_path, ml, connector="image")
    solver = {"solver": {"iterations": 2, "base_lr": 0.001}}
    assert client.train("net", str(pictures), mllib=solver)[0] == 201
    image = str(pictures / "dark" / "0.png")
    code, answer = client.predict("net", image, mllib={"extract_layer": "last"})
    assert (code, answer["status"]["dd_code"]) == (400, 1006)
    assert "requires a service of type unsupervised" in str(answer)
    create(client, tmp_path, {"nclasses": 2}, name="inner", connector="image", type="unsupervised")
    code, answer = client.predict("inner", image)
    assert "unsupervised output needs mllib.extract_layer param" in str(answer)
    code, answer = client.predict("inner", image, image, mllib={"extract_layer": "last"})
    first, second = answer["body"]["predictions"]
    assert (first["vals"], len(first["vals"])) == (second["vals"], 2)
    assert ("last" in first, second["last"]) == (False, True)
    bits = {"string_binarized": True}
    code, answer = client.predict("inner", image, mllib={"extract_layer": "last"}, output=bits)
    assert set(answer["body"]["predictions"][0]["vals"]) <= {"0", "1"}
    code, answer = client.predict("inner", image, mllib={"extract_layer": "nope"})
    assert (code, answer["status"]["dd_code"]) == (400, 1006)
    assert "unknown extract layer nope, expected one of last, " in str(answer)


def test_regression_and_autoencoder_answers(
    client: Client, numbers_csv: str, tmp_path: Path
) -> None:
    ml = {"template": "mlp", "ntargets": 1, "regression": True, "seed": 1}
    create(client, tmp_path / "r", ml)
    code, answer = client.train(
        "net",
        numbers_csv,
        input={"label": "y", "test_split": 0.2},
        mllib={"solver": {"iterations": 400, "solver_type": "ADAM", "base_lr": 0.01}, "loss": "L2"},
        output={"measure": ["eucll", "r2"]},
    )
    assert answer["body"]["measure"]["r2"] > 0.9
    code, answer = client.predict("net", "0.5,0.25")
    (vector,) = answer["body"]["predictions"][0]["vector"]
    assert vector["val"] == pytest.approx(0.75, abs=0.2)
    auto = {"template": "mlp", "autoencoder": True, "layers": [2], "seed": 1}
    assert create(client, tmp_path / "a", auto, name="auto")[0] == 201
    code, answer = client.train(
        "auto",
        numbers_csv,
        input={"ignore": ["y"]},
        mllib={"solver": {"iterations": 50, "solver_type": "ADAM"}},
    )
    assert code == 201, answer
    code, answer = client.predict("auto", "0.5,0.25")
    (loss,) = answer["body"]["predictions"][0]["losses"]
    assert loss["loss"] > 0


@pytest.mark.parametrize(
    ("ml", "given", "text"),
    [
        ({"template": "nope", "nclasses": 2}, {}, "failed to locate model template 'nope'"),
        ({"nclasses": 2}, {}, "needs either: traced net, protofile or native template"),
        ({"template": "mlp"}, {}, "number of classes is unknown (nclasses == 0)"),
        ({"template": "mlp", "regression": True}, {}, "number of regression targets is unknown"),
        ({"template": "mlp", "nclasses": 2, "finetuning": True}, {}, "existing weights file"),
        ({"template": "vit", "nclasses": 2, "autoencoder": True}, {}, "cannot be one, expected"),
        ({"template": "mlp", "nclasses": 2, "solver": {"solver_type": "X"}}, {}, "'X'"),
        ({"template": "mlp", "nclasses": 2, "class_weights": [1.0]}, {}, "1 weights for 2 classes"),
        ({"template": "mlp", "nclasses": 2, "crop_size": -1}, {}, "crop_size"),
        ({"template": "mlp", "nclasses": 2, "noise": {"prob": 2}}, {}, "noise"),
        ({"template": "mlp", "nclasses": 2}, {"model": {"weights": "x.npt"}}, "no file"),
        ({"template": "mlp", "nclasses": 2}, {"type": "nope"}, "type: 'nope'"),
        (
            {"template": "mlp", "nclasses": 2, "loss": "dice"},
            {"mllib": "caffe"},
            "asked for  dice loss without segmentation",
        ),
    ],
)
def test_a_service_that_cannot_be_is_1006(
    client: Client, tmp_path: Path, ml: dict[str, Any], given: dict[str, Any], text: str
) -> None:
    code, answer = create(client, tmp_path, ml, **given)
    assert (code, answer["status"]["dd_code"]) == (400, 1006), answer
    assert text in answer["status"]["dd_msg"]


@pytest.mark.parametrize("name", ["net.caffemodel", "deploy.prototxt"])
def test_a_repository_of_caffe_says_what_to_do(client: Client, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"layer {}")
    code, answer = create(client, tmp_path, {"nclasses": 2}, mllib="caffe")
    assert (code, answer["status"]["dd_code"]) == (400, 1006)
    assert "a model of Caffe, which cannot be read here: convert its weights" in str(answer)


def test_bad_images_and_folders_are_1005(client: Client, pictures: Path, tmp_path: Path) -> None:
    ml = {"template": "cifar", "nclasses": 2, "solver": {"iterations": 2, "base_lr": 0.001}}
    create(client, tmp_path / "m", ml, connector="image")
    one_class = ml | {"nclasses": 1}
    code, answer = client.train("net", str(pictures), mllib=one_class)
    assert (code, answer["status"]["dd_code"]) == (400, 1005), answer
    broken = tmp_path / "broken" / "dark"
    broken.mkdir(parents=True)
    good = (pictures / "dark" / "0.png").read_bytes()
    (broken / "cut.png").write_bytes(good[: len(good) // 2])
    code, answer = client.train("net", str(broken.parent))
    assert (code, answer["status"]["dd_code"]) == (400, 1005)
    assert "cut.png" in str(answer)
    assert client.train("net", str(pictures))[0] == 201
    code, answer = client.predict("net", str(broken / "cut.png"))
    assert (code, answer["status"]["dd_code"]) == (400, 1005)
    assert "Could not read image(s)" in str(answer)
