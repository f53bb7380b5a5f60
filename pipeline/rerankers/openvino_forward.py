"""The forward pass of a cross-encoder by OpenVINO, which computes it faster than torch on a CPU."""

import sys
import warnings
from collections.abc import Mapping
from threading import Lock

import torch

from pipeline.infra.hardware import Hardware

# OpenVINO reports every conversion to Google Analytics, in a process that it forks, unless this
# module is missing. So it has to be missing before OpenVINO is imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402

HINTS = {"fp32": "f32", "bf16": "bf16"}


def convert(model: torch.nn.Module, example: Mapping[str, torch.Tensor]) -> openvino.Model:
    """Convert ``model`` as it is now; ``example`` is a batch of tokenised pairs of any shape."""
    model.eval()
    with torch.inference_mode(), warnings.catch_warnings():
        # Traced branches that depend on shapes are those of decoders that generate.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return openvino.convert_model(model, example_input=dict(example))


class OpenVinoForward:
    """Computes the logits of tokenised pairs as the torch model that was converted."""

    def __init__(self, model: openvino.Model, hardware: Hardware) -> None:
        """Compile ``model`` for the precision and the threads of ``hardware``."""
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[hardware.precision],
            "INFERENCE_NUM_THREADS": hardware.threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._names = [port.any_name for port in self._compiled.inputs]
        self._lock = Lock()  # A second call while it computes would be refused.

    def __call__(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Compute logits, shape (pairs, 1)."""
        arrays = [features[name].numpy() for name in self._names]
        with self._lock:
            return torch.from_numpy(self._compiled(arrays)[0])
