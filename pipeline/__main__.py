"""The one door: ``python -m pipeline [COMMAND] [overrides]``; without a command one point runs."""

import os
import sys
from importlib import import_module

MODULES = {
    "run": "pipeline.commands.point",
    "sweep": "pipeline.sweep.run",
    "plan": "pipeline.commands.plan",
    "report": "pipeline.commands.report",
    "compare": "pipeline.commands.compare",
    "evaluate": "pipeline.commands.evaluate",
    "score": "pipeline.commands.score",
    "promote": "pipeline.commands.promote",
    "ui": "pipeline.commands.ui",
    "audit": "pipeline.commands.audit",
    "clean-cache": "pipeline.commands.clean_cache",
}


def main() -> None:
    """Console script and ``python -m pipeline``."""
    # Without this Hydra prints errors its own way and exits 1 for all of them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    name = "run"
    if sys.argv[1:] and sys.argv[1] in MODULES:
        name = sys.argv.pop(1)
    sys.exit(import_module(MODULES[name]).main())


if __name__ == "__main__":
    main()
