"""What counts as a negative in a batch, by hand, and in the losses that take negatives there."""

import torch
from pylate.losses import Contrastive
from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss

from pipeline.config.stages import HardwareConfig
from pipeline.data.text import text_key
from pipeline.infra.hardware import resolve
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.contrastive import ContrastiveLoss
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from pipeline.rerankers.mnrl import MnrlLoss
from pipeline.training.in_batch import InBatch
from tests.conftest import Compose


def row(query: str, positive: str, negative: str, *relevant: str) -> TrainingExample:
    keys = tuple(map(text_key, (positive, *relevant)))
    return TrainingExample(query, positive, 1, 1.0, [negative], keys)


def collected(rows: list[TrainingExample]) -> InBatch:
    in_batch = InBatch()
    assert list(in_batch.collect(rows)) == rows
    return in_batch


ROWS = [
    row("merge", "one", "bad", "two"),
    row("merge", "two", "bad", "one"),
    row("draw", "ONE ", "worse"),  # the text of another query's passage
    row("load", "three", "two"),  # its negative is relevant to "merge"
    row("Merge ", "four", "worst"),  # the same query again
]


def test_relevant_and_repeated_passages_are_excluded() -> None:
    in_batch = collected(ROWS)
    excluded = in_batch.excluded(range(5), range(5))
    assert excluded.shape == (5, 5, 2)
    # For each query the passages that count, of one/bad two/bad ONE/worse three/two four/worst.
    counted = [[2 * j + c for j in range(5) for c in (0, 1) if not mask[j, c]] for mask in excluded]
    assert counted == [
        [0, 1, 5, 6, 9],  # one, bad | worse, three, worst
        [2, 3, 5, 6, 9],  # two, bad | worse, three, worst
        [1, 2, 4, 5, 6, 8, 9],  # ONE, worse | bad, two, three, four, worst
        [0, 1, 5, 6, 7, 8, 9],  # three, two | one, bad, worse, four, worst
        [1, 5, 6, 8, 9],  # four, worst | bad, worse, three; one and two are of the same query
    ]


def test_what_a_test_query_asks_for_is_a_negative_of_no_query() -> None:
    rows = [row("a", "one", "n1")._replace(held_out=True), row("b", "two", "n2")]
    assert collected(rows).excluded([0, 1], [0, 1]).tolist() == [
        [[False, False], [False, False]],
        [[True, False], [False, False]],
    ]


def test_a_process_trains_its_part_of_a_batch() -> None:
    in_batch = collected(ROWS)
    whole = in_batch.excluded([3, 0, 2, 1], [3, 0, 2, 1])
    part = in_batch.excluded([2, 1], [3, 0, 2, 1])
    assert torch.equal(part, whole[2:])


def test_rows_of_one_query_are_no_negatives_of_each_other_in_contrastive(small: Compose) -> None:
    config = small("arch=colbert", "base=modernbert_tiny")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, resolve(HardwareConfig(precision="fp32")), 32)
    assert isinstance(reranker, ColbertReranker)
    model = reranker.model.eval()
    ours = ContrastiveLoss(model, collected(ROWS), temperature=1.0)
    theirs = Contrastive(model)

    def loss(of: torch.nn.Module, numbers: list[int]) -> float:
        rows = [ROWS[number] for number in numbers]
        columns = [
            model.tokenize([r.query for r in rows], is_query=True, pad=True),
            model.tokenize([r.positive for r in rows], is_query=False, pad=True),
            model.tokenize([r.negatives[0] for r in rows], is_query=False, pad=True),
        ]
        with torch.no_grad():
            return float(of(columns, torch.tensor(numbers)))

    alone = (loss(theirs, [0]) + loss(theirs, [1])) / 2
    assert abs(loss(ours, [0, 1]) - alone) < 1e-5
    assert abs(loss(theirs, [0, 1]) - alone) > 0.1
    # Row 2 shows a passage that is relevant to row 0; rows 2 and 3 share nothing.
    assert abs(loss(ours, [0, 2]) - loss(theirs, [0, 2])) > 0.1
    assert abs(loss(ours, [2, 3]) - loss(theirs, [2, 3])) < 1e-5


def test_rows_of_one_query_are_no_negatives_of_each_other_in_mnrl(small: Compose) -> None:
    config = small("arch=cross_encoder", "arch.loss=mnrl", "base=modernbert_tiny")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, resolve(HardwareConfig(precision="fp32")), 32)
    assert isinstance(reranker, CrossEncoderReranker)
    model = reranker.model.eval()
    ours, theirs = MnrlLoss(model, collected(ROWS)), MultipleNegativesRankingLoss(model)

    def loss(of: torch.nn.Module, numbers: list[int]) -> float:
        rows = [ROWS[number] for number in numbers]
        texts = [
            [r.query for r in rows],
            [r.positive for r in rows],
            [r.negatives[0] for r in rows],
        ]
        with torch.no_grad():
            return float(of(texts, torch.tensor(numbers)))

    alone = (loss(theirs, [0]) + loss(theirs, [1])) / 2
    assert abs(loss(ours, [0, 1]) - alone) < 1e-5
    assert abs(loss(theirs, [0, 1]) - alone) > 0.1
    assert abs(loss(ours, [2, 3]) - loss(theirs, [2, 3])) < 1e-5  # both count all two of the other
    for _ in range(20):  # of eight passages of other rows four are drawn, never an excluded one
        loss(ours, [0, 1, 2, 3, 4])
        drawn = ours._drawn
        assert drawn.shape == (5, 4)
        assert drawn.sum(dim=1).tolist() == [1, 1, 0, 0, 1]  # these have only three
