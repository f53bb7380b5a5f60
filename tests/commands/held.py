"""The command ``serve`` with a model that is held while it scores, as a program.

It prints "scoring" when a request is scored, and scores it once its parent has written a line.
"""

import sys
from collections.abc import Mapping, Sequence

from pipeline.__main__ import main
from pipeline.commands import serve
from pipeline.protocols import Scores
from pipeline.serving.app import Served
from tests.scorers import Constant


class Held(Constant):
    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        print("scoring", flush=True)
        sys.stdin.readline()
        return super().score_pairs(queries, passages, pairs, progress)


if __name__ == "__main__":
    serve.load = lambda reference, config: Served(Held(), reference, "held", "fp32", "cpu")
    main()
