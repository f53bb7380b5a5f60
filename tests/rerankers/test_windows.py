"""Long passages in windows: every token is read, the best window counts, short ones as before."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig, NoArchConfig
from pipeline.config.stages import RerankConfig
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.saved import load_saved
from pipeline.rerankers.served import as_served
from pipeline.rerankers.windows import WindowedScorer
from tests.conftest import Compose
from tests.odd_models import canine

FILLER = "the weather stays as it was and nobody says much about it " * 20
ANSWER = "merges the other configuration into this one"


@pytest.fixture(scope="module", params=["cross_encoder", "colbert"])
def reranker(request: pytest.FixtureRequest, small: Compose, machine: Hardware) -> Reranker:
    config = small(f"arch={request.param}", "base=minilm_l6")
    folder = prepare_base(config.base, StageCache.of(config))
    loaded = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert loaded is not None
    return loaded


def windowed(reranker: Reranker, **settings: object) -> WindowedScorer:
    config = RerankConfig(windows=24, **settings)  # type: ignore[arg-type]
    return WindowedScorer(reranker, reranker.model.tokenizer, config)


@pytest.mark.slow
def test_windows_cover_the_text(reranker: Reranker) -> None:
    parts = windowed(reranker, stride=12).split(FILLER + ANSWER)
    tokenizer: Any = reranker.model.tokenizer
    lengths = [len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in parts]
    assert max(lengths) <= 24
    assert parts[0].startswith("the weather")
    assert parts[-1].endswith(ANSWER)
    assert len(parts) > 10
    assert windowed(reranker).split("two words") == ["two words"]
    assert windowed(reranker).split("") == [""]


@pytest.mark.slow
def test_the_best_window_counts(reranker: Reranker) -> None:
    scorer = windowed(reranker)
    passages = {"long": FILLER + ANSWER, "filler": FILLER, "short": ANSWER}
    pairs = [("q", name) for name in passages]
    queries = {"q": "merge configurations"}
    scores = dict(zip(passages, scorer.score_pairs(queries, passages, pairs), strict=True))
    parts = scorer.split(passages["long"])
    named = {str(i): part for i, part in enumerate(parts)}
    each = reranker.score_pairs(queries, named, [("q", name) for name in named])
    assert scores["long"] == pytest.approx(max(each), abs=1e-5)
    plain = reranker.score_pairs(queries, passages, [("q", "short")])
    assert scores["short"] == pytest.approx(plain[0], abs=1e-5)


@pytest.mark.slow
def test_first_pooling_reads_the_first_window(reranker: Reranker) -> None:
    scorer = windowed(reranker, pooling="first")
    passages = {"a": FILLER + ANSWER, "b": FILLER}
    scores = scorer.score_pairs({"q": "merge"}, passages, [("q", "a"), ("q", "b")])
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.slow
def test_no_pairs(reranker: Reranker) -> None:
    assert windowed(reranker).score_pairs({}, {}, []).shape == (0,)
    assert np.isfinite(windowed(reranker).score_pairs({"q": "a"}, {"d": ""}, [("q", "d")])).all()


def test_settings_that_fit_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"rerank\.windows=4: must be at least 8"):
        RerankConfig(windows=4)
    with pytest.raises(InputError, match=r"rerank.stride=50: must be at most rerank.windows"):
        RerankConfig(windows=24, stride=50)
    with pytest.raises(InputError, match=r"rerank.pooling=mean: none of max, first"):
        RerankConfig(pooling="mean")


@pytest.mark.parametrize(
    ("arch", "widest", "reads"),
    [
        (CrossEncoderConfig(name="cross_encoder", max_length=48), 47, "48 tokens, query included"),
        (ColbertConfig(name="colbert", document_length=112), 112, "112 tokens of a passage"),
    ],
)
def test_windows_that_the_model_can_not_read_are_refused(
    arch: ArchConfig, widest: int, reads: str
) -> None:
    RerankConfig(windows=widest).must_fit(arch)
    RerankConfig(windows=widest + 1).must_fit(NoArchConfig(name="none"))
    said = f"rerank.windows={widest + 1}: the model reads {reads}; take fewer"
    with pytest.raises(InputError, match=re.escape(said)):
        RerankConfig(windows=widest + 1).must_fit(arch)


def test_a_tokenizer_that_can_not_cut_is_refused(machine: Hardware, tmp_path: Path) -> None:
    config = CrossEncoderConfig(name="cross_encoder", max_length=64)
    plain = load_reranker(canine(tmp_path), config, machine, 32, seed=1)
    assert plain is not None and as_served(plain, RerankConfig()) is plain
    with pytest.raises(InputError, match=r"^rerank\.windows=32: CanineTokenizer can't cut"):
        as_served(plain, RerankConfig(windows=32))


@pytest.mark.slow
def test_a_saved_model_is_asked_for_its_own_length(
    reranker: Reranker, machine: Hardware, tmp_path: Path
) -> None:
    reranker.save(tmp_path)
    load_saved("model", tmp_path, machine, 32, RerankConfig(windows=24))
    with pytest.raises(InputError, match=r"rerank\.windows=9999: the model reads \d+ tokens"):
        load_saved("model", tmp_path, machine, 32, RerankConfig(windows=9999))
