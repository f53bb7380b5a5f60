"""Time a training step of a cross-encoder of MiniLM-L6's sizes: dropout, attention, precision.

    python benchmarks/training_step.py

The settings take turns in one process, so that whatever else the machine does meets all of them.
Prints the median step of each in milliseconds, as a Markdown table.
"""

import argparse
import contextlib
import time
from itertools import product
from statistics import median

import torch
from transformers import BertConfig, BertForSequenceClassification

from pipeline.config.stages import HardwareConfig
from pipeline.infra.hardware import resolve
from pipeline.training.layers import dropout, plain_attention

QUERIES = 8  # of a batch
GROUP = 3  # passages of a query
LENGTHS = (48, 128)  # tokens of a pair
ROUNDS = 9  # after one that warms up


def step(
    model: BertForSequenceClassification, optimizer: torch.optim.Optimizer, tokens: int, half: bool
) -> float:
    """Seconds of a step: softmax over the passages of each query, gradient and AdamW."""
    texts = torch.randint(1000, 20000, (QUERIES * GROUP, tokens))
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext():
        logits = model(input_ids=texts).logits.float()
    first = torch.zeros(QUERIES, dtype=torch.long)
    torch.nn.functional.cross_entropy(logits.view(QUERIES, GROUP), first).backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    sizes = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=6, num_labels=1, **sizes))
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-6, fused=True)
    kinds = list(product((0.1, 0.0), (False, True), LENGTHS, (False, True)))
    seconds: dict[tuple[float, bool, int, bool], list[float]] = {kind: [] for kind in kinds}
    for _ in range(1 + ROUNDS):
        for share, plain, tokens, half in kinds:
            with dropout(model, share), plain_attention(model, plain):
                seconds[share, plain, tokens, half].append(step(model, optimizer, tokens, half))
    print(f"{resolve(HardwareConfig()).name}, {torch.get_num_threads()} threads\n")
    columns = [f"{tokens} tokens, {name}" for tokens in LENGTHS for name in ("fp32", "bf16")]
    print("| dropout | attention |", " | ".join(columns), "|")
    print("| ---: | --- |", " | ".join("---:" for _ in columns), "|")
    for share, plain in product((0.1, 0.0), (False, True)):
        cells = [
            f"{1000 * median(seconds[share, plain, tokens, half][1:]):.0f} ms"
            for tokens, half in product(LENGTHS, (False, True))
        ]
        print(f"| {share} | {'plain' if plain else 'torch'} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
