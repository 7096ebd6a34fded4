import numpy as np


def leaky_relu(z, slope):
    """z where z > 0, slope · z elsewhere."""
    return np.where(z > 0, z, slope * z)


def softmax(z, axis=None):
    """e^z / Σ e^z along the axis; less the largest entry, e^z does not overflow."""
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def deep_and_gradients(Ws, X, Y):
    """J = deep(Ws, X, Y), and dJ/dWs_0, dJ/dWs_1, dJ/dWs_2, forward and backward.

        Ws_0  (4, 3)
        Ws_1  (3, 4)
        Ws_2  (2, 3)
        X     (3, 6)
        Y     (2, 6)

    Returns J, dWs. A gradient has the shape of what it belongs to.
    In the convention of the notes: dZ is of one example's loss, and the 1/m comes with dW.
    """
    Ws_0 = Ws[0]
    Ws_1 = Ws[1]
    Ws_2 = Ws[2]
    assert Ws_0.shape == (4, 3) and Ws_1.shape == (3, 4) and Ws_2.shape == (2, 3)
    assert X.shape == (3, 6) and Y.shape == (2, 6)
    assert np.allclose(np.sum(Y, axis=0), 1)

    # forward
    m = X.shape[1]
    Z1 = np.dot(Ws_0, X)                    # (4, 6)
    A1 = leaky_relu(Z1, slope=0.01)         # (4, 6)
    Z2 = np.dot(Ws_1, A1)                   # (3, 6)
    A2 = leaky_relu(Z2, slope=0.01)         # (3, 6)
    Z3 = np.dot(Ws_2, A2)                   # (2, 6)
    A3 = softmax(Z3, axis=0)                # (2, 6)
    J = -np.sum(Y * np.log(A3)) / m

    # backward
    dZ3 = A3 - Y                                               # (2, 6)
    dWs_2 = np.dot(dZ3, A2.T) / m                              # (2, 3)
    dZ2 = np.dot(Ws_2.T, dZ3) * ((Z2 > 0) + 0.01 * (Z2 <= 0))  # (3, 6)
    dWs_1 = np.dot(dZ2, A1.T) / m                              # (3, 4)
    dZ1 = np.dot(Ws_1.T, dZ2) * ((Z1 > 0) + 0.01 * (Z1 <= 0))  # (4, 6)
    dWs_0 = np.dot(dZ1, X.T) / m                               # (4, 3)
    dWs = [dWs_0, dWs_1, dWs_2]

    return J, dWs
