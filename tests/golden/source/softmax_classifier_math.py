import numpy as np


def log_of_sum(shifted, axis):
    """log Σ e^z where the largest z is 0, by log1p of the others where they are small beside 1."""
    e = np.exp(shifted)
    total = np.sum(e, axis=axis, keepdims=True)
    alone = (total < 1.5) & (total >= 1)
    others = np.sum(e * (shifted < 0), axis=axis, keepdims=True)
    return np.where(alone, np.log1p(others), np.log(total))


def class_cross_entropy(z, target, axis):
    """−log softmax(z) of the target class, along the axis; target holds class numbers."""
    target = np.asarray(target)
    shifted = z - np.max(z, axis=axis, keepdims=True)
    chosen = np.take_along_axis(shifted, np.expand_dims(target, axis), axis)
    losses = log_of_sum(shifted, axis) - chosen
    return losses.reshape(target.shape)[()]


def softmax(z, axis=None):
    """e^z / Σ e^z along the axis; less the largest entry, e^z does not overflow."""
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def one_hot(target, classes, axis, dtype=float):
    """Ones at the target classes along the axis, zeros elsewhere."""
    target = np.asarray(target)
    out = np.zeros((target.size, classes), dtype)
    out[np.arange(target.size), target.reshape(-1)] = 1
    return np.moveaxis(out.reshape(*target.shape, classes), -1, axis)


def softmax_classifier_and_gradients(W, b, X, y):
    """J = softmax_classifier(W, b, X, y), and dJ/dW, dJ/db, forward and backward.

        W  (3, 4)
        b  (4,)
        X  (5, 3)
        y  (5,) of int64

    Returns J, dW, db. A gradient has the shape of what it belongs to.
    """
    assert W.shape == (3, 4) and b.shape == (4,) and X.shape == (5, 3) and y.shape == (5,)

    # forward
    Z = np.dot(X, W) + b                    # (5, 4)
    J = np.mean(class_cross_entropy(Z, y, axis=1))

    # backward
    m = y.shape[0]
    dZ = 1.0 / m * (softmax(Z, axis=1) - one_hot(y, 4, axis=1))  # (5, 4)
    db = np.sum(dZ, axis=0)                                      # (4,)
    dW = np.dot(X.T, dZ)                                         # (3, 4)

    return J, dW, db
