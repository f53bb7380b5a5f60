"""Does fine-tuning on one domain cost quality on another? A second data set, before and after."""

from dataclasses import replace

from pipeline.config import Config
from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import prepare
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.rerankers.scores import score_candidates


class ForgettingCheck:
    """The test queries of ``forgetting.dataset``, searched by vector and reranked."""

    def __init__(self, config: Config, machine: Hardware) -> None:
        """Prepare the data set and its candidates, or find them in the cache.

        Raises:
            InputError: the data set is missing, broken or too small.
        """
        assert config.forgetting.dataset is not None
        general = replace(config, dataset=config.forgetting.dataset, epochs=0)
        self._shared = prepare(general, machine)
        self._eval = replace(config.eval, top_k=[max(config.eval.top_k)])

    def measure(self, reranker: Scorer, when: str) -> dict[str, float]:
        """``forgetting/{when}/ndcg_at_10`` and hit rate, in 0..1; ``when`` is before or after."""
        test = self._shared.dataset.test
        candidates = {
            "vector": {q: self._shared.candidates["vector"][q] for q in test.queries},
        }
        scores = score_candidates(reranker, test.queries, self._shared.dataset.corpus, candidates)
        metrics = evaluate(candidates, test.qrels, self._eval, scores, {"vector": 1.0}).metrics()
        return {
            f"forgetting/{when}/{name.removeprefix('vector_reranked/')}": value
            for name, value in metrics.items()
            if name.startswith(("vector_reranked/ndcg", "vector_reranked/hit_rate"))
        }
