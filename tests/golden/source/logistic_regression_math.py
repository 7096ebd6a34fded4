import numpy as np


def sigmoid(z):
    """σ(z) = 1 / (1 + e^−z), entry by entry."""
    with np.errstate(over="ignore"):  # e^800 is inf, and 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-z))


def logistic_regression_and_gradients(w, b, X, Y):
    """J = logistic_regression(w, b, X, Y), and dJ/dw, dJ/db, forward and backward.

        w  (2, 1)
        b  a number
        X  (2, 5)
        Y  (1, 5)

    Returns J, dw, db. A gradient has the shape of what it belongs to.
    """
    assert w.shape == (2, 1) and X.shape == (2, 5) and Y.shape == (1, 5)

    # forward
    m = X.shape[1]
    Z = np.dot(w.T, X) + b                  # (1, 5)
    A = sigmoid(Z)                          # (1, 5)
    J = -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    # backward
    t1 = -1 / m
    dA = t1 * Y / A - t1 * (1 - Y) / (1 - A)  # (1, 5)
    dZ = dA * A * (1 - A)                     # (1, 5)
    db = np.sum(dZ)
    dw = np.dot(dZ, X.T).T.copy()             # (2, 1)

    return J, dw, db
