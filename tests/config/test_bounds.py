"""Values out of bounds are refused with a line that names the key."""

import pytest

from pipeline.records import InputError
from tests.points import compose_config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("negatives=-1", "negatives=-1: must be at least 0"),
        (
            "negatives=9",
            "negatives=9: only mining.depth=5 are mined per query, raise mining.depth",
        ),
        ("arch=none", "epochs=1: arch=none has nothing to train, set epochs=0"),
        ("base=none", "base=none: arch=cross_encoder needs a model, set base=minilm_l6"),
        ("index.batch_size=0", "index.batch_size=0: must be at least 1"),
        ("index.vector_index_above=-1", "index.vector_index_above=-1: must be at least 0"),
        ("negatives=0", "negatives=0: training needs at least 1"),
        ("train.learning_rate=7", "train.learning_rate=7.0: must be between 0 and 1"),
        ("eval.depth=3", "eval.depth=3: must be at least 10, the largest of eval.top_k"),
        ("max_length=4", "max_length=4: must be at least 8"),
        ("tracking.uri=foo", "tracking.uri=foo: must be sqlite:///FILE, http"),
        ("tracking.uri=file:///mlruns", "tracking.uri=file:///mlruns: must be sqlite:///FILE"),
        ("dataset.path=???", "dataset.path: has no value; give it one, as in dataset.path="),
        ("eval.top_k=[]", "eval.top_k=[]: needs one or more different numbers >= 1"),
        ("eval.top_k=[5,0]", "eval.top_k=[5, 0]: needs one or more different numbers >= 1"),
        ("latency.limits=[20,20]", "latency.limits=[20, 20]: needs one or more different"),
        ("mining.sampling=best", "mining.sampling=best: none of top, random"),
        ("mining.last_rank=7", "mining.last_rank=7: the window must hold mining.depth=5 ranks"),
        ("mining.relative_margin=1", "mining.relative_margin=1.0: a share, 0 <= margin < 1"),
        ("mining.random_share=5", "mining.random_share=5.0: a share from 0 to 1"),
        (
            "train.teacher=run:x",
            "train.teacher=run:x: arch.loss=lce learns no teacher's scores, set arch.loss="
            "margin_mse or mse or kl",
        ),
        ("train.teacher_fusion=0.5", "train.teacher_fusion=0.5: arch.loss=lce learns no teacher"),
        ("train.teacher_fusion=2", "train.teacher_fusion=2: recorded, or a weight from 0 to 1"),
        ("train.teacher_fusion=best", "train.teacher_fusion=best: recorded, or a weight from 0"),
        ("train.teacher_temperature=0", "train.teacher_temperature=0.0: must be above 0"),
        ("hardware.precision=fp8", "hardware.precision=fp8: none of"),
        ("dataset.test_share=1", "dataset.test_share=1.0: must be above 0 and below 1"),
        ("dataset.dev_share=-0.1", "dataset.dev_share=-0.1: must be in [0, 1)"),
        ("dataset.folds=1", "dataset.folds=1: must be at least 2"),
        ("dataset.fold=1", "dataset.fold=1: must be 0 to dataset.folds - 1 = 0"),
        ("dataset.near_duplicate=0", "dataset.near_duplicate=0.0: above 0, up to 1"),
        ("run_name=''", "run_name=: must have 1 to 200 bytes and no /"),
        ("run_name=a/b", "run_name=a/b: must have 1 to 200 bytes and no /"),
        (f"run_name={'x' * 201}", f"run_name={'x' * 201}: must have"),
        (f"run_name='{'é' * 101}'", f"run_name={'é' * 101}: must have"),
        ("latency.callers=0", "latency.callers=0: must be at least 1"),
        ("latency.rerank_modes=[bm25]", "latency.rerank_modes=['bm25']: one or more of"),
    ],
)
def test_bad_values_name_their_key(override: str, said: str) -> None:
    labelled = ["dataset=labelled", "dataset.path=x"] if override.startswith("dataset.") else []
    with pytest.raises(InputError) as caught:
        compose_config([*labelled, override])
    assert str(caught.value).startswith(said)


def test_a_run_name_may_have_200_bytes() -> None:
    for name in ("x" * 200, "é" * 100, "a b:c"):
        assert compose_config([f"run_name='{name}'"]).run_name == name
