"""scikit-learn estimators whose derivatives come from this engine: their constructors, attributes and results.

They need scikit-learn: pip install "tinygrad-edu[examples]".

>>> from sklearn.datasets import load_iris
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from tinygrad_edu.estimators import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> network = MLPClassifier(hidden_layer_sizes=(5, 2), activation="logistic", solver="lbfgs", tol=1e-3, max_iter=500,
...                         random_state=3)
>>> bool(make_pipeline(StandardScaler(), network).fit(X, y).score(X, y) > 0.95)
True
"""

from ..errors import MissingExtraError as _MissingExtraError

try:
    from sklearn.utils.validation import validate_data as _validate_data  # noqa: F401
except ImportError as _error:
    raise _MissingExtraError("tinygrad_edu.estimators: these are scikit-learn estimators, and scikit-learn 1.6 or newer is not "
                             f'installed ({_error}). Install it: pip install "tinygrad-edu[examples]"') from None

from .linear import LinearRegression, LogisticRegression
from .networks import MLPClassifier, MLPRegressor

__all__ = ["LinearRegression", "LogisticRegression", "MLPClassifier", "MLPRegressor"]
