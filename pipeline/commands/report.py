"""Compare finished runs again: ``python -m pipeline report [RUN ...] [OVERRIDES]``."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.commands.arguments import Parser, names_and_overrides
from pipeline.records import InputError

EPILOG = """\
RUN is the run id of a sweep, or the name of a finished run (the newest of that name), or its id.
Sweeps are compared one by one, other runs with one another. Without a RUN the report is that of
the latest sweep of the experiment, or of all its finished runs if there is no sweep.

The keys that matter here are tracking.uri, tracking.experiment, output_dir,
report.latency_budget_ms, and dataset, which names the experiment.

examples:
  python -m pipeline report
  python -m pipeline report tracking.uri=http://localhost:5000 tracking.experiment=gooaq
  python -m pipeline report report.latency_budget_ms=50      another budget for the verdict
  python -m pipeline report 0123456789abcdef0123456789abcdef
  python -m pipeline report colbert_minilm_l6_1neg_1ep cross_encoder_minilm_l6_1neg_1ep
"""


def main(words: Sequence[str]) -> None:
    """Report on the sweeps and runs that ``words`` name, or on the newest.

    Writes nothing if there is nothing to show.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, there is no
            such run or none at all, or the tracking store can't be read.
    """
    description = "Print the comparison table of runs and write it as HTML, markdown and CSV."
    parser = Parser("report", description, EPILOG)
    parser.add_argument("words", nargs="*", metavar="RUN or KEY=VALUE")
    names, overrides = names_and_overrides(parser.parse_args(words).words)

    from pipeline.config.compose import compose

    config = compose(overrides)

    from pipeline.infra.redact import mask
    from pipeline.report.write import show, show_runs
    from pipeline.tracking.reader import experiments
    from pipeline.tracking.selection import newest, selected

    store, output = config.tracking, Path(config.output_dir)
    if names:
        chosen = selected(store, names)
    else:
        chosen = newest(store)
        where = f"experiment {store.experiment} of {mask(store.uri)}"
        if not chosen.sweeps and not chosen.points:
            hint = "make sweep makes some"
            if others := experiments(store):
                hint = f"there are some in {', '.join(others)}: tracking.experiment={others[0]}"
            raise InputError(f"no finished run in {where}; {hint}")
        if not chosen.sweeps:
            count = len(chosen.points)
            print(f"no finished sweep in {where}: its single runs are compared, {count} in all")
    alone = len(chosen.sweeps) == 1 and not chosen.points
    for sweep in chosen.sweeps:
        folder = output if alone else output / "sweeps" / sweep
        show(store, config.report, sweep, folder)
    if chosen.points:
        show_runs(store, config.report, chosen.points, output)
