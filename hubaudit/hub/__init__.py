"""The only package that talks to the Hub, always through huggingface_hub's own session.

huggingface_hub reads its environment when it is first imported, and Python runs this file before any
module of the package: so the two settings that hubaudit relies on are made here, and only where the
user has not decided otherwise. It fails without a word for the user on an endpoint that is no URL, so
that is looked at here as well.

- `HF_HUB_DISABLE_XET`: hf_xet downloads outside of Python's transports, where no time-out, retry,
  progress or cassette of ours reaches it.
- `HF_HUB_DISABLE_TELEMETRY`: huggingface_hub 2.x otherwise sends a request nobody asked for.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from hubaudit.errors import ConfigError

try:
    urlsplit(os.environ.get("HF_ENDPOINT", ""))
except ValueError as error:
    raise ConfigError(
        f"HF_ENDPOINT is no URL: {error}", hint="unset it, or set it to a Hub's address"
    ) from None

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
