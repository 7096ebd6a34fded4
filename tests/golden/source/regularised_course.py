import numpy as np


def sigmoid(z):
    """σ(z) = 1 / (1 + e^−z), entry by entry."""
    with np.errstate(over="ignore"):  # e^800 is inf, and 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-z))


def regularised_and_gradients(params, X, Y, lambd):
    """J = regularised(params, X, Y, lambd), and its gradients, forward and backward.

        W1     (4, 2)
        b1     (4, 1)
        W2     (1, 4)
        b2     (1, 1)
        X      (2, 5)
        Y      (1, 5)
        lambd  a number

    Returns J, dparams. A gradient has the shape of what it belongs to.
    In the convention of the notes: dZ is of one example's loss, and the 1/m comes with dW.
    """
    W1 = params["W1"]
    b1 = params["b1"]
    W2 = params["W2"]
    b2 = params["b2"]
    assert W1.shape == (4, 2) and b1.shape == (4, 1) and W2.shape == (1, 4) and b2.shape == (1, 1)
    assert X.shape == (2, 5) and Y.shape == (1, 5)

    # forward
    m = X.shape[1]
    Z1 = np.dot(W1, X) + b1                 # (4, 5)
    A1 = np.maximum(Z1, 0)                  # (4, 5)
    Z2 = np.dot(W2, A1) + b2                # (1, 5)
    A2 = sigmoid(Z2)                        # (1, 5)
    cross_entropy = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    penalty = lambd / 10 * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
    J = cross_entropy + penalty

    # backward
    dZ2 = A2 - Y                                  # (1, 5)
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m  # (1, 1)
    dW2 = np.dot(dZ2, A1.T) / m + lambd * W2 / m  # (1, 4)
    dZ1 = np.dot(W2.T, dZ2) * (Z1 > 0)            # (4, 5)
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m  # (4, 1)
    dW1 = np.dot(dZ1, X.T) / m + lambd * W1 / m   # (4, 2)
    dparams = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    return J, dparams
