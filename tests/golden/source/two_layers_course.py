import numpy as np


def sigmoid(z):
    """σ(z) = 1 / (1 + e^−z), entry by entry."""
    with np.errstate(over="ignore"):  # e^800 is inf, and 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-z))


def two_layers_and_gradients(W1, b1, W2, b2, X, Y):
    """J = two_layers(W1, b1, W2, b2, X, Y), and its gradients, forward and backward.

        W1  (4, 2)
        b1  (4, 1)
        W2  (1, 4)
        b2  (1, 1)
        X   (2, 5)
        Y   (1, 5)

    Returns J, dW1, db1, dW2, db2. A gradient has the shape of what it belongs to.
    In the convention of the notes: dZ is of one example's loss, and the 1/m comes with dW.
    """
    assert W1.shape == (4, 2) and b1.shape == (4, 1) and W2.shape == (1, 4) and b2.shape == (1, 1)
    assert X.shape == (2, 5) and Y.shape == (1, 5)

    # forward
    Z1 = np.dot(W1, X) + b1                 # (4, 5)
    A1 = np.tanh(Z1)                        # (4, 5)
    Z2 = np.dot(W2, A1) + b2                # (1, 5)
    A2 = sigmoid(Z2)                        # (1, 5)
    J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))

    # backward
    m = X.shape[1]
    dZ2 = A2 - Y                                  # (1, 5)
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m  # (1, 1)
    dW2 = np.dot(dZ2, A1.T) / m                   # (1, 4)
    dZ1 = np.dot(W2.T, dZ2) * (1 - A1 ** 2)       # (4, 5)
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m  # (4, 1)
    dW1 = np.dot(dZ1, X.T) / m                    # (4, 2)

    return J, dW1, db1, dW2, db2
