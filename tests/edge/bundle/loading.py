"""Loading a bundle that must not run."""

from pathlib import Path
from typing import Any

import pytest

from edge.bundle import bundle
from edge.bundle.trusted import TrustedKeys
from edge.errors import BundleError, SignatureError


def refused(path: Path, trust: TrustedKeys, said: str, error: type[BundleError] = SignatureError, **more: Any) -> None:
    with pytest.raises(error, match=said) as caught:
        bundle.load(path, trust=trust, **more)
    assert "\n" not in str(caught.value) and type(caught.value) is error
