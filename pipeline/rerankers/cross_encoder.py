"""Cross-encoder by sentence-transformers: query and passage are read together.

Weights are fp32, whatever the file holds. The classification head computes in fp32 even under bf16
autocast, because bf16 logits tie often.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import (
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
)
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from pipeline.config.models import CrossEncoderConfig
from pipeline.config.saved_models import label_count
from pipeline.infra.batches import compute, cut, side_by_side
from pipeline.infra.console import live_line
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Effort, FitRequest, Scores
from pipeline.rerankers.cross_encoder_losses import loss_of
from pipeline.rerankers.heads import (
    behind_encoder,
    compute_in_fp32,
    ensure_padding,
    head_of,
    head_weights,
)
from pipeline.rerankers.pair_tokens import Features, PairTexts, PairTokens
from pipeline.rerankers.words import first_words
from pipeline.training.adapters import adapters
from pipeline.training.checkpoints import Resumable
from pipeline.training.examples import training_rows
from pipeline.training.trainer import CountsPairs, DevEvaluator, on_one_gpu, rates, run_trainer

BLOCK = 2048  # passages whose tokens are held at a time, bounds memory


class _Trainer(Resumable, CountsPairs, CrossEncoderTrainer):  # type: ignore[misc]
    """The library's trainer, with our checkpoints and with gradients shared by all processes."""

    def pairs_in(self, batch: Mapping[str, Any]) -> int:
        """Count the passages, of which each column but the first two has one or a list per row."""
        columns = [texts for name, texts in batch.items() if name not in ("query", "label")]
        lists = [texts for column in columns for texts in column]
        return sum(len(texts) if isinstance(texts, list) else 1 for texts in lists)

    def override_model_in_loss(self, loss: torch.nn.Module, model: torch.nn.Module) -> Any:
        """Let the loss compute through ``model``, even if it is wrapped.

        The library does so for bi-encoders only, so each of several processes would train a model
        of its own.
        """
        if isinstance(model, DistributedDataParallel):
            model.tokenizer, model.num_labels = model.module.tokenizer, model.module.num_labels
            loss.model = model
        return loss


class CrossEncoderReranker:
    """Scores are logits of "relevant"."""

    def __init__(
        self, folder: Path, config: CrossEncoderConfig, hardware: Hardware, batch_size: int
    ) -> None:
        """Load ``folder``; a head that it lacks is drawn from torch's random state.

        So is the head of a model with several labels, as of natural language inference.

        Raises:
            InputError: the model has no head or padding token that could be used.
        """
        self._hardware = hardware
        self._batch_size = batch_size
        self._max_length = config.max_length
        self._training_length = config.training_tokens
        self.model = CrossEncoder(
            str(folder),
            num_labels=1,
            max_length=config.max_length,
            device=hardware.device,
            # Saved with the model, so that its library gives the same scores.
            activation_fn=torch.nn.Identity(),
            trust_remote_code=False,
            model_kwargs={
                "use_safetensors": True,
                "dtype": torch.float32,
                "ignore_mismatched_sizes": label_count(folder) not in (None, 1),
            },
        )
        ensure_padding(self.model, folder)
        compute_in_fp32(head_of(self.model.model))
        self._forward: Callable[[Features], torch.Tensor] | None = None  # None: torch

    def by_openvino(self, int8: bool = False) -> Self:
        """Return this reranker with its logits computed by OpenVINO: it reads texts the same way.

        ``int8`` rounds the weights of the copy to 8 bits. Later training does not change the copy.
        """
        # Imported here, as this takes a second and torch is the default.
        from pipeline.rerankers.openvino_forward import OpenVinoForward, convert

        passages = {"short": "a passage", "long": "a longer passage"}
        tokens = self._tokenised({"": "a query"}, passages)
        example = tokens.features([("", "short"), ("", "long")])
        converted = convert(self.model.model, example)
        machine, pad_id = self._hardware, self.model.tokenizer.pad_token_id
        other = copy(self)
        other._forward = OpenVinoForward(
            converted, machine.precision, machine.threads, pad_id, int8
        )
        return other

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Compute logits, shape (len(pairs),)."""
        queries = {name: queries[name] for name in {query for query, _ in pairs}}
        passages = self._short(queries, {name: passages[name] for name in {p for _, p in pairs}})
        # Longest first, so that memory fails at once.
        by_length = sorted(passages, key=lambda name: (-len(passages[name]), name))
        block_of = {name: place // BLOCK for place, name in enumerate(by_length)}
        members: dict[int, list[int]] = {}
        for place, (_, passage) in enumerate(pairs):
            members.setdefault(block_of[passage], []).append(place)
        scores = np.empty(len(pairs), dtype=np.float32)
        with live_line("score pairs", "pair", total=len(pairs), hidden=not progress) as bar:
            for block, places in sorted(members.items()):
                names = by_length[block * BLOCK : (block + 1) * BLOCK]
                some = {name: passages[name] for name in names}
                scores[places] = self._score(queries, some, [pairs[i] for i in places], bar)
        return scores

    def _score(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        bar: "tqdm[Any]",
    ) -> Scores:
        """Compute logits, shape (len(pairs),), with the tokens of all texts in memory."""
        tokens = self._tokenised(queries, passages)
        # Similar lengths together, so that a batch pads little.
        order = sorted(range(len(pairs)), key=lambda i: -tokens.length(*pairs[i]))
        forward = self._forward or self._by_torch
        # OpenVINO has threads of its own.
        at_once = 1 if self._forward else side_by_side(self._hardware)

        def logits_of(places: Sequence[int]) -> torch.Tensor:
            return forward(tokens.features([pairs[i] for i in places]))

        # No logit is read before the end, so that a GPU computes while the next pairs are joined.
        batches = cut(order, self._batch_size, at_once)
        logits = compute(logits_of, batches, self._hardware, at_once, bar=bar)
        scores = np.empty(len(pairs), dtype=np.float32)
        scores[order] = torch.cat(logits)[:, 0].float().cpu().numpy()
        return scores

    def _tokenised(
        self, queries: Mapping[str, str], passages: Mapping[str, str]
    ) -> PairTokens | PairTexts:
        tokenizer = self.model.tokenizer
        kind = PairTokens if tokenizer.is_fast else PairTexts
        return kind(tokenizer, self.model.max_length, queries, passages)

    @torch.inference_mode()
    def _by_torch(self, features: Features) -> torch.Tensor:
        """Compute logits, shape (pairs, 1)."""
        self.model.eval()
        logits: torch.Tensor = self.model(**self._hardware.moved(features)).logits
        return logits

    def _short(self, queries: Mapping[str, str], passages: Mapping[str, str]) -> Mapping[str, str]:
        """Cut each passage after more words than the model reads tokens, and than any query has."""
        if self.model.tokenizer.truncation_side != "right":
            return passages
        longest = max((len(query.encode()) for query in queries.values()), default=0)
        words = max(self.model.max_length, longest) + 1
        return {name: first_words(text, words) for name, text in passages.items()}

    def fit(self, request: FitRequest) -> Effort:
        """Train in place with one of ``config.models.CROSS_ENCODER_LOSSES``."""
        arguments = on_one_gpu(CrossEncoderTrainingArguments(**request.arguments))
        transformer = self.model.model
        new = head_weights(transformer)
        arguments.learning_rate_mapping = rates(new, request.head_learning_rate)
        rows, longest, in_batch = training_rows(
            request, Path(arguments.output_dir), arguments.per_device_train_batch_size
        )
        with self._reading(self._training_length), adapters(self.model, "model", request.lora_rank):
            # Adapters freeze all other weights, but the new ones must be trained.
            for layer in behind_encoder(transformer).values():
                layer.requires_grad_(True)
            trainer = _Trainer(
                model=self.model,
                args=arguments,
                train_dataset=rows,
                loss=loss_of(request.loss, self.model, request.negatives, in_batch),
                evaluator=(
                    DevEvaluator(partial(self._as_served, request.dev_score))
                    if request.dev_score
                    else None
                ),
            )
            effort = run_trainer(trainer, request, longest)
        self.model.eval()
        return effort

    @contextmanager
    def _reading(self, tokens: int) -> Iterator[None]:
        """Read ``tokens`` of query and passage within the block."""
        before = self.model.max_length
        self.model.max_length = tokens
        try:
            yield
        finally:
            self.model.max_length = before

    def _as_served(self, dev_score: Callable[[], float]) -> float:
        """Measure the dev score at the length of serving, in the middle of a training."""
        with self._reading(self._max_length):
            return dev_score()

    def save(self, folder: Path) -> None:
        """Write a folder for ``CrossEncoder(folder)``."""
        self.model.save_pretrained(str(folder))
