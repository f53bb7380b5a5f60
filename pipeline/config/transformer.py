"""Read the sizes of a transformer from its ``config.json``; no weights are loaded."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.saved_models import local_folder, read_json, transformer_folder

PLAIN = ("bert", "camembert", "gpt2", "roberta", "xlm-roberta")
"""Types of models whose layers have two matrices after the attention."""

GATED = ("llama", "mistral", "modernbert", "qwen2", "qwen3")
"""Types of models whose layers have a third one, a gate, and whose positions are computed."""


@dataclass(frozen=True)
class Transformer:
    """The sizes of a transformer, in numbers."""

    layers: int
    hidden: int
    intermediate: int
    queries: int  # width of the queries of all heads, in most models ``hidden``
    keys: int  # width of the keys of all heads, and of the values
    gated: bool
    embedded: int  # tokens, positions and kinds of segments that have an embedding

    @property
    def layer_weights(self) -> int:
        """The weights in the matrices of all layers: attention and feed-forward."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        return self.layers * (attention + (2 + self.gated) * self.hidden * self.intermediate)

    @property
    def parameters(self) -> int:
        """All weights but biases, norms, poolers and heads, which are about one in a hundred."""
        return self.layer_weights + self.embedded * self.hidden


def sizes(name: str, keep_layers: Sequence[int] | None = None) -> Transformer | None:
    """The sizes of the model ``name``, of which only the layers ``keep_layers`` are kept.

    None if its ``config.json`` is not here, or does not tell the sizes. Nothing is downloaded.

    Raises:
        InputError: the file is not valid JSON.
    """
    folder = local_folder(name) or _in_the_hubs_cache(name)
    if folder is None:
        return None
    return sizes_in(read_json(transformer_folder(folder) / "config.json"), keep_layers)


def sizes_in(
    config: Mapping[str, Any], keep_layers: Sequence[int] | None = None
) -> Transformer | None:
    """The sizes that the content of a ``config.json`` tells; None if it does not tell them all."""
    kind = config.get("model_type")
    if kind not in PLAIN + GATED:
        return None
    hidden = config.get("hidden_size") or config.get("n_embd")
    layers = config.get("num_hidden_layers") or config.get("n_layer")
    heads = config.get("num_attention_heads") or config.get("n_head")
    intermediate = config.get("intermediate_size")
    if kind == "gpt2" and hidden:  # A GPT-2 without n_inner has 4 x n_embd, which is its default.
        intermediate = config.get("n_inner") or 4 * hidden
    words = config.get("vocab_size")
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if not (
        hidden and layers and heads and intermediate and words and (positions or kind in GATED)
    ):
        return None
    size = config.get("head_dim") or hidden // heads
    embedded = words if kind in GATED else words + positions + config.get("type_vocab_size", 0)
    return Transformer(
        layers=len(keep_layers) if keep_layers else layers,
        hidden=hidden,
        intermediate=intermediate,
        queries=heads * size,
        keys=(config.get("num_key_value_heads") or heads) * size,
        gated=kind in GATED,
        embedded=embedded,
    )


def _in_the_hubs_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError):  # of run:NAME, models:/NAME and random:modernbert
        found = try_to_load_from_cache(name, "config.json")
        return Path(found).parent if isinstance(found, str) else None
    return None
