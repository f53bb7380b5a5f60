"""ColBERT by PyLate: query and passage are embedded apart, token by token, and scored by MaxSim.

Only PyLate's own loader is used, so a checkpoint keeps the projection it was trained with. Weights
are fp32, whatever the file holds.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import chain
from pathlib import Path
from typing import Any, Self, cast

import torch
from pylate.losses import Distillation
from pylate.models import ColBERT
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch.nn.functional import normalize
from tqdm import tqdm

from pipeline.config.models import ColbertConfig
from pipeline.config.saved_models import check_modules
from pipeline.infra.batches import compute, cut, side_by_side
from pipeline.infra.console import live_line
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Effort, FitRequest, Scores
from pipeline.rerankers.collator import ShortCollator
from pipeline.rerankers.contrastive import ContrastiveLoss
from pipeline.rerankers.maxsim import score_blocks
from pipeline.rerankers.pair_tokens import Features
from pipeline.rerankers.words import first_words
from pipeline.training.adapters import adapters
from pipeline.training.checkpoints import Resumable
from pipeline.training.examples import training_rows
from pipeline.training.in_batch import InBatch
from pipeline.training.trainer import CountsPairs, DevEvaluator, on_one_gpu, rates, run_trainer

PROJECTION = r"\b1\.linear\."
"""Names of the weights that map a token to its embedding; the second module of a ColBERT."""

SHORTER = 0.999  # times a token vector, before it is clustered


class _Trainer(Resumable, CountsPairs, SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's trainer, with our checkpoints."""

    def pairs_in(self, batch: Mapping[str, Any]) -> int:
        """Count the passages, which are tokenised column by column."""
        tokens = {name: value for name, value in batch.items() if name.endswith("_input_ids")}
        del tokens["query_input_ids"]
        return sum(len(passages) for passages in tokens.values())


class ColbertReranker:
    """Scores are sums over query tokens of the best cosine with a passage token."""

    def __init__(
        self,
        folder: Path,
        config: ColbertConfig,
        hardware: Hardware,
        batch_size: int,
        dedicated: bool = False,
    ) -> None:
        """Load ``folder``; a projection that it lacks is drawn from torch's random state.

        A ``dedicated`` checkpoint keeps its own token size and query expansion.

        Raises:
            InputError: the files of the model name code, or it has pickled weights.
        """
        check_modules(folder)
        self._hardware = hardware
        self._batch_size = batch_size
        self._temperature = config.temperature
        self._training_length = config.training_tokens
        own = {
            "embedding_size": config.embedding_size,
            "do_query_expansion": config.query_expansion,
        }
        self.model = ColBERT(
            str(folder),
            device=hardware.device,
            query_length=config.query_length,
            document_length=config.document_length,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            **({} if dedicated else own),
        )
        if not dedicated:
            # A prompt of the encoder's former task would be put before queries and passages alike.
            self.model.default_prompt_name = None
        self.token_size = int(self.model.get_sentence_embedding_dimension())
        self._forward: Callable[[Features], torch.Tensor] | None = None  # of queries; None: torch

    def by_openvino(self, int8: bool = False) -> Self:
        """Return this reranker with its queries embedded by OpenVINO.

        Passages are embedded by torch, in large batches, in which OpenVINO gains nothing. ``int8``
        rounds the weights of the copy to 8 bits. Later training does not change the copy.
        """
        # Imported here, as this takes a second and torch is the default.
        from pipeline.rerankers.openvino_forward import OpenVinoForward, convert

        example = self.model.tokenize(["a query", "another, longer query"], is_query=True)
        converted = convert(self.model, example, "token_embeddings")
        machine, pad_id = self._hardware, self.model.tokenizer.pad_token_id
        forward = OpenVinoForward(converted, machine.precision, machine.threads, pad_id, int8)
        forward.prepare(self.model.query_length)
        other = copy(self)
        other._forward = forward
        return other

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Compute MaxSim, shape (len(pairs),). Every query and passage is embedded once."""
        doc_ids = list(dict.fromkeys(doc_id for _, doc_id in pairs))
        with live_line("score pairs", "passage", total=len(doc_ids), hidden=not progress) as bar:

            def read(some: Sequence[str]) -> list[torch.Tensor]:
                return self.embed_passages([passages[doc_id] for doc_id in some], bar)

            return score_blocks(queries, self.embed_queries, pairs, doc_ids, read)

    def embed_queries(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Embed each query as a (tokens, size) tensor of unit vectors, as PyLate's ``encode`` does.

        That walks over all modules in each call, a sixth of the time of a single query.
        """
        model = self.model.eval() if self.model.training else self.model
        prompt = model.prompts.get(model.default_prompt_name) or ""
        forward = self._forward or self._by_torch
        embedded: dict[int, torch.Tensor] = {}
        by_length = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(texts), self._batch_size):
            places = by_length[start : start + self._batch_size]
            tokens = model.tokenize([prompt + texts[i] for i in places], is_query=True)
            kept = tokens["attention_mask"].bool()
            if model.do_query_expansion:
                kept = torch.ones_like(kept)
            vectors = forward(tokens)
            embedded |= {i: _unit(vectors[n][kept[n]]) for n, i in enumerate(places)}
        return [embedded[i] for i in range(len(texts))]

    @torch.no_grad()
    def _by_torch(self, tokens: Features) -> torch.Tensor:
        """Compute the token vectors of queries, shape (queries, tokens, size)."""
        with self._hardware.autocast_query():
            vectors: torch.Tensor = self.model(self._hardware.moved(tokens))["token_embeddings"]
        return vectors

    def embed_passages(
        self, texts: Sequence[str], bar: "tqdm[Any] | None" = None
    ) -> list[torch.Tensor]:
        """Embed each passage as a (tokens, size) fp32 tensor of unit vectors; ``bar`` counts them.

        Passages of similar lengths go together, so that a batch pads little.
        """
        passages = [first_words(text, self.model.document_length) for text in texts]
        by_length = sorted(range(len(passages)), key=lambda i: -len(passages[i]))
        # Threads share the tokenizer, and for a prompt PyLate sets it anew.
        at_once = 1 if self.model.default_prompt_name else side_by_side(self._hardware)

        def encode(places: Sequence[int]) -> list[torch.Tensor]:
            tokens = self.model.encode(
                [passages[i] for i in places],
                batch_size=self._batch_size,
                is_query=False,
                convert_to_tensor=True,
                normalize_embeddings=False,
                show_progress_bar=False,
            )
            return list(map(_unit, tokens))

        batches = cut(by_length, self._batch_size * (1 if at_once > 1 else 8), at_once)
        if len(batches) > 1:
            self.model.tokenize(["a text"], is_query=False)  # Sets the tokenizer before them.
        encoded = chain(*compute(encode, batches, self._hardware, at_once, bar=bar))
        in_order = sorted(zip(by_length, encoded, strict=True), key=lambda found: found[0])
        return [vectors for _, vectors in in_order]

    def pool(self, passages: Sequence[torch.Tensor], factor: int) -> list[torch.Tensor]:
        """Merge the tokens of each passage to one in ``factor``, by PyLate's clustering.

        The first token remains. A merged vector is the mean of its tokens, shorter than 1.
        """
        # Rounded vectors can have a cosine above 1, and the clustering refuses its distance.
        shorter = [tokens * SHORTER for tokens in passages]
        pooled = self.model.pool_embeddings_hierarchical(shorter, factor)
        return [tokens / SHORTER for tokens in pooled]

    def fit(self, request: FitRequest) -> Effort:
        """Train in place with one of ``config.models.COLBERT_LOSSES``.

        The contrastive loss takes the other passages of a batch as negatives, too, but for
        those that are relevant to the query.
        """
        arguments = on_one_gpu(SentenceTransformerTrainingArguments(**request.arguments))
        arguments.learning_rate_mapping = rates(PROJECTION, request.head_learning_rate)
        rows, longest, in_batch = training_rows(
            request, Path(arguments.output_dir), arguments.per_device_train_batch_size
        )
        # ColBERT does not use the pooler of BERT, which gets no gradient.
        arguments.ddp_find_unused_parameters = any(
            "pooler" in name for name, _ in self.model.named_parameters()
        )
        with adapters(self.model[0], "auto_model", request.lora_rank):
            trainer = _Trainer(
                model=self.model,
                args=arguments,
                train_dataset=rows,
                loss=self._loss(request.loss, in_batch),
                evaluator=DevEvaluator(request.dev_score) if request.dev_score else None,
                data_collator=ShortCollator(
                    self._tokenize_for_training, self.model.do_query_expansion
                ),
            )
            effort = run_trainer(trainer, request, longest)
        self.model.eval()
        return effort

    def _loss(self, name: str, in_batch: InBatch) -> torch.nn.Module:
        if name == "distillation":
            # Scaled to 0..1 by PyLate, they could not follow a teacher's of a wider range.
            return cast(torch.nn.Module, Distillation(self.model, normalize_scores=False))
        return ContrastiveLoss(self.model, in_batch, self._temperature)

    def _tokenize_for_training(self, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        """Tokenize by PyLate at the length of training; dev scores keep the length of serving."""
        serving = self.model.document_length
        self.model.document_length = self._training_length
        try:
            tokens: dict[str, torch.Tensor] = self.model.tokenize(*arguments, **options)
        finally:
            self.model.document_length = serving
        return tokens

    def save(self, folder: Path) -> None:
        """Write a folder for ``pylate.models.ColBERT(folder)``."""
        self.model.save_pretrained(str(folder), create_model_card=False)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Give vectors unit length in fp32: in half precision it would be off by up to 0.5%."""
    return normalize(vectors.float(), dim=1)
