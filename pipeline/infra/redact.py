"""What of a configuration or a message may be shown: no secrets."""

import json
import re
from collections.abc import Mapping

SECRET = re.compile(
    r"(?i)token$|password|passwd|passphrase|secret|credential|(api|access|private)[_-]?key"
)
# Up to the last @ of a word: a password may hold a slash. A path with an @ is masked as well then.
URI_PASSWORD = re.compile(r"(://[^\s/:@]*):[^\s@]*(?:@[^\s@]*(?=@))*@")
QUERY_PASSWORD = re.compile(
    r"(?i)([?&](?:[\w-]*(?:token|secret|passw(?:or)?d|passphrase|pwd|key|sig|signature))=)[^&\s]+"
)


def flatten(config: Mapping[str, object]) -> dict[str, str]:
    """A nested configuration as dotted keys; values as Hydra overrides would write them.

    Lists become JSON, None ``null``, an empty mapping ``{}``. What stands under a key that
    looks like a secret (token, password, api_key, ...) is left out, passwords in URIs are masked.
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if SECRET.search(key):
            continue
        if isinstance(value, Mapping) and value:
            flat |= {f"{key}.{rest}": text for rest, text in flatten(value).items()}
        else:
            flat[key] = mask(value if isinstance(value, str) else _json(value))
    return flat


def mask(text: str) -> str:
    """``text`` with the passwords of URIs (``user:password@``, ``?token=``) as ``***``."""
    return QUERY_PASSWORD.sub(r"\1***", URI_PASSWORD.sub(r"\1:***@", text))


def _json(value: object) -> str:
    return json.dumps(_public(value), ensure_ascii=False, default=str)


def _public(value: object) -> object:
    """Lists and mappings without what flatten leaves out."""
    if isinstance(value, Mapping):
        return {k: _public(v) for k, v in value.items() if not SECRET.search(str(k))}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return value
