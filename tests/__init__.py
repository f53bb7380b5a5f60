"""The tests. What the shell of whoever runs them says changes nothing."""

import gc
import os

gc.disable()  # until everything is imported, see pytest_collection_finish
for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ |= {
    "TERM": "xterm",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
os.environ.setdefault("HF_HUB_OFFLINE", "1")
