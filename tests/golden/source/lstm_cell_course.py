import numpy as np


def sigmoid(z):
    """σ(z) = 1 / (1 + e^−z), entry by entry."""
    with np.errstate(over="ignore"):  # e^800 is inf, and 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-z))


def lstm_cell_and_gradients(W, b, x, h, c):
    """J = lstm_cell(W, b, x, h, c), and dJ/dW, dJ/db, forward and backward.

        W  (12, 5)
        b  (12, 1)
        x  (2, 4)
        h  (3, 4)
        c  (3, 4)

    Returns J, dW, db. A gradient has the shape of what it belongs to.
    """
    assert W.shape == (12, 5) and b.shape == (12, 1) and x.shape == (2, 4) and h.shape == (3, 4)
    assert c.shape == (3, 4)

    # forward
    t1 = np.concatenate([h, x], axis=0)     # (5, 4)
    z = np.dot(W, t1) + b                   # (12, 4)
    i = sigmoid(z[:3])                      # (3, 4)
    f = sigmoid(z[3:6])                     # (3, 4)
    o = sigmoid(z[6:9])                     # (3, 4)
    g = np.tanh(z[9:])                      # (3, 4)
    c_next = f * c + i * g                  # (3, 4)
    t2 = np.tanh(c_next)                    # (3, 4)
    h_next = o * t2                         # (3, 4)
    J = np.sum(h_next * h_next)

    # backward
    dh_next = 2 * h_next                    # (3, 4)
    do = dh_next * t2                       # (3, 4)
    dc_next = dh_next * o * (1 - t2 ** 2)   # (3, 4)
    di = dc_next * g                        # (3, 4)
    dg = dc_next * i                        # (3, 4)
    df = dc_next * c                        # (3, 4)
    dz = np.zeros(z.shape)                  # (12, 4)
    dz[9:] += dg * (1 - g ** 2)
    dz[6:9] += do * o * (1 - o)
    dz[3:6] += df * f * (1 - f)
    dz[:3] += di * i * (1 - i)
    db = np.sum(dz, axis=1, keepdims=True)  # (12, 1)
    dW = np.dot(dz, t1.T)                   # (12, 5)

    return J, dW, db
