"""
LitServe: one worker process per CPU, batching for models that are faster in batches, and base64 in JSON, because it
does not accept raw bytes.
"""
import base64
import os

import litserve

from common import SPEC, Model, openai_answer

IS_TEXT = bool(SPEC.get("tokenizer"))


class Api(litserve.LitAPI):
    def setup(self, device):
        self.served = Model()

    def decode_request(self, request):
        return request["input"] if IS_TEXT else base64.b64decode(request["data"])

    def batch(self, inputs):
        return inputs

    def predict(self, given):
        if isinstance(given, list):
            return self.served.answers(given)
        return openai_answer(*self.served.embed(given)) if IS_TEXT else self.served.answer(given)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return output if IS_TEXT else {"data": base64.b64encode(output).decode()}


if __name__ == "__main__":
    api = Api(max_batch_size=SPEC["maxBatch"], batch_timeout=0.0, api_path="/v1/embeddings" if IS_TEXT else "/infer")
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=SPEC["cpus"])
    server.run(host="127.0.0.1", port=int(os.environ["PEER_PORT"]), generate_client_file=False, log_level="warning")
