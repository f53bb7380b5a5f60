"""Turn FLOPs into hours and money on GPUs, at a utilisation that is assumed."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.records import InputError

# Peak FLOP/s in bf16 without sparsity, from NVIDIA's data sheets of the L4, the A100 and the H100
# (SXM, half of the 1,979 with sparsity), and from AWS's data sheet of the A10G (140 with sparsity).
PEAK = {"L4": 121e12, "A10G": 70e12, "A100": 312e12, "H100": 989e12}

UTILISATION = 0.3  # of the peak, an assumption; small models may reach less


class OnGpu(NamedTuple):
    """What the FLOPs of a grid take on one GPU; None where it is not known."""

    gpu: str
    peak_flops: float  # per second
    seconds: float | None
    price_per_hour: float | None  # as given
    cost: float | None  # in the currency of the price


def on_gpus(flops: float | None, utilisation: float, prices: Mapping[str, float]) -> list[OnGpu]:
    """What ``flops`` take on every GPU at this share of its peak, for the ``prices`` given."""
    found = []
    for gpu, peak in PEAK.items():
        seconds = None if flops is None else flops / (peak * utilisation)
        price = prices.get(gpu)
        known = seconds is not None and price is not None
        cost = seconds / 3600 * price if known else None  # type: ignore[operator]
        found.append(OnGpu(gpu, peak, seconds, price, cost))
    return found


def parse_prices(text: str | None) -> dict[str, float]:
    """``L4=0.8,H100=3.5`` as prices per hour by GPU; empty for None.

    Raises:
        InputError: a GPU is not in ``PEAK``, or its price is not a number above 0.
    """
    prices: dict[str, float] = {}
    for word in text.split(",") if text is not None else ():
        gpu, _, price = (part.strip() for part in word.partition("="))
        if gpu.upper() not in PEAK:
            known = ", ".join(PEAK)
            raise InputError(f"--price={text}: {gpu or 'no GPU'} is none of {known}; as in L4=0.8")
        try:
            value = float(price)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise InputError(f"--price={text}: {gpu} needs a price per hour above 0, as in L4=0.8")
        prices[gpu.upper()] = value
    return prices


def check_utilisation(share: float) -> float:
    """Return ``share``.

    Raises:
        InputError: it is not above 0, up to 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"--utilisation={share:g}: must be above 0, up to 1, as 0.3")
    return share
