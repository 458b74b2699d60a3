"""FastAPI on uvicorn, with orjson: `python fastapi_app.py KIND MODEL PORT`."""

from __future__ import annotations

import sys

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from model import load

model = load(sys.argv[1], sys.argv[2])
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    call = orjson.loads(await request.body())
    answers = model.predict(model.read(call["data"]))
    return Response(orjson.dumps({"predictions": answers}), media_type="application/json")


uvicorn.run(app, port=int(sys.argv[3]), log_level="error", access_log=False)
