"""The forward pass of a reranker by OpenVINO, which computes it faster than torch on a CPU."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import torch
from torch.nn.functional import pad

# OpenVINO reports every conversion to Google Analytics, in a process that it forks, unless this
# module is missing. So it has to be missing before OpenVINO is imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402

from pipeline.rerankers.int8_weights import GROUP, round_weights  # noqa: E402

HINTS = {"fp32": "f32", "bf16": "bf16"}
LENGTHS = 8  # texts are padded to a multiple, as each new length costs 20 ms at its first time


def convert(
    model: torch.nn.Module, example: Mapping[str, torch.Tensor], output: str = ""
) -> openvino.Model:
    """Convert ``model`` as it is now; ``example`` is a batch of tokenised texts of any shape.

    ``output`` names the output to return, for a model that takes and returns a dict.
    """
    model.eval()
    config: Any = getattr(model, "config", None)
    if getattr(config, "use_cache", False):
        config.use_cache = False  # The cache of a decoder that generates can't be traced.
    with torch.no_grad(), warnings.catch_warnings():
        # Traced branches that depend on shapes are those of decoders that generate.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        if not output:
            return openvino.convert_model(model, example_input=dict(example))
        module = _OneOutput(model, output, list(example))
        converted = openvino.convert_model(module, example_input=tuple(example.values()))
    for port, name in zip(converted.inputs, example, strict=True):
        port.get_tensor().set_names({name})
    return converted


class _OneOutput(torch.nn.Module):
    """Takes the tensors named ``inputs`` in this order, and returns one tensor."""

    def __init__(self, model: torch.nn.Module, output: str, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.output = output
        self.inputs = inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Compute the output of the model."""
        output: torch.Tensor = self.model(dict(zip(self.inputs, tensors, strict=True)))[self.output]
        return output


class OpenVinoForward:
    """Run a converted torch model by OpenVINO."""

    def __init__(
        self, model: openvino.Model, precision: str, threads: int, pad_id: int, int8: bool = False
    ) -> None:
        """Compile ``model`` for a ``precision`` of ``HINTS``; ``pad_id`` is the padding token.

        ``int8`` rounds the weights of ``model``, in place; ``precision`` is then that of the rest.
        """
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if int8:
            model = round_weights(model)
            options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = GROUP
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._names = [port.any_name for port in self._compiled.inputs]
        self._fill = {"input_ids": pad_id}  # by which a decoder finds the end of a text
        self._lock = Lock()  # A second call while it computes would be refused.

    def prepare(self, longest: int) -> None:
        """Compute one text of each padded length up to ``longest`` tokens, so that none is new."""
        for tokens in range(LENGTHS, longest + LENGTHS, LENGTHS):
            self({name: torch.ones(1, tokens, dtype=torch.int64) for name in self._names})

    def __call__(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Compute the only output of the model from what a tokenizer made of texts."""
        tokens = features[self._names[0]].shape[1]
        padding = (0, -tokens % LENGTHS)
        arrays = [
            pad(features[name], padding, value=self._fill.get(name, 0)).numpy()
            for name in self._names
        ]
        with self._lock:
            output = torch.from_numpy(self._compiled(arrays)[0])
        return output[:, :tokens] if output.ndim == 3 else output  # a vector per token, or a logit
