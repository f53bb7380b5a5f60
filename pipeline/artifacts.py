"""Stage outputs on disk, in folders named by a hash of what determines them.

A folder is built under a temporary name and renamed when complete, so a half-written one is
never read; whoever asks for the same content later, in this run or the next, finds it there.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path


def content_key(inputs: Mapping[str, object]) -> str:
    """16 hex digits of the sha256 of ``inputs`` as canonical JSON (keys sorted)."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stage_output(
    cache: Path, stage: str, inputs: Mapping[str, object], build: Callable[[Path], None]
) -> Path:
    """The folder ``cache/stage/KEY``, filled by ``build(folder)`` unless it exists.

    ``inputs`` must hold everything that the content depends on; it is kept in the folder as
    ``inputs.json``. If ``build`` raises, nothing is left behind.
    """
    final = cache / stage / content_key(inputs)
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
    try:
        build(temporary)
        (temporary / "inputs.json").write_text(json.dumps(inputs, indent=2, sort_keys=True))
        temporary.chmod(0o755)
        try:
            temporary.rename(final)
        except OSError:  # another process was faster with the same content
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final
