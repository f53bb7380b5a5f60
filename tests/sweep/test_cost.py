"""What a grid computes and keeps is counted by formulas that can be checked by hand."""

import pytest

from pipeline.config import Config
from pipeline.config.transformer import Transformer, sizes_in
from pipeline.experiment.work import Work
from pipeline.sweep import cost, planned_work
from pipeline.sweep.cost import disk, forward, memory, of_grid, scoring_flops, total, training_flops
from tests.points import compose_config

# 2 x (4 x 16 + 2 x 32) = 256 weights in the layers, and 10 embeddings of 4 numbers
TINY = Transformer(layers=2, hidden=4, intermediate=8, queries=4, keys=4, gated=False, embedded=10)
SIZES = (
    "dataset.max_corpus=100",
    "dataset.max_train_queries=20",
    "dataset.max_dev_queries=5",
    "dataset.max_eval_queries=10",
    "eval.depth=10",
    "latency.enabled=false",
)
LENGTHS = ("arch.query_length=8", "arch.document_length=10", "arch.training_document_length=6")


def point(*words: str) -> Config:
    return compose_config([*SIZES, *words])


def costs(*points: Config) -> list[cost.Cost]:
    return of_grid(points, planned_work.works(points))


def test_reading_a_text_by_hand() -> None:
    # A token: 2 x 256 for the weights and 4 x 2 layers x 10 tokens x 4 for the attention.
    assert forward(TINY, texts=1, length=10) == 10 * (512 + 320)
    assert forward(TINY, texts=3, length=10) == 3 * 8320


@pytest.mark.slow
def test_torch_counts_as_many_flops() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 32, "intermediate_size": 48, "vocab_size": 50}
    config = BertConfig(
        **sizes, num_hidden_layers=3, num_attention_heads=4, attn_implementation="eager"
    )
    bert, model = BertModel(config, add_pooling_layer=False), sizes_in(config.to_dict())
    assert model is not None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        bert(input_ids=torch.ones(2, 20, dtype=torch.long))
    assert counter.get_total_flops() == forward(model, texts=2, length=20)


def test_a_cross_encoder_reads_every_pair_three_times_to_train() -> None:
    config = point("arch=cross_encoder", "arch.max_length=10", "arch.training_max_length=null")
    work = Work(trained=40, scored=7)
    assert training_flops(config, TINY, work) == 3 * 40 * 8320
    assert scoring_flops(config, TINY, work) == 7 * 8320
    shorter = point("arch=cross_encoder", "arch.training_max_length=8")
    assert training_flops(shorter, TINY, work) == 3 * 40 * 8 * (512 + 256)


def test_mnrl_reads_four_passages_of_other_rows_as_well() -> None:
    words = ("arch=cross_encoder", "arch.max_length=10", "arch.training_max_length=null")
    config = point(*words, "arch.loss=mnrl", "negatives=1")
    assert training_flops(config, TINY, Work(trained=40)) == 3 * (40 + 4 * 20) * 8320


def test_a_colbert_reads_a_query_once_for_its_passages() -> None:
    config = point("arch=colbert", "negatives=3", *LENGTHS)
    passages, queries = 40 * 6 * (512 + 192), 10 * 8 * (512 + 256)
    assert training_flops(config, TINY, Work(trained=40)) == 3 * (passages + queries)


def test_a_colbert_reads_a_passage_once_for_all_queries() -> None:
    config = point("arch=colbert", *LENGTHS)
    # 15 queries of 0.62 x 3 x 10 candidates are 279 pairs, but there are 100 passages.
    pairs = planned_work.candidate_pairs(config)
    assert pairs == 279
    query, passage = 8 * (512 + 256), 8320
    assert scoring_flops(config, TINY, Work(scored=279)) == 15 * query + 100 * passage
    # Two scorings of 5 dev queries, each of 10 candidates
    with_dev = Work(scored=279, dev=2 * 5 * 10)
    assert scoring_flops(config, TINY, with_dev) == 25 * query + 200 * passage
    # The scores of another point, which reranks the same candidates
    assert scoring_flops(config, TINY, Work()) == 0
    stored = point("arch=colbert", "rerank.vectors=int8", *LENGTHS)
    assert scoring_flops(stored, TINY, Work(encoded=100)) == 15 * query + 100 * passage
    assert scoring_flops(stored, TINY, Work()) == 15 * query  # encoded for another point


def test_what_is_not_known_stays_so() -> None:
    config = point("arch=colbert")
    assert training_flops(config, TINY, None) is None
    assert training_flops(config, None, Work(trained=1)) is None
    assert training_flops(config, None, Work()) == 0
    windows = point("arch=cross_encoder", "rerank.windows=32")
    assert scoring_flops(windows, TINY, Work(scored=1)) is None
    assert memory(config, None) is None


def test_training_keeps_16_bytes_a_weight() -> None:
    assert memory(point(), TINY) == (256 + 40) * 16
    assert memory(point("epochs=0"), TINY) == 0
    assert memory(point("train.lora_rank=4"), TINY) == (256 + 40) * 4


def test_vectors_and_models_on_disk() -> None:
    index, model = 100 * 384 * 4, 296 * 4
    assert list(disk(point("arch=none", "base=none", "epochs=0"), TINY).values()) == [index]
    assert list(disk(point("epochs=0"), TINY).values()) == [index, model]
    words = ("arch=colbert", "arch.document_length=10")
    stored = disk(point(*words, "rerank.vectors=binary", "rerank.token_pooling=3"), TINY)
    # Of 10 tokens 4 remain, of 128 signs and their mean; they are made of all in fp16.
    binary, fp16 = 100 * 4 * (16 + 2), 100 * 10 * 256
    assert list(stored.values()) == [index, model, model, fp16, binary]
    dedicated = disk(point(*words, "rerank.vectors=fp16", "base.dedicated=true"), TINY)
    assert None in dedicated.values()


def test_what_points_share_counts_once() -> None:
    words = ("arch=colbert", "negatives=3", "train.batch_size=4", *LENGTHS)
    full, signs = costs(
        point(*words, "rerank.vectors=fp16"), point(*words, "rerank.vectors=binary")
    )
    assert (full.pairs_to_train, full.steps) == (80, 5)
    assert (signs.pairs_to_train, signs.steps, signs.training_flops) == (0, 0, 0)
    assert full.disk_bytes is not None and signs.disk_bytes is not None
    run = 22_534_656 * 4  # the matrices of minilm_l6, in the folder of the run
    assert signs.disk_bytes == run + 100 * 10 * 18
    both = total([full, signs])
    assert both.pairs_to_train == 80
    assert both.training_flops == full.training_flops
    assert both.memory_bytes == full.memory_bytes == 22_534_656 * 16
    assert both.disk_bytes == full.disk_bytes + signs.disk_bytes


@pytest.mark.parametrize("vectors", ["fp16", "int8"])
def test_engines_share_the_vectors_that_torch_stores(vectors: str) -> None:
    words = ("arch=colbert", "hardware.device=cpu", f"rerank.vectors={vectors}")
    variants = ("torch", "openvino", "openvino_int8")
    torch, *others = costs(*(point(*words, f"rerank.variant={variant}") for variant in variants))
    run = 22_534_656 * 4
    assert [other.disk_bytes for other in others] == [run, run]
    assert torch.disk_bytes is not None and torch.disk_bytes > run


def test_one_unknown_point_makes_the_sum_unknown() -> None:
    known, unknown = costs(point(), point("base.path=org/model", "base.name=away"))
    assert known.flops is not None
    assert unknown.pairs_to_train == 40 and unknown.flops is None
    both = total([known, unknown])
    assert both.pairs_to_train == 80
    assert (both.flops, both.memory_bytes, both.disk_bytes) == (None, None, None)


@pytest.mark.parametrize("vectors", ["fp16", "int8", "binary"])
def test_without_a_limit_of_passages_their_vectors_are_not_known(vectors: str) -> None:
    config = point("arch=colbert", f"rerank.vectors={vectors}", "dataset.max_corpus=null")
    assert planned_work.works([config]) == [None]
    assert costs(config)[0].disk_bytes is None


def test_gooaq_searches_the_rows_of_its_index() -> None:
    assert planned_work.passages(compose_config(["dataset=gooaq"])) == 100_000
    assert planned_work.passages(compose_config(["dataset=gooaq", "dataset.max_corpus=500"])) == 500
    assert planned_work.passages(compose_config(["dataset.max_corpus=null"])) is None
