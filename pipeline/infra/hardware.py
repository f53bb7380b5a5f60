"""Choose device, precision and threads, and measure the time and memory of a stage.

The device "auto" means CUDA, else MPS, else the CPU. The precision "auto" is settled for each model
by measuring, see ``precision``.
"""

import contextlib
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pipeline.config.stages import HardwareConfig
from pipeline.records import InputError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Hardware:
    """A resolved device ("cuda", "mps", "cpu") with its thread count and precisions.

    A precision is "fp32", "bf16", "fp16", or "auto" until ``precision.settled`` has chosen one.
    """

    device: str
    precision: str  # of embedding and scoring
    threads: int
    name: str  # of the GPU or CPU, from the system
    training_precision: str | None = None  # None: as ``precision``

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Matrix products in the precision of scoring; weights stay fp32."""
        return autocast(self.device, self.precision)

    def autocast_query(self) -> contextlib.AbstractContextManager[object]:
        """As ``autocast``, but fp32 on a CPU, where each query would convert all weights anew."""
        return contextlib.nullcontext() if self.device == "cpu" else self.autocast()

    def moved(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copy a batch to the device; a GPU copies it while the CPU goes on."""
        if self.device != "cuda":
            return {name: tensor.to(self.device) for name, tensor in tensors.items()}
        # Memory that is not pinned would be copied only when all work before it is done.
        return {n: t.pin_memory().to(self.device, non_blocking=True) for n, t in tensors.items()}

    def synchronize(self) -> None:
        """Wait until the device has finished, so that a clock read afterwards is honest."""
        synchronize(self.device)

    def scoring(self) -> dict[str, object]:
        """What can change a score, for the key of a stage that trains nothing."""
        return {name: value for name, value in asdict(self).items() if name != "training_precision"}


def autocast(device: str, precision: str) -> contextlib.AbstractContextManager[object]:
    """Matrix products in ``precision`` within the block.

    Raises:
        ValueError: the precision is "auto", which no model has settled yet.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    if precision not in HALF:
        raise ValueError(f"precision {precision}: not settled")
    return torch.autocast(device, HALF[precision])


def synchronize(device: str) -> None:
    """Wait until the device has finished."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def resolve(config: HardwareConfig) -> Hardware:
    """Choose the device and set torch's thread count; the precision "auto" stays.

    Raises:
        InputError: the device is not available, or can't compute in the precision.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    device = config.device
    if device == "auto":
        device = next(name for name, there in available.items() if there)
    if not available[device]:
        raise InputError(f"hardware.device={device}: not available here, use auto or cpu")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.precision == "fp16" and device != "cuda":
        raise InputError(
            f"hardware.precision=fp16: needs a CUDA GPU, this is {device}; use fp32, bf16 or auto"
        )
    return Hardware(device, config.precision, torch.get_num_threads(), _name(device))


def _name(device: str) -> str:
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def vector_instructions() -> list[str]:
    """The sets of vector and matrix instructions of this CPU, such as amx_bf16; [] if not known."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kinds = ("amx", "avx", "asimd", "bf16", "sve")
    return sorted(flag for flag in flags.partition(":")[2].split() if flag.startswith(kinds))


@dataclass
class Usage:
    """What a stage used: wall seconds and peak resident (CUDA: allocated) MiB."""

    seconds: float = 0.0
    peak_mib: float = 0.0


@contextlib.contextmanager
def measured(device: str = "cpu") -> Iterator[Usage]:
    """Measure the block; the yielded Usage has the figures when the block ends."""
    usage = Usage()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        _reset_peak_resident()
    start = time.perf_counter()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - start
        if device == "cuda":
            usage.peak_mib = torch.cuda.max_memory_allocated() / 2**20
        else:
            usage.peak_mib = _peak_resident_mib()


def _reset_peak_resident() -> None:
    # Linux resets the high-water mark on request. Elsewhere it covers the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_resident_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes; macOS counts single ones
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
