"""Define the settings of the LanceDB table and of full-text search."""

from dataclasses import dataclass, field

from pipeline.config.bounds import at_least, one_of

TOKENIZERS = ("simple", "whitespace", "raw", "ngram", "icu", "icu/split")
LANGUAGES = (
    "Arabic",
    "Danish",
    "Dutch",
    "English",
    "Finnish",
    "French",
    "German",
    "Greek",
    "Hungarian",
    "Italian",
    "Norwegian",
    "Portuguese",
    "Romanian",
    "Russian",
    "Spanish",
    "Swedish",
    "Tamil",
    "Turkish",
)


@dataclass
class FtsConfig:
    """How full-text search makes terms of a text, in the words of LanceDB's FTS index."""

    tokenizer: str = "simple"  # icu: also scripts without spaces, such as Chinese
    language: str = "English"  # of stemming and stop words
    stem: bool = True
    remove_stop_words: bool = True
    stop_words: list[str] | None = None  # null: those of the language; English keeps single letters
    ngram_min: int = 3  # letters of a term, only for tokenizer=ngram
    ngram_max: int = 3

    def __post_init__(self) -> None:
        one_of("index.fts.tokenizer", self.tokenizer, TOKENIZERS)
        one_of("index.fts.language", self.language, LANGUAGES)
        at_least("index.fts.ngram_min", self.ngram_min, 1)
        at_least("index.fts.ngram_max", self.ngram_max, self.ngram_min)


@dataclass
class IndexConfig:
    """The LanceDB table."""

    batch_size: int = 2048  # passages embedded and written at a time, bounds memory
    vector_index_above: int = 50_000  # passages; exact search up to here
    # Passages that every search finds before fusion and cut; more if more are reranked.
    hybrid_depth: int = 100
    fts: FtsConfig = field(default_factory=FtsConfig)

    def __post_init__(self) -> None:
        at_least("index.batch_size", self.batch_size, 1)
        at_least("index.vector_index_above", self.vector_index_above, 0)
        at_least("index.hybrid_depth", self.hybrid_depth, 1)
