"""Choose device, precision and threads, and measure the time and memory of a stage.

"auto" means CUDA, else MPS, else the CPU; and bf16 where the device computes in it, as half
precision is far slower than fp32 on CPUs without avx512_bf16 or AMX.
"""

import contextlib
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.config.stages import HardwareConfig
from pipeline.records import InputError


@dataclass(frozen=True)
class Hardware:
    """A resolved device ("cuda", "mps", "cpu"), precision ("fp32", "bf16") and thread count."""

    device: str
    precision: str
    threads: int
    name: str  # of the GPU or CPU, from the system

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """bf16 matrix products where the precision says so; weights stay fp32."""
        if self.precision == "bf16":
            return torch.autocast(self.device, torch.bfloat16)
        return contextlib.nullcontext()

    def synchronize(self) -> None:
        """Wait until the device has finished, so that a clock read afterwards is honest."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        elif self.device == "mps":
            torch.mps.synchronize()


def resolve(config: HardwareConfig) -> Hardware:
    """Choose device and precision, and set torch's thread count.

    Raises:
        InputError: the device is not available.
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
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if _computes_in_bf16(device) else "fp32"
    return Hardware(device, precision, torch.get_num_threads(), _name(device))


def _computes_in_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def _name(device: str) -> str:
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass
class Cost:
    """The cost of a stage: wall seconds and peak resident (CUDA: allocated) MiB."""

    seconds: float = 0.0
    peak_mib: float = 0.0


@contextlib.contextmanager
def measured(device: str = "cpu") -> Iterator[Cost]:
    """Measure the block; the yielded Cost has the figures when the block ends."""
    cost = Cost()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        _reset_peak_resident()
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        if device == "cuda":
            cost.peak_mib = torch.cuda.max_memory_allocated() / 2**20
        else:
            cost.peak_mib = _peak_resident_mib()


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
