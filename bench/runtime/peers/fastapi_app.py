"""FastAPI on uvicorn: one process per CPU, one run per request, raw bytes for tensors, JSON (orjson) for texts."""
import orjson
from fastapi import FastAPI, Request, Response

from common import Model, openai_answer

app = FastAPI()
model = Model()


@app.get("/health")
async def health():
    return Response(b"ok")


@app.post("/infer")
async def infer(request: Request):
    return Response(model.answer(await request.body()), media_type="application/octet-stream")


@app.post("/v1/embeddings")
async def embeddings(request: Request):
    asked = orjson.loads(await request.body())
    vector, tokens = model.embed(asked["input"])
    return Response(orjson.dumps(openai_answer(vector, tokens)), media_type="application/json")
