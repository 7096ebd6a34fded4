"""Training: epochs of mini-batches, with what is watched, saved and resumed around them.

>>> import tinygrad_edu as tg
>>> from tinygrad_edu import data, nn, optim
>>> X, Y = data.moons(200, noise=0.1, rng=0)
>>> model = nn.Sequential(nn.Linear(2, 16, rng=0), nn.Tanh(), nn.Linear(16, 2, rng=1))
>>> history = tg.fit(model, (X, Y), tg.cross_entropy, optim.Adam(model, lr=0.05), epochs=20, rng=0, metrics="accuracy",
...                  progress=False)
>>> history["accuracy"][-1] > 0.95
True
"""

from .history import EarlyStopping, History
from .loop import fit

__all__ = ["EarlyStopping", "History", "fit"]
