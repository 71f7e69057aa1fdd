"""
Code that the Python peers (other model servers, which are measured for comparison) share: the model, the bytes of its
requests, and texts. A row is the input of one request; a run is one call of ONNX Runtime.
Owns: one ONNX Runtime session per process, made from the JSON in PEER_SPEC. The bytes of a request are the bytes of
all inputs of one row, one after the other; the bytes of an answer are the bytes of the requested outputs.
"""
import json
import os

import numpy as np
import onnxruntime

SPEC = json.loads(os.environ["PEER_SPEC"])
TYPES = {"float32": np.float32, "int64": np.int64}


class Model:
    def __init__(self, threads=None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or SPEC["threads"]
        options.inter_op_num_threads = 1
        # Threads that spin take CPU time from the other processes. Without spinning, the peers were at least as fast.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(SPEC["path"], options, providers=["CPUExecutionProvider"])
        self.inputs = [(i["name"], np.dtype(TYPES[i["type"]]), i["shape"]) for i in SPEC["inputs"]]
        self.outputs = SPEC["outputs"]
        self.tokenizer = None
        if SPEC.get("tokenizer"):
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(SPEC["tokenizer"])
            self.tokenizer.no_padding()
            self.tokenizer.enable_truncation(SPEC["maxTokens"])

    def decode(self, body):
        """The inputs of one row. -1 in shapes stands for one length, which all inputs share."""
        fixed, free = 0, 0
        for _, dtype, shape in self.inputs:
            size = dtype.itemsize * int(np.prod([dim for dim in shape if dim >= 0], dtype=np.int64))
            fixed, free = (fixed, free + size) if -1 in shape else (fixed + size, free)
        length = (len(body) - fixed) // free if free else 0
        feed, at = {}, 0
        for name, dtype, shape in self.inputs:
            dims = [length if dim == -1 else dim for dim in shape]
            count = int(np.prod(dims, dtype=np.int64))
            feed[name] = np.frombuffer(body, dtype, count, at).reshape(dims)
            at += count * dtype.itemsize
        return feed

    def run(self, feed):
        return self.session.run(self.outputs, feed)

    def answer(self, body):
        return b"".join(np.ascontiguousarray(output).tobytes() for output in self.run(self.decode(body)))

    def answers(self, bodies):
        """The answers of several rows of one shape, computed in one run."""
        if len(bodies) == 1:
            return [self.answer(bodies[0])]
        rows = [self.decode(body) for body in bodies]
        joined = {name: np.concatenate([row[name] for row in rows]) for name, _, _ in self.inputs}
        (output,) = self.run(joined)
        return [row.tobytes() for row in output]

    def embed(self, text):
        """The embedding of a text, scaled to length 1, and the number of its tokens."""
        encoding = self.tokenizer.encode(text)
        values = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask}
        feed = {
            name: np.asarray([values.get(name, [0] * len(encoding.ids))], dtype)
            for name, dtype, _ in self.inputs
        }
        (vector,) = self.run(feed)[0]
        return vector / np.linalg.norm(vector), len(encoding.ids)


def openai_answer(vector, tokens):
    """The answer of OpenAI's API for one text."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector.tolist()}],
        "model": "m",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
