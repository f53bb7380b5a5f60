"""Embed passages and queries by a sentence-transformers bi-encoder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from pipeline.config.models import EmbedderConfig
from pipeline.config.saved_models import check_lengths, check_modules
from pipeline.infra.batches import compute, cut, side_by_side
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch
from pipeline.infra.model_files import content_hash, locate
from pipeline.infra.precision import settled
from pipeline.infra.stage_cache import StageCache

QUERY_PROMPTS = ("query",)
PASSAGE_PROMPTS = ("document", "passage", "corpus")
"""Names under which sentence-transformers saves prompts; the first that is there is used."""

Vectors = npt.NDArray[np.float32]


class Embedder:
    """Turns texts into unit vectors of ``dimension`` floats.

    ``query_prompt`` and ``passage_prompt`` are put before the texts: the configured prefixes, else
    what the model has saved under "query" and "document" or "passage".
    """

    def __init__(
        self,
        config: EmbedderConfig,
        hardware: Hardware,
        cache: StageCache | None = None,
        key: str = "embedder",
    ) -> None:
        """Load the model; ``cache`` keeps the precision that is chosen for it.

        ``key`` is where the configuration has it, for error messages.

        Raises:
            InputError: ``config.path`` names no model, or it reads fewer tokens than
                ``config.max_length``, or its files name code.
        """
        self.config = config
        folder = locate(f"{key}.path", config.path)
        check_lengths(folder, {f"{key}.max_length": config.max_length})
        check_modules(folder)
        batch = Batch(config.batch_size, config.max_length)
        self.hardware = settled(hardware, folder, batch, cache=cache)
        # The key of cached vectors: the files at the same path may change.
        self.content_hash = content_hash(folder)
        self._model = SentenceTransformer(
            str(folder),
            device=hardware.device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
        self._model.max_seq_length = config.max_length
        saved = self._model.prompts
        self.query_prompt = _prompt(config.query_prefix, saved, QUERY_PROMPTS)
        self.passage_prompt = _prompt(config.passage_prefix, saved, PASSAGE_PROMPTS)
        self.dimension = int(self._model.get_sentence_embedding_dimension() or 0)

    @property
    def tokenizer(self) -> Any:
        """The model's."""
        return self._model.tokenizer

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return shape (len(texts), dimension), L2-normalised float32."""
        return self._encode(self.query_prompt, texts, self.hardware.autocast_query)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return shape (len(texts), dimension), L2-normalised float32."""
        return self._encode(self.passage_prompt, texts, self.hardware.autocast)

    def _encode(
        self,
        prompt: str,
        texts: Sequence[str],
        precision: Callable[[], AbstractContextManager[object]],
    ) -> Vectors:
        by_length = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        at_once = side_by_side(self.hardware)

        def encode(places: Sequence[int]) -> torch.Tensor:
            vectors: torch.Tensor = self._model.encode(
                [texts[i] for i in places],
                prompt=prompt,  # "" too: otherwise the library puts the model's default there
                batch_size=self.config.batch_size,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
            return vectors

        batches = cut(by_length, self.config.batch_size if at_once > 1 else len(texts), at_once)
        if len(batches) > 1:
            self._model.tokenize(["a text"])  # Sets the tokenizer before threads share it.
        vectors = compute(encode, batches, self.hardware, at_once, precision)
        raw = np.empty((len(texts), self.dimension), dtype=np.float32)
        if vectors:
            raw[by_length] = torch.cat(vectors).float().cpu().numpy()
        unit: Vectors = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
        return unit


def _prompt(configured: str | None, saved: dict[str, str], names: Sequence[str]) -> str:
    """The configured prefix, else the first saved prompt of these names, else nothing."""
    if configured is not None:
        return configured
    return next((saved[name] for name in names if saved.get(name)), "")
