"""Put two runs side by side: ``python -m pipeline compare RUN_A RUN_B [OVERRIDES]``."""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.commands.arguments import Parser, names_and_overrides
from pipeline.records import SEARCHES, InputError

EPILOG = """\
RUN is the name of a finished run (the newest of that name) or its id. The page is written to
output_dir/compare.

examples:
  python -m pipeline compare colbert_minilm_l6_1neg_1ep colbert_minilm_l6_2neg_1ep
  python -m pipeline compare RUN_A RUN_B --search hybrid tracking.uri=http://localhost:5000
"""


def main(words: Sequence[str]) -> None:
    """Print how two runs differ and write it as HTML.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, or there is
            no such run.
    """
    description = "Show how two runs differ: configuration, metrics with intervals, queries."
    parser = Parser("compare", description, EPILOG)
    parser.add_argument("words", nargs="*", metavar="RUN or KEY=VALUE")
    parser.add_argument(
        "--search",
        choices=SEARCHES,
        default=SEARCHES[0],
        help="the search whose queries are shown (%(default)s)",
    )
    arguments = parser.parse_intermixed_args(words)
    names, overrides = names_and_overrides(arguments.words)
    if len(names) != 2:
        raise InputError(f"give two runs, not {len(names)}: python -m pipeline compare A B")

    from pipeline.config.compose import compose

    config = compose(overrides)

    from pipeline.report.pair.page import html
    from pipeline.report.pair.recorded import differ
    from pipeline.report.pair.terminal import show
    from pipeline.tracking import reader

    a, b = (reader.find_run(config.tracking, name) for name in names)
    if a.run_id == b.run_id:
        raise InputError(f"{names[0]} and {names[1]} are the same run, {a.run_id}")
    difference = differ(config.tracking, a, b, arguments.search)
    show(difference)
    # Two runs of one name, as of two sweeps, differ in their ids.
    labels = [run.name if a.name != b.name else run.run_id[:8] for run in (a, b)]
    name = re.sub(r"[^\w.-]+", "_", "_vs_".join(labels))
    file = Path(config.output_dir) / "compare" / f"{name}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html(difference), encoding="utf-8")
    print(f"\n{file}")
