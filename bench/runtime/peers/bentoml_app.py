"""BentoML: one worker process per CPU, batching for models that are faster in batches, and base64 in JSON."""
import base64

import bentoml

from common import SPEC, Model, openai_answer

MOST = SPEC["maxBatch"]
BATCHING = {"batchable": True, "max_batch_size": MOST, "max_latency_ms": 60_000} if MOST > 1 else {}


@bentoml.service(workers=SPEC["cpus"], traffic={"timeout": 60, "max_concurrency": 1024})
class Service:
    def __init__(self):
        self.served = Model()

    @bentoml.api(route="/infer", **BATCHING)
    def infer(self, data: list[str]) -> list[str]:
        answers = self.served.answers([base64.b64decode(row) for row in data])
        return [base64.b64encode(answer).decode() for answer in answers]

    @bentoml.api(route="/v1/embeddings")
    def embeddings(self, input: str) -> dict:
        return openai_answer(*self.served.embed(input))
