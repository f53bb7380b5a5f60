"""List the valid keys and suggest one for a typo."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_type_hints

Keys = Mapping[str, tuple[str, ...]]
"""Key -> the options of its group that have it, ``("beir", "labelled")``; () if in no group."""

BY_REFERENCE = "model"  # the option of base that a reference becomes: conf/base/model.yaml
SHOWN = 3  # suggestions at most

OTHERS = {
    "base": "a trained run is base=run:NAME, any other model base=ORG/NAME or a folder",
    "embedder": "any other is embedder.path=ORG/NAME or a folder",
}
"""Group -> how to name what is none of its options."""


def known_keys(schema: type[Any], groups: Mapping[str, type[Any]]) -> Keys:
    """List the keys of ``schema`` and of its ``groups``, ``{"dataset/beir": BeirConfig}``."""
    whole = {path.split("/")[0] for path in groups}
    keys: dict[str, tuple[str, ...]] = {
        key: () for key, _ in _keys(schema) if key.split(".")[0] not in whole
    }
    for path, options in groups.items():
        group, option = path.split("/")
        for key, _ in _keys(options, f"{group}."):
            keys[key] = (*keys.get(key, ()), option)
    return keys


def text_keys(schema: type[Any], groups: Mapping[str, type[Any]]) -> frozenset[str]:
    """List the keys of ``schema`` and of its ``groups`` whose value is a text."""
    found = [*_keys(schema)]
    for path, options in groups.items():
        found += _keys(options, f"{path.split('/')[0]}.")
    return frozenset(key for key, kind in found if kind in (str, str | None))


def _keys(schema: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key with its type."""
    for name, kind in get_type_hints(schema).items():
        if is_dataclass(kind):
            yield from _keys(kind, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{name}", kind


def added(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys that ``+key=value`` added to a dataclass beside its fields."""
    own = {field.name for field in fields(config)}
    for name, value in vars(config).items():
        if name not in own:
            yield f"{prefix}{name}"
        elif is_dataclass(value):
            yield from added(value, f"{prefix}{name}.")


def no_such_option(group: str, option: str, options: Sequence[str]) -> str:
    """Describe an unknown option of a group in one line, with a similar one.

    ``BY_REFERENCE`` is left out.
    """
    options = [name for name in options if name != BY_REFERENCE]
    close = get_close_matches(option, options, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    others = f"; {OTHERS[group]}" if group in OTHERS else ""
    return f"{group}={option}: none of {', '.join(options)}{others}{hint}"


def no_such_key(key: str, known: Keys) -> str:
    """Describe an unknown key in one line: the option that has it, or similar keys."""
    if options := known.get(key):
        return f"{key}: a key of {key.split('.')[0]}={', '.join(options)} only"
    meant = " or ".join(_close(key, known))
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{key}: no such key{hint} (python -m pipeline run --help lists the keys)"


def _close(key: str, known: Keys) -> list[str]:
    """Find keys like ``key``, also by their last part and its initials: lr, learning_rate."""
    forms: dict[str, list[str]] = {}
    for name in known:
        path, dot, last = name.rpartition(".")
        initials = "".join(word[:1] for word in last.split("_"))
        for form in (name, last, f"{path}{dot}{initials}", initials):
            forms.setdefault(form, []).append(name)
    close = [key] if key in forms else get_close_matches(key, forms, n=SHOWN)
    return list(dict.fromkeys(name for form in close for name in forms[form]))[:SHOWN]
