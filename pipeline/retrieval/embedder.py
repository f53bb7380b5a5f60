"""Embed passages and queries by a sentence-transformers bi-encoder."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from pipeline.config.models import EmbedderConfig
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import content_hash, locate
from pipeline.infra.precision import Batch, settled
from pipeline.infra.stage_cache import StageCache

Vectors = npt.NDArray[np.float32]


class Embedder:
    """Turns texts into unit vectors of ``dimension`` floats."""

    def __init__(
        self, config: EmbedderConfig, hardware: Hardware, cache: StageCache | None = None
    ) -> None:
        """Load the model; ``cache`` keeps the precision that is chosen for it.

        Raises:
            InputError: ``config.path`` names no model.
        """
        self.config = config
        folder = locate("embedder.path", config.path)
        batch = Batch(config.batch_size, config.max_length)
        self.hardware = settled(hardware, folder, batch, cache=cache)
        # The key of cached vectors: the files at the same path may change.
        self.weights = content_hash(folder)
        self._model = SentenceTransformer(
            str(folder),
            device=hardware.device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
        self._model.max_seq_length = config.max_length
        self.dimension = int(self._model.get_sentence_embedding_dimension() or 0)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return shape (len(texts), dimension), L2-normalised float32."""
        return self._encode(self.config.query_prefix, texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return shape (len(texts), dimension), L2-normalised float32."""
        return self._encode(self.config.passage_prefix, texts)

    def _encode(self, prefix: str, texts: Sequence[str]) -> Vectors:
        with self.hardware.autocast():
            vectors = self._model.encode(
                [prefix + text for text in texts],
                batch_size=self.config.batch_size,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
        raw: Vectors = vectors.float().cpu().numpy()
        unit: Vectors = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
        return unit
