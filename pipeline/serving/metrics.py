"""What the server counts and times, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pipeline.rerankers.batching import ScoredBatch

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
PAIRS = (1, 4, 16, 64, 256, 1024)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "reranker_requests",
            "Answered requests, without those to /health and /metrics.",
            ["status"],
            registry=registry,
        )
        self.documents = Counter(
            "reranker_documents", "Documents of requests that were scored.", registry=registry
        )
        self.queue_seconds = Histogram(
            "reranker_queue_seconds",
            "Seconds that a request waited to be scored.",
            buckets=SECONDS,
            registry=registry,
        )
        self.scoring_seconds = Histogram(
            "reranker_scoring_seconds",
            "Seconds that a batch was scored.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_requests = Histogram(
            "reranker_batch_requests", "Requests of a batch.", buckets=PAIRS, registry=registry
        )
        self.batch_pairs = Histogram(
            "reranker_batch_pairs",
            "Pairs of query and document of a batch.",
            buckets=PAIRS,
            registry=registry,
        )

    def observe(self, batch: ScoredBatch) -> None:
        """Count a batch that was scored."""
        for seconds in batch.waited:
            self.queue_seconds.observe(seconds)
        self.scoring_seconds.observe(batch.seconds)
        self.batch_requests.observe(len(batch.waited))
        self.batch_pairs.observe(batch.pairs)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
