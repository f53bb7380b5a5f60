"""Hours and money on GPUs are FLOPs by an assumed share of the peak."""

import pytest

from pipeline.records import InputError
from pipeline.sweep.gpus import PEAK, check_utilisation, on_gpus, parse_prices


def test_time_and_money_are_proportional_to_the_flops() -> None:
    # An hour of the whole peak of an L4, at a quarter of it.
    found = {gpu.gpu: gpu for gpu in on_gpus(121e12 * 3600, 0.25, {"L4": 0.5})}
    assert list(found) == ["L4", "A10G", "A100", "H100"]
    assert found["L4"].seconds == pytest.approx(4 * 3600)
    assert found["L4"].cost == pytest.approx(4 * 0.5)
    assert found["A10G"].seconds == pytest.approx(4 * 3600 * 121 / 70)
    assert found["A10G"].cost is None and found["A10G"].price_per_hour is None


def test_unknown_flops_take_an_unknown_time() -> None:
    assert {(gpu.seconds, gpu.cost) for gpu in on_gpus(None, 0.3, {"L4": 1})} == {(None, None)}


def test_prices_are_by_gpu() -> None:
    assert parse_prices(None) == {}
    assert parse_prices("l4=0.8, H100=3.5") == {"L4": 0.8, "H100": 3.5}


@pytest.mark.parametrize(
    "text", ["", "L4", "L4=", "L4=x", "L4=0", "L4=-1", "L4=nan", "L4=inf", "T4=1", "L4=1,", "0.8"]
)
def test_a_wrong_price_is_a_mistake(text: str) -> None:
    with pytest.raises(InputError, match=r"^--price="):
        parse_prices(text)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_of_the_peak_is_up_to_1(share: float) -> None:
    assert check_utilisation(1) == 1
    with pytest.raises(InputError, match=r"^--utilisation="):
        check_utilisation(share)


def test_peaks_are_without_sparsity() -> None:
    assert PEAK["H100"] < 1979e12 / 1.9 and PEAK["A10G"] <= 140e12 / 2
