"""What a single run prints at its end."""

from pipeline.experiment.record import headline, summary


def test_the_last_lines_show_every_search_before_and_after() -> None:
    metrics = {
        f"{search}{order}/{measure}_at_{k}": 0.1 * i + 0.01 * j + 0.001 * k
        for i, search in enumerate(("vector", "fts", "hybrid"))
        for j, order in enumerate(("", "_reranked", "_fused"))
        for measure in ("ndcg", "hit_rate")
        for k in (5, 10)
    }
    heads, orders, *rows = summary(metrics)
    assert heads.split() == ["NDCG@10", "hit", "rate@10"]
    assert orders.split() == ["search"] + ["before", "reranked", "fused"] * 2
    assert [row.split() for row in rows] == [
        ["vector"] + ["0.010", "0.020", "0.030"] * 2,
        ["fts"] + ["0.110", "0.120", "0.130"] * 2,
        ["hybrid"] + ["0.210", "0.220", "0.230"] * 2,
    ]
    assert len({len(row) for row in (orders, *rows)}) == 1
    alone = {name: value for name, value in metrics.items() if "_reranked" not in name}
    alone = {name: value for name, value in alone.items() if "_fused" not in name}
    assert summary(alone)[2].split() == ["vector", "0.010", "-", "-", "0.010", "-", "-"]
    assert headline(alone) == "vector hit@10 0.010, NDCG@10 0.010"
