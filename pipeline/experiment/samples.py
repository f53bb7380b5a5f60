"""Sample the texts of queries and passages that the record of a run keeps.

With them a report can show a win or a loss without the data set at hand.
"""

from functools import partial

from pipeline.data.text import cut
from pipeline.evaluation.quality import Evaluation
from pipeline.records import SEARCHES, Dataset
from pipeline.tracking.artifacts import Text

QUERIES = 2_000  # of a run, first those on which a reranker and its search differ most
PASSAGE_CHARACTERS = 500


def sample(dataset: Dataset, evaluation: Evaluation) -> list[Text]:
    """Test queries, each with its relevant passages and the first passage of every column.

    Passages are cut at 500 characters, with a final ellipsis.
    """
    k = max(k for _, k in evaluation.rankings)
    first = {
        column: ranking
        for (column, cutoff), ranking in evaluation.rankings.items()
        if cutoff == k and not column.endswith("_fused")
    }
    changes = _changes(evaluation, f"ndcg_at_{k}")
    queries = dataset.test.queries
    short = partial(cut, limit=PASSAGE_CHARACTERS)
    chosen = sorted(queries, key=lambda query: (-changes.get(query, 0.0), query))[:QUERIES]
    texts = []
    for query in chosen:
        shown = [("relevant", document) for document in dataset.test.qrels[query]]
        for column, ranking in first.items():
            if hits := ranking.get(query):
                shown.append((column, hits[0].doc_id))
        texts += [
            Text(query, short(queries[query]), role, document, short(dataset.corpus[document]))
            for role, document in shown
        ]
    return texts


def _changes(evaluation: Evaluation, metric: str) -> dict[str, float]:
    """Query id -> the largest change that reranking makes in any search."""
    changes: dict[str, float] = {}
    for search in SEARCHES:
        before = evaluation.per_query.get(search, {}).get(metric, {})
        for column in (f"{search}_reranked", f"{search}_fused"):
            after = evaluation.per_query.get(column, {}).get(metric, {})
            for query in before.keys() & after.keys():
                change = abs(after[query] - before[query])
                changes[query] = max(change, changes.get(query, 0.0))
    return changes
