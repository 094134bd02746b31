from __future__ import annotations

import numpy as np
import pytest

from brainclock.config import PrepareSettings
from brainclock.io.volume import Volume
from brainclock.prepare.chain import prepare_volume
from brainclock.prepare.extract import extract_brain
from brainclock.prepare.prepared import PreparedScan
from brainclock.simulate.head import simulate_head


@pytest.fixture(scope="session")
def head() -> Volume:
    return simulate_head(3, spacing_mm=2.0)


@pytest.fixture(scope="session")
def brain_mask(head: Volume) -> np.ndarray:
    """As deepbet finds it: the networks take seconds, so the tests share the mask."""
    return extract_brain(head.data, np.linalg.inv(head.affine))


@pytest.fixture(scope="session")
def prepared(head: Volume, brain_mask: np.ndarray) -> PreparedScan:
    return prepare_volume(head, PrepareSettings(), mask=brain_mask)
