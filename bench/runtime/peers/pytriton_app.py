"""Triton (nvidia-pytriton): one instance per CPU, batching for models that are faster in batches, binary tensors."""
import os
import sysconfig

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from common import SPEC, TYPES, Model

# Triton's own Python process needs to find libpython.
os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")

BATCHED = SPEC["maxBatch"] > 1


def tensors(specs):
    # With batching, Triton adds the first dimension itself.
    return [
        Tensor(name=spec["name"], dtype=TYPES[spec["type"]], shape=tuple(spec["shape"][1:] if BATCHED else spec["shape"]))
        for spec in specs
    ]


def instance():
    model = Model()

    def plain(requests):
        return [dict(zip(model.outputs, model.run(request.data))) for request in requests]

    @batch
    def batched(**inputs):
        return dict(zip(model.outputs, model.run(inputs)))

    return batched if BATCHED else plain


config = TritonConfig(
    http_port=int(os.environ["PEER_PORT"]), http_address="127.0.0.1", allow_grpc=False, allow_metrics=False, log_verbose=0
)
with Triton(config=config) as triton:
    triton.bind(
        model_name="m",
        infer_func=[instance() for _ in range(SPEC["cpus"])],
        inputs=tensors(SPEC["inputs"]),
        outputs=[
            Tensor(name=o["name"], dtype=np.float32, shape=tuple(o["shape"][1:] if BATCHED else o["shape"]))
            for o in SPEC["outputShapes"]
        ],
        config=ModelConfig(max_batch_size=SPEC["maxBatch"], batcher=DynamicBatcher(max_queue_delay_microseconds=0))
        if BATCHED
        else ModelConfig(batching=False),
        strict=False,
    )
    triton.serve()
