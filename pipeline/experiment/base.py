"""Find the base that a point starts from."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.config import Config
from pipeline.config.bounds import require
from pipeline.config.saved_models import detect_arch
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.tracking import references


def locate_base(config: Config, cache: StageCache) -> Path:
    """The folder of the point's base.

    Raises:
        InputError: the base can't be found, or is a reranker of which layers are to be left out.
    """
    find = partial(references.locate, config=config.tracking, cache=cache)
    folder = prepare_base(config.base, cache, find)
    if config.base.dedicated and config.base.keep_layers:
        plain = detect_arch(folder) is None
        kept, reason = config.base.keep_layers, f"{config.base.path} is a reranker and stays whole"
        require(plain, "base.keep_layers", kept, f"{reason}; set base.dedicated=false")
        return prepare_base(as_found(config, folder).base, cache, find)
    return folder


def as_found(config: Config, folder: Path) -> Config:
    """Correct ``base.dedicated``, which every base by reference has until its folder is known."""
    if not config.base.dedicated or detect_arch(folder) is not None:
        return config
    return replace(config, base=replace(config.base, dedicated=False))
