"""The dev score reads passages as the test scores do, and is named by its cutoff."""

import pytest

from pipeline.evaluation.metrics import means, measure
from pipeline.experiment.dev_score import dev_score, name_by_cutoff
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import Hit, sort_hits
from pipeline.rerankers import load_reranker
from pipeline.rerankers.scores import score_candidates
from pipeline.rerankers.windows import WindowedScorer
from tests.conftest import Compose


def test_the_curve_is_named_by_its_cutoff() -> None:
    logged = {"train/dev_score": 0.5, "train/loss": 1.0}
    assert name_by_cutoff(logged, 7) == {"train/dev_ndcg_at_7": 0.5, "train/loss": 1.0}


@pytest.mark.slow
def test_windows_are_scored_on_dev(small: Compose, shared: Shared, machine: Hardware) -> None:
    config = small("base=modernbert_tiny", "rerank.windows=8", "eval.dev_depth=5")
    base = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(base, config.arch, machine, 32)
    assert reranker is not None
    dev = shared.dataset.dev
    candidates = {"hybrid": shared.dev_candidates(5)["hybrid"]}

    def ndcg(scorer: Scorer) -> float:
        scores = score_candidates(scorer, dev.queries, shared.dataset.corpus, candidates)
        ranking = {q: sort_hits(Hit(*pair) for pair in of.items()) for q, of in scores.items()}
        return means(measure(ranking, dev.qrels, 10))["ndcg_at_10"]

    windows = ndcg(WindowedScorer(reranker, reranker.model.tokenizer, config.rerank))
    assert dev_score(config, shared, reranker) == pytest.approx(windows)
    assert windows != pytest.approx(ndcg(reranker))
