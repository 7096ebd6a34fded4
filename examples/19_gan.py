"""A generative adversarial network: one network makes numbers, another tells them from real ones (M132).

    D(x) = σ(u(x)): the share of real ones among numbers like x, as the discriminator sees it
    J_D = −1/m Σ ln D(x⁽ⁱ⁾) − 1/m Σ ln(1 − D(G(z⁽ⁱ⁾)))        the discriminator's cost
    minimax        J_G = 1/m Σ ln(1 − D(G(z⁽ⁱ⁾)))               ∂J_G/∂u = −D/m: nothing where D ≈ 0, where G is worst
    not saturating J_G = −1/m Σ ln D(G(z⁽ⁱ⁾))                   ∂J_G/∂u = (D − 1)/m: most where G is worst

The discriminator looks at G(z) detached: its cost must not move G. The generator's cost goes through D to G. Two backward
passes from one recorded G(z); neither disturbs the other. For a generator that is held fast the best discriminator is
known, D* = p/(p + q) with the densities of real and made numbers; where q = p it is ½, and J_D = 2 ln 2 (Goodfellow et
al. 2014).

The real numbers are N(4, 0.5²); z is N(0, 1). Hand formulas in columns, the networks of nn layers in rows.

Run: python examples/19_gan.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn, optim

MEAN, DEVIATION = 4.0, 0.5


def real(m: int, rng):
    """m real numbers, a column (m, 1)."""
    return MEAN + DEVIATION * rng.standard_normal((m, 1))


def density(x, mean: float, deviation: float):
    """That of N(mean, deviation²)."""
    return np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))


def networks(seed: int = 0):
    """Generator and discriminator, 1 – 16 – 1 and 1 – 16 – 16 – 1; D returns u, before σ."""
    rng = np.random.default_rng(seed)
    G = nn.Sequential(nn.Linear(1, 16, rng=rng), nn.Tanh(), nn.Linear(16, 1, rng=rng))
    D = nn.Sequential(nn.Linear(1, 16, rng=rng), nn.LeakyReLU(0.2), nn.Linear(16, 16, rng=rng), nn.LeakyReLU(0.2),
                      nn.Linear(16, 1, rng=rng))
    return G, D


def discriminator_cost(u_real, u_made):
    """−1/m Σ ln σ(u) of the real ones, −1/m Σ ln(1 − σ(u)) of those made; ln(1 − σ(u)) = ln σ(−u)."""
    return -np.mean(tg.log_sigmoid(u_real)) - np.mean(tg.log_sigmoid(-u_made))


def minimax_cost(u_made):
    """1/m Σ ln(1 − D)."""
    return np.mean(tg.log_sigmoid(-u_made))


def generator_cost(u_made):
    """−1/m Σ ln D."""
    return -np.mean(tg.log_sigmoid(u_made))


# ---------------------------------------------------------------- by hand


def small(seed: int = 3):
    """A generator a z + b, a discriminator w2 tanh(w1 x + b1) + b2 of four units, eight real numbers and eight z."""
    rng = np.random.default_rng(seed)
    p = {"a": rng.standard_normal((1, 1)), "b": rng.standard_normal((1, 1)), "w1": rng.standard_normal((4, 1)),
         "b1": rng.standard_normal((4, 1)), "w2": rng.standard_normal((1, 4)), "b2": rng.standard_normal((1, 1))}
    return p, real(8, rng).T, rng.standard_normal((1, 8))


def discriminator(p, x):
    """u (1, m) of x (1, m)."""
    return p["w2"] @ np.tanh(p["w1"] @ x + p["b1"]) + p["b2"]


def discriminator_by_hand(p, x, z):
    """The slopes of J_D by w1, b1, w2, b2: those of logistic regression, with the answers 1 for real and 0 for made."""
    m = x.shape[1]
    both = np.concatenate([x, p["a"] @ z + p["b"]], axis=1)
    answers = np.concatenate([np.ones((1, m)), np.zeros((1, m))], axis=1)
    A = np.tanh(p["w1"] @ both + p["b1"])
    du = (tg.sigmoid(discriminator(p, both)) - answers) / m
    dZ = p["w2"].T @ du * (1 - A**2)
    return dZ @ both.T, np.sum(dZ, axis=1, keepdims=True), du @ A.T, np.sum(du, axis=1, keepdims=True)


def generator_by_hand(p, z, minimax: bool):
    """The slopes of J_G by a and b: back through the discriminator to its input."""
    x = p["a"] @ z + p["b"]
    D = tg.sigmoid(discriminator(p, x))
    du = (-D if minimax else D - 1) / z.shape[1]
    dx = p["w1"].T @ (p["w2"].T @ du * (1 - np.tanh(p["w1"] @ x + p["b1"]) ** 2))
    return dx @ z.T, np.sum(dx, axis=1, keepdims=True)


def check() -> None:
    """The slopes of all costs, by hand and by two backward passes through one recorded G(z)."""
    start, x, z = small()
    p = {name: Tensor(value, name=name) for name, value in start.items()}
    made = p["a"] @ z + p["b"]
    discriminator_cost(discriminator(p, x), discriminator(p, made.detach())).backward()
    assert p["a"].grad is None and p["b"].grad is None  # detached: this pass does not reach the generator
    rows = zip(("w1", "b1", "w2", "b2"), discriminator_by_hand(start, x, z), strict=True)
    side_by_side("the discriminator", *((f"∂J_D/∂{name}", hand, p[name].grad) for name, hand in rows))

    u = discriminator(p, made)
    for name, cost, minimax in (("minimax", minimax_cost, True), ("not saturating", generator_cost, False)):
        for parameter in (p["a"], p["b"]):
            parameter.grad = None
        cost(u).backward()  # through D to G, twice through the same graph
        rows = zip(("a", "b"), generator_by_hand(start, z, minimax), strict=True)
        side_by_side(f"the generator, {name}", *((f"∂J_G/∂{name}", hand, p[name].grad) for name, hand in rows))


# ---------------------------------------------------------------- training


def train(G, D, updates: int, cost=generator_cost, m: int = 128, seed: int = 1, learning_rate: float = 0.005):
    """One update of D, one of G, in turn. Returns at each update: J_D, J_G, mean and spread of what is made."""
    rng = np.random.default_rng(seed)
    opt_G = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(learning_rate, T_max=updates), betas=(0.5, 0.9))
    opt_D = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(learning_rate, T_max=updates), betas=(0.5, 0.9))

    def judging(d, x, made):
        return discriminator_cost(nn.functional_call(D, d, x), nn.functional_call(D, d, made))

    def making(g, d, z):
        made = nn.functional_call(G, g, z)
        return cost(nn.functional_call(D, d, made)), made

    step_D = tg.jit(tg.value_and_grad(judging))
    step_G = tg.jit(tg.value_and_grad(making, has_aux=True))
    make = tg.jit(lambda g, z: nn.functional_call(G, g, z))
    g, d = G.parameter_dict(), D.parameter_dict()
    state_G, state_D, course = opt_G.init(g), opt_D.init(d), []
    for _ in range(updates):
        J_D, slopes = step_D(d, real(m, rng), make(g, rng.standard_normal((m, 1))))
        d, state_D = opt_D.update(d, slopes, state_D)
        (J_G, made), slopes = step_G(g, d, rng.standard_normal((m, 1)))
        g, state_G = opt_G.update(g, slopes, state_G)
        course.append((float(J_D), float(J_G), float(made.mean()), float(made.std())))
    G.load_state_dict(g)
    D.load_state_dict(d)
    return np.array(course)


def sample(G, m: int = 10000, seed: int = 99):
    """m made numbers."""
    with tg.no_grad():
        return np.asarray(G(np.random.default_rng(seed).standard_normal((m, 1)))).reshape(-1)


def judged(D, x):
    """D(x) = σ(u)."""
    with tg.no_grad():
        return np.asarray(tg.sigmoid(D(x.reshape(-1, 1)))).reshape(-1)


def best_discriminator(updates: int = 1000, m: int = 2000, seed: int = 5):
    """A discriminator trained against numbers made by N(3, 1), which stay as they are. Returns x, D(x), D*(x)."""
    rng = np.random.default_rng(seed)
    _, D = networks(seed)
    optimizer = optim.Adam(D, lr=optim.cosine_annealing_lr(0.01, T_max=updates))
    for _ in range(updates):
        optimizer.zero_grad()
        discriminator_cost(D(real(m, rng)), D(3 + rng.standard_normal((m, 1)))).backward()
        optimizer.step()
    x = np.linspace(2, 5, 61)
    p, q = density(x, MEAN, DEVIATION), density(x, 3, 1)
    return x, judged(D, x), p / (p + q)


# ---------------------------------------------------------------- figures


def draw_course(figure, course, before, G, D) -> None:
    """What is made, its mean and spread, and the two costs."""
    left, middle, right = figure.subplots(1, 3)
    x = np.linspace(-1.5, 6.5, 400)
    bins = np.linspace(-1.5, 6.5, 81)
    left.hist(before, bins, density=True, color="C7", alpha=0.4, label="made at first")
    left.hist(sample(G), bins, density=True, color="C0", alpha=0.6, label="made at last")
    left.plot(x, density(x, MEAN, DEVIATION), "k", linewidth=1.5, label="real, N(4, 0.5²)")
    left.plot(x, judged(D, x), "C1--", label="D(x) at last")
    left.set(title="what is made", xlabel="x", ylim=(0, 1.7))
    left.legend(fontsize=9, loc="upper right")
    for values, color, name in zip(course.T[2:], ("C0", "C2"), ("mean", "spread"), strict=True):
        middle.plot(values, color=color, linewidth=0.8, label=name)
    for value in (MEAN, DEVIATION):
        middle.axhline(value, color="k", linestyle=":", linewidth=1)
    middle.set(title="mean and spread; dotted: of real numbers", xlabel="update")
    middle.legend()
    middle.grid(alpha=0.3)
    for values, color, name in zip(course.T[:2], ("C3", "C4"), ("J_D", "J_G"), strict=True):
        right.plot(values, color=color, linewidth=0.8, label=name)
    for value, name, up in ((2 * np.log(2), "2 ln 2", 4), (np.log(2), "ln 2", -14)):
        right.axhline(value, color="k", linestyle=":", linewidth=1)
        right.annotate(name, (len(course), value), (-4, up), textcoords="offset points", ha="right")
    right.set(title="the two costs come to a draw", xlabel="update", ylim=(0, 3))
    right.legend()
    right.grid(alpha=0.3)


def draw_best(figure) -> None:
    """A trained discriminator beside the best one."""
    ax = figure.subplots()
    x, found, best = best_discriminator()
    ax.plot(x, found, color="C0", linewidth=2, label="D(x), trained")
    ax.plot(x, best, "k--", label="p/(p + q)")
    ax.set(title="real N(4, 0.5²) against N(3, 1): the best discriminator", xlabel="x", ylabel="D")
    ax.legend()
    ax.grid(alpha=0.3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    check()

    print("\na generator far off, so that D is sure: the mean |∂J_G/∂u| of 100 examples, times 100")
    u = np.full((100, 1), -6.0)
    for name, cost in (("minimax", minimax_cost), ("not saturating", generator_cost)):
        print(f"  {name:<15} {100 * np.abs(tg.grad(cost)(u)).mean():.4f}   where D = {tg.sigmoid(-6.0):.4f}")

    x, found, best = best_discriminator()
    print("\nreal N(4, 0.5²) against N(3, 1) that stays: D after training, and p/(p + q)")
    for i in (10, 20, 30, 40, 50):
        print(f"  x = {x[i]:.1f}   {found[i]:.3f}   {best[i]:.3f}")
    print(f"  mean difference from x = 2 to 5: {np.abs(found - best).mean():.3f}")

    G, D = networks()
    before = sample(G)
    course = train(G, D, 3000)
    made = sample(G)
    print("\n             mean   spread   (10000 numbers)")
    print(f"  at first {before.mean():6.3f}   {before.std():6.3f}")
    print(f"  at last  {made.mean():6.3f}   {made.std():6.3f}")
    print(f"  real     {MEAN:6.3f}   {DEVIATION:6.3f}")
    J_D, J_G = course[-200:, :2].mean(axis=0)
    print(f"costs over the last 200 updates: J_D = {J_D:.3f} (a draw is 2 ln 2 = {2 * np.log(2):.3f}), "
          f"J_G = {J_G:.3f} (ln 2 = {np.log(2):.3f})")
    print(f"D where real numbers are, x from 3 to 5: {judged(D, np.linspace(3, 5, 21)).mean():.2f} in the mean")
    if options.plot:
        save(options.plot, {"gan": (lambda figure: draw_course(figure, course, before, G, D), (12, 4)),
                            "best_discriminator": (draw_best, (6, 3.8))})


if __name__ == "__main__":
    main()
