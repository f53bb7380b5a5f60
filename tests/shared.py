"""What the points of a grid share, with nothing in it; tests replace the parts that they need."""

from typing import cast

from pipeline.experiment.shared import Shared
from pipeline.records import Dataset, QuerySet
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable

NONE = QuerySet({}, {})
EMPTY = Shared(
    Dataset("d", "f", {}, {}, NONE, NONE, NONE),
    embedder=cast(Embedder, None),
    table=cast(PassageTable, None),
    candidates={},
    own={},
    negatives=None,
    index_key="i",
    candidates_key="c",
)
