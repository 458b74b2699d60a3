"""MLServer with adaptive batching off: `python mlserver_app.py KIND MODEL PORT`.

Its protocol is V2: the elements of `data` are a BYTES tensor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from model import load


class Runtime(MLModel):
    """The model behind MLServer's protocol."""

    async def load(self) -> bool:
        self._model = load(os.environ["KIND"], os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        data = StringCodec.decode_input(payload.inputs[0])
        answers = [json.dumps(a) for a in self._model.predict(self._model.read(data))]
        outputs: list[Any] = [StringCodec.encode_output("predictions", answers)]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def main() -> int:
    kind, model, port = sys.argv[1:4]
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "host": "127.0.0.1",
            "http_port": int(port),
            "grpc_port": int(port) + 1,
            "metrics_port": int(port) + 2,
            "parallel_workers": 0,
            "debug": False,
        }
        given = {"name": "b", "implementation": "mlserver_app.Runtime"}
        for name, content in (("settings.json", settings), ("model-settings.json", given)):
            with open(os.path.join(folder, name), "w") as file:
                json.dump(content, file)
        env = os.environ | {"KIND": kind, "MODEL": model, "PYTHONPATH": here}
        command = [sys.executable, "-c", "from mlserver.cli import main; main()", "start", folder]
        return subprocess.call(command, env=env)


if __name__ == "__main__":
    raise SystemExit(main())
