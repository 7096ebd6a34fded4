"""What every test has: the same seeds each time, and figures that open no window."""

from __future__ import annotations

import os
import random

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib; subprocesses inherit it

import hypothesis
import numpy as np
import pytest

# The same examples on every run. To search further: pytest --hypothesis-profile=explore
hypothesis.settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=60)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def same_seeds() -> None:
    """The global generators start alike in every test, for the peers and estimators that read them."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of this test's own; the numbers do not depend on which tests ran before."""
    return np.random.default_rng(2026)
