"""Silences what libraries print that a user can't act on; our own log lines stay.

Each line says what it silences, so that it can be removed when the library stops.
"""

import logging
import os
import warnings


class HubRetries(logging.Filter):
    """Log filter: one readable line in place of two per try."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Reword the first retry of a request and drop the other lines about tries."""
        text = record.getMessage()
        if "[Retry 1/" in text:
            record.msg, record.args = "the Hugging Face hub does not answer, retrying", ()
            return True
        return "thrown while requesting" not in text and not text.startswith("Retrying in")


HUB_RETRIES = HubRetries()


def silence() -> None:
    """Call once per process, before models are loaded."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # warns after every fork
    import datasets
    import transformers

    # Bars for loading 100 tensors and for writing training rows: both take well under a second.
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    # "Some weights are newly initialized" is the point of an untrained head.
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("pylate").setLevel(logging.ERROR)
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    # The hub's client prints each line itself and hands it on to our log.
    logging.getLogger("huggingface_hub").handlers.clear()
    logging.getLogger("huggingface_hub.utils._http").addFilter(HUB_RETRIES)
    # A log file on a full disk, with a traceback for every line; what matters fails by itself.
    logging.raiseExceptions = False
    # Names of torch's that accelerate and PyLate use with several processes, and torch will change.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    warnings.filterwarnings(
        "ignore", "torch.distributed.nn.functional.all_gather is deprecated", FutureWarning
    )
