"""ColBERT by PyLate: query and passage are embedded apart, token by token, and scored by MaxSim.

Only PyLate's own loader is used, so a checkpoint keeps the projection it was trained with. Weights
are fp32, whatever the file holds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pylate.losses import Distillation
from pylate.models import ColBERT
from pylate.scores import colbert_scores
from pylate.utils import ColBERTCollator
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from pipeline.config.models import ColbertConfig
from pipeline.infra.console import live_line
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Effort, FitRequest, Scores
from pipeline.rerankers.contrastive import ContrastiveLoss
from pipeline.rerankers.words import first_words
from pipeline.training.adapters import adapters
from pipeline.training.checkpoints import Resumable
from pipeline.training.examples import training_rows
from pipeline.training.in_batch import InBatch
from pipeline.training.trainer import CountsPairs, DevEvaluator, on_one_gpu, rates, run_trainer

PROJECTION = r"\b1\.linear\."
"""Names of the weights that map a token to its embedding; the second module of a ColBERT."""

BLOCK = 4096  # passages whose token vectors are held at a time, bounds memory


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
        """
        self._hardware = hardware
        self._batch_size = batch_size
        self._temperature = config.temperature
        self._training_length = config.training_document_length or config.document_length
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

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Compute MaxSim, shape (len(pairs),). Every query and passage is embedded once."""
        scores = np.empty(len(pairs), dtype=np.float32)
        query_ids = list(dict.fromkeys(query_id for query_id, _ in pairs))
        query_tokens = dict(
            zip(query_ids, self._embed([queries[q] for q in query_ids], True), strict=True)
        )
        words = self.model.document_length
        passages = {d: first_words(passages[d], words) for d in {d for _, d in pairs}}
        # Passages are sorted by length, so that a batch pads little.
        doc_ids = sorted(passages, key=lambda d: (-len(passages[d]), d))
        places: dict[str, list[int]] = {doc_id: [] for doc_id in doc_ids}
        for index, (_, doc_id) in enumerate(pairs):
            places[doc_id].append(index)
        with live_line("score pairs", "passage", total=len(doc_ids), hidden=not progress) as bar:
            for start in range(0, len(doc_ids), BLOCK):
                block = doc_ids[start : start + BLOCK]
                tokens = self._embed([passages[d] for d in block], False, bar)
                by_query: dict[str, list[tuple[int, int]]] = {}
                for position, doc_id in enumerate(block):
                    for index in places[doc_id]:
                        by_query.setdefault(pairs[index][0], []).append((index, position))
                for query_id, members in by_query.items():
                    documents = [tokens[position] for _, position in members]
                    scores[[index for index, _ in members]] = _maxsim(
                        query_tokens[query_id], documents
                    )
        return scores

    def _embed(
        self, texts: Sequence[str], is_query: bool, bar: "tqdm[Any] | None" = None
    ) -> list[torch.Tensor]:
        """Embed each text as a (tokens, size) tensor."""
        embedded: list[torch.Tensor] = []
        step = self._batch_size * 8
        with self._hardware.autocast():
            for start in range(0, len(texts), step):
                part = list(texts[start : start + step])
                embedded += self.model.encode(
                    part,
                    is_query=is_query,
                    batch_size=self._batch_size,
                    convert_to_tensor=True,
                    convert_to_numpy=False,
                    show_progress_bar=False,
                )
                if bar is not None:
                    bar.update(len(part))
        return embedded

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
                data_collator=ColBERTCollator(self._tokenize_for_training),
            )
            effort = run_trainer(trainer, request, longest)
        self.model.eval()
        return effort

    def _loss(self, name: str, in_batch: InBatch) -> torch.nn.Module:
        if name == "distillation":
            distillation: torch.nn.Module = Distillation(self.model)
            return distillation
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

    def parameters(self) -> int:
        """Count the weights of the model."""
        return sum(weights.numel() for weights in self.model.parameters())


def _maxsim(query: torch.Tensor, documents: list[torch.Tensor]) -> Scores:
    """Compute MaxSim, shape (len(documents),); padding has zero vectors and is masked."""
    padded = pad_sequence([document.float() for document in documents], batch_first=True)
    lengths = torch.tensor([len(document) for document in documents], device=padded.device)
    mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
    scores = colbert_scores(query.float()[None], padded, documents_mask=mask)[0]
    result: Scores = scores.cpu().numpy()
    return result
