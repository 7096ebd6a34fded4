"""nn: modules, layers, first values, models as functions; rows of the checklist that concern networks, by number.

That every layer gives PyTorch's numbers, forward and backward, was checked against PyTorch itself; the small references
here are written out in plain NumPy, so that the tests need NumPy alone.
"""

from __future__ import annotations

import copy
import inspect
import math
import threading
import warnings
from collections import OrderedDict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.errors import DTypeError, LogitsWarning, NamesError, ShapeError, UnsupportedError
from tinygrad_edu.nn import activations as activation_layers


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    left, right = np.asarray(getattr(left, "data", left)), np.asarray(getattr(right, "data", right))
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def deep(sizes: list[int], activation: Any = nn.Tanh, rng: Any = 0, **kwargs: Any) -> nn.Sequential:
    """Linear layers with an activation between."""
    source = np.random.default_rng(rng) if isinstance(rng, int) else rng
    layers: list[Any] = []
    for n, k in pairwise(sizes):
        layers += [nn.Linear(n, k, rng=source, **kwargs), activation()]
    return nn.Sequential(*layers[:-1])


class Holder(nn.Module):
    """Parameters and parts in every kind of place."""

    def __init__(self) -> None:
        self.first = nn.Linear(2, 3, rng=0)
        self.scale = Tensor(2.0)
        self.layers = [nn.Linear(3, 3, rng=1), {"deep": (nn.Linear(3, 3, rng=2),)}]
        self.table = {"b": Tensor(np.zeros(3))}
        self.kept: Any = None
        self.constant = np.ones(3)
        self.rate = 0.5

    def forward(self, x: Any) -> Any:
        x = self.first(x) * self.scale + self.table["b"] + self.constant
        inner = self.layers[1]
        assert isinstance(inner, dict)
        self.kept = inner["deep"][0](self.layers[0](x))  # type: ignore[operator]
        return self.kept


NAMES = ["scale", "table.b", "first.weight", "first.bias", "layers.0.weight", "layers.0.bias", "layers.1.deep.0.weight",
         "layers.1.deep.0.bias"]


# ---------------------------------------------------------------- modules

def test_parameters_are_found_where_they_are_held() -> None:
    model = Holder()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert [name for name, _ in model.named_parameters("net")] == [f"net.{name}" for name in NAMES]
    model(np.ones((4, 2)))
    assert [name for name, _ in model.named_parameters()] == NAMES, "a kept result is no parameter"
    model.kept = model.kept.detach()
    assert [name for name, _ in model.named_parameters()] == NAMES, "nor is its detached value"
    assert [type(m).__name__ for m in model.modules()] == ["Holder", "Linear", "Linear", "Linear"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "layers.0", "layers.1.deep.0"]
    assert [name for name, _ in model.named_children()] == ["first", "layers.0", "layers.1.deep.0"]
    assert len(list(model.children())) == 3 and len(list(model.parameters())) == 8
    assert model.hyperparameters()["rate"] == 0.5


def test_a_frozen_parameter_stays_one() -> None:
    model = nn.Linear(2, 2, rng=0).requires_grad_(False)
    assert len(list(model.parameters())) == 2
    assert not getattr(model(np.ones((1, 2))), "requires_grad", False)
    model.requires_grad_()
    assert model(np.ones((1, 2))).requires_grad


def test_what_is_shared_comes_once() -> None:
    layer = nn.Linear(3, 3, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"], "saved under both names, as PyTorch"
    assert list(model.parameter_dict()) == ["0.weight", "0.bias"]
    state = model.state_dict()
    model.load_state_dict(state)
    with pytest.raises(ValueError, match=r"0.weight and 2.weight are one and the same in Sequential, and differ"):
        model.load_state_dict({**state, "2.weight": state["2.weight"] + 1})


def test_M129_a_shared_weight_gets_the_sum_over_its_uses(rng: np.random.Generator) -> None:
    layer, X = nn.Linear(3, 3, rng=0), rng.normal(size=(5, 3))
    model = nn.Sequential(layer, nn.Tanh(), layer)
    copies = deep([3, 3, 3], nn.Tanh)
    for part in (copies[0], copies[2]):
        part.load_state_dict(layer.state_dict())
    for each in (model, copies):
        (each(X) ** 2).sum().backward()
    close(layer.weight.grad, copies[0].weight.grad + copies[2].weight.grad)
    slopes = tg.grad(lambda p: (nn.functional_call(model, p, X) ** 2).sum())(model.parameter_dict())
    close(slopes["0.weight"], layer.weight.grad)


def test_a_part_that_holds_its_whole_is_not_entered_again() -> None:
    model = nn.Sequential(nn.Linear(2, 2, rng=0))
    model[0].whole = model
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert nn.functional_call(model, {"0.bias": np.zeros(2)}, np.ones((1, 2))).shape == (1, 2)


def test_train_eval_zero_grad() -> None:
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Sequential(nn.Dropout(0.5, rng=0)))
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert model.train() is model and all(m.training for m in model.modules())
    model(np.ones((1, 2))).sum().backward()
    assert model[0].weight.grad is not None
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_texts() -> None:
    assert repr(nn.Sequential(nn.Linear(2, 3, rng=0, bias=False), nn.LeakyReLU(), tg.relu)) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=False)\n  (1): LeakyReLU(negative_slope=0.01)\n"
        "  (2): relu\n)")
    assert repr(Holder()).startswith("Holder(\n  rate=0.5\n  (first): Linear(in_features=2, out_features=3, bias=True)\n")
    assert repr(nn.Conv2d(1, 2, 3, padding=1, rng=0)) == "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"
    assert repr(nn.LSTM(3, 4, num_layers=2, rng=0)) == "LSTM(3, 4, num_layers=2)"


def test_readers_name_the_parameters() -> None:
    model, X = deep([2, 3, 1]), np.ones((4, 2))
    J = (model(X) ** 2).mean()
    said = str(tg.explain(J))
    assert "model.0.weight" in said and "dmodel.2.bias" in said


def test_no_forward() -> None:
    with pytest.raises(NotImplementedError, match="it has no forward"):
        nn.Module()(1)


def test_containers_of_modules() -> None:
    items = nn.ModuleList([nn.Linear(2, 2, rng=0)]).append(nn.Tanh())
    items.extend([nn.Linear(2, 1, rng=1)])
    assert len(items) == 3 and [name for name, _ in items.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(items[1:]) == 2 and isinstance(items[0], nn.Linear)
    items[0] = nn.Linear(2, 2, bias=False, rng=3)
    assert [name for name, _ in items.named_parameters()] == ["0.weight", "2.weight", "2.bias"]
    heads = nn.ModuleDict({"a": nn.Linear(2, 2, rng=0)})
    heads["b"] = nn.Linear(2, 1, rng=0)
    assert list(heads) == ["a", "b"] and "a" in heads and len(heads.items()) == len(heads.values()) == len(heads.keys()) == 2
    named = nn.Sequential(OrderedDict(first=nn.Linear(2, 2, rng=0), act=nn.ReLU()))
    assert [name for name, _ in named.named_parameters()] == ["first.weight", "first.bias"] and named["act"] is named[1]
    assert len(named.append(np.tanh)) == 3
    with pytest.raises(DTypeError, match=r"Sequential: item 1 is .*Write ReLU\(\.\.\.\), with brackets"):
        nn.Sequential(nn.Linear(1, 1, rng=0), nn.ReLU)


def test_a_copy_has_weights_of_its_own() -> None:
    model = deep([2, 3, 1])
    other = copy.deepcopy(model)
    other[0].weight.data += 1.0
    assert not np.array_equal(other[0].weight.data, model[0].weight.data)
    assert repr(other) == repr(model)


# ---------------------------------------------------------------- state

def test_state_goes_round() -> None:
    model, other = Holder(), Holder()
    other.apply(lambda m: None).reset_parameters(rng=9)
    state = model.state_dict()
    assert list(state) == NAMES
    other.load_state_dict(state)
    close(other(np.ones((4, 2))), model(np.ones((4, 2))), 0)
    state["scale"][...] = 7
    assert model.scale.item() == 2, "a state is a copy"


def snapshot(model: nn.Module) -> dict[str, np.ndarray]:
    return model.state_dict()


@pytest.mark.parametrize(("change", "error", "text"), [
    (lambda s: s.pop("first.bias"), NamesError, "without first.bias"),
    (lambda s: s.update(extra=np.ones(1)), NamesError, "unknown extra"),
    (lambda s: s.update({"first.wieght": s.pop("first.weight")}), NamesError, "Did you mean first.weight for first.wieght"),
    (lambda s: s.update({"first.weight": s["first.weight"].T}), ShapeError, r"has shape \(3, 2\), the state \(2, 3\)"),
    (lambda s: s.update({"table.b": np.zeros(3, int)}), DTypeError, "table.b has dtype float64, the state int64"),
    (lambda s: s.update({"table.b": np.array(["a", "b", "c"])}), DTypeError, "no array of real numbers"),
    (lambda s: s.update({"table.b": np.zeros(3, complex)}), DTypeError, "no array of real numbers"),
])
def test_a_wrong_state_changes_nothing(change: Any, error: type, text: str) -> None:
    model = Holder()
    before, state = snapshot(model), {name: array + 1 for name, array in snapshot(model).items()}
    change(state)
    with pytest.raises(error, match=text):
        model.load_state_dict(state)
    assert all(np.array_equal(before[name], array) for name, array in snapshot(model).items())


def test_states_in_part_and_in_other_dtypes() -> None:
    model = nn.Linear(2, 3, rng=0)
    bias = model.bias.numpy()
    model.load_state_dict({"weight": np.ones((3, 2), "float32"), "nothing": 1}, strict=False)
    assert model.weight.dtype == np.float64 and np.all(model.weight.data == 1) and np.array_equal(model.bias.data, bias)
    with pytest.raises(DTypeError, match=r"weight has dtype float32, the state float64.*astype\('float32'\)"):
        nn.Linear(2, 3, dtype="float32", rng=0).load_state_dict(model.state_dict())
    with pytest.raises(DTypeError, match="must be a dict of arrays by name"):
        model.load_state_dict([1])  # type: ignore[arg-type]


def test_a_graph_from_before_loading_is_stale() -> None:
    model = nn.Linear(2, 1, rng=0)
    J = model(np.ones((1, 2))).sum()
    model.load_state_dict(model.state_dict())
    with pytest.raises(tg.errors.StaleError):
        J.backward()


def test_buffers() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            self.register_buffer("seen", np.zeros(2))
            self.register_buffer("scratch", np.zeros(2), persistent=False)
            self.register_buffer("none", None)

    model = Counter()
    assert list(dict(model.named_buffers())) == ["seen", "scratch"] and list(model.state_dict()) == ["seen"]
    assert len(list(model.buffers())) == 2 and list(model.buffer_dict()) == ["seen", "scratch"]
    assert not list(model.parameters())
    model.load_state_dict({"seen": np.ones(2)})
    assert np.array_equal(model.seen, [1, 1])  # type: ignore[attr-defined]
    with pytest.raises(DTypeError, match="is a Tensor, and would be a parameter"):
        model.register_buffer("t", Tensor(1.0))


# ---------------------------------------------------------------- models as functions

def test_functional_call_leaves_the_model_alone(rng: np.random.Generator) -> None:
    model, X = Holder(), rng.normal(size=(4, 2))
    before, y = snapshot(model), model(X).numpy()
    kept = model.kept
    params = model.parameter_dict()
    close(nn.functional_call(model, params, X), y, 0)
    other = {name: array * 2 for name, array in params.items()}
    twin = Holder()
    twin.load_state_dict(other)
    close(nn.functional_call(model, other, X), twin(X), 0)
    close(nn.functional_call(model, {"scale": 3.0}, X), nn.functional_call(model, {**params, "scale": np.array(3.0)}, X), 0)
    assert model.kept is kept and all(np.array_equal(before[k], v) for k, v in snapshot(model).items())


def test_functional_call_checks_names_and_shapes() -> None:
    model = nn.Sequential(nn.Linear(2, 3, rng=0))
    with pytest.raises(NamesError, match=r"Sequential has no parameter '0.wieght'. Did you mean '0.weight'"):
        nn.functional_call(model, {"0.wieght": np.ones((3, 2))}, np.ones((1, 2)))
    with pytest.raises(ShapeError, match=r"0.weight has shape \(3, 2\) in the model, and \(2, 3\)"):
        nn.functional_call(model, {"0.weight": np.ones((2, 3))}, np.ones((1, 2)))
    shared = nn.Sequential(layer := nn.Linear(2, 2, rng=0), layer)
    with pytest.raises(ValueError, match=r"0.weight and 1.weight are one shared parameter"):
        nn.functional_call(shared, shared.state_dict(), np.ones((1, 2)))


def test_gradients_and_hessians_of_models_agree_with_backward(rng: np.random.Generator) -> None:
    model, X, Y = deep([2, 3, 1]), rng.normal(size=(5, 2)), rng.normal(size=(5, 1))

    def cost(params: dict[str, Any]) -> Any:
        return tg.mse(nn.functional_call(model, params, X), Y)

    params = model.parameter_dict()
    value, slopes = tg.value_and_grad(cost)(params)
    J = tg.mse(model(X), Y)
    J.backward()
    close(value, J, 0)
    for name, p in model.named_parameters():
        close(slopes[name], p.grad)
    H = tg.hessian(cost)(params)
    assert H["0.weight"]["2.bias"].shape == (3, 2, 1)
    close(H["0.weight"]["0.bias"].reshape(6, 3), H["0.bias"]["0.weight"].reshape(3, 6).T)
    assert tg.check_gradients(cost, params)


def test_parameters_made_of_parameters_keep_their_graph() -> None:
    """A step inside a gradient (meta-learning): the parameters given are results, and l2 in forward counts them."""

    class Penalised(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(1, 1, rng=0)

        def forward(self, x: Any) -> Any:
            return (self.inner(x) ** 2).sum() + nn.l2(self)

    model, x = Penalised(), np.ones((3, 1))

    def after_a_step(rate: Any) -> Any:
        params = model.parameter_dict()
        slopes = tg.grad(lambda p: nn.functional_call(model, p, x))(params)
        return nn.functional_call(model, {k: params[k] - rate * slopes[k] for k in params}, x)

    assert tg.check_gradients(after_a_step, 0.05)
    params = model.parameter_dict()
    close(nn.functional_call(model, params, x), model(x), 1e-15)
    close(nn.functional_call(model, {k: 2 * v for k, v in params.items()}, x), 4 * model(x).data)


def test_methods_kept_as_attributes_follow() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.w = Tensor([1.0, 2.0])
            self.call = self.product

        def product(self, x: Any) -> Any:
            return self.w * x

        def forward(self, x: Any) -> Any:
            return self.call(x)

    close(nn.functional_call(Net(), {"w": np.array([3.0, 4.0])}, 2.0), np.array([6.0, 8.0]))


def test_functional_call_in_threads() -> None:
    model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1, rng=1))
    X, before = np.random.default_rng(0).normal(size=(20, 2)), model.state_dict()
    results: dict[int, Any] = {}

    def work(k: int) -> None:
        params = {name: array * k for name, array in model.parameter_dict().items()}
        for _ in range(20):
            results[k] = nn.functional_call(model, params, X).copy()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(1, 5):
        work_alone = nn.functional_call(model, {n: a * k for n, a in model.parameter_dict().items()}, X)
        close(results[k], work_alone, 0)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_jit_of_a_training_step_with_batch_norm(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1, rng=1))

    def cost(params: Any, buffers: Any, X: Any, Y: Any) -> Any:
        out, new = nn.functional_call(model, params, X, buffers=buffers, return_buffers=True)
        return tg.mse(out, Y), new

    eager = tg.value_and_grad(cost, has_aux=True)
    fast = tg.jit(eager)
    params, buffers = model.parameter_dict(), model.buffer_dict()
    for _ in range(4):
        X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
        (v, new), slopes = eager(params, buffers, X, Y)
        (w, new_fast), slopes_fast = fast(params, buffers, X, Y)
        close(v, w)
        for name in slopes:
            close(slopes[name], slopes_fast[name])
        for name in new:
            close(new[name], new_fast[name])
            assert not np.array_equal(new[name], buffers[name])
        params = {name: params[name] - 0.1 * slopes[name] for name in params}
        buffers = new_fast
    assert fast.cache_info().currsize == 1 and fast.cache_info().hits == 3


def test_jit_notices_what_happens_to_a_model() -> None:
    X = np.random.default_rng(0).normal(size=(6, 2))
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=0), nn.Linear(4, 1, rng=1)).eval()
    for fast in (tg.jit(lambda x: model(x)), tg.jit(model), tg.jit(model.forward)):
        for happens in (lambda: None,
                        lambda: model.load_state_dict({k: v + 0.5 for k, v in model.state_dict().items()}),
                        lambda: (model.train(), model(X), model.eval()),
                        lambda: setattr(model[0].bias, "data", np.ones(4)),
                        lambda: optim.SGD(model, lr=0.1).step()):
            happens()
            close(fast(X), model(X))
        model.train()
        with pytest.raises(UnsupportedError, match="BatchNorm1d: while a function is traced"):
            fast(X)
        model.eval()


def test_jit_notices_new_data_of_tensors() -> None:
    w, table, row, x = Tensor([1.0, 2.0]), {"w": Tensor([1.0, 2.0])}, [Tensor([1.0, 2.0])], np.ones(2)
    for f, held in ((lambda x: w * x, w), (lambda x: table["w"] * x, table["w"]), (lambda x: np.exp(row[0]) * x, row[0])):
        fast = tg.jit(f)
        for _ in range(3):
            close(fast(x), f(x))
            held.data = held.data + 1
            close(fast(x), f(x))
            held.data *= 0.5


def test_masks_indices_and_buffers_are_arguments_under_jit(rng: np.random.Generator) -> None:
    norm = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3)).eval()
    fast = tg.jit(lambda b, x: nn.functional_call(norm, {}, x, buffers=b))
    for k in range(3):
        buffers, x = {name: array + k for name, array in norm.buffer_dict().items()}, rng.normal(size=(4, 2))
        close(fast(buffers, x), nn.functional_call(norm, {}, x, buffers=buffers))
    assert fast.cache_info().misses == 1
    attention, x = nn.MultiheadAttention(4, 2, batch_first=True, rng=0), rng.normal(size=(2, 3, 4))
    fast = tg.jit(lambda x, mask: nn.functional_call(attention, {}, x, x, x, key_padding_mask=mask)[0])
    mask = np.array([[False, False, True], [False, True, False]])
    for hidden in (mask, ~mask, mask[::-1].copy()):
        close(fast(x, hidden), attention(x, x, x, key_padding_mask=hidden)[0])
    table = nn.Embedding(6, 3, padding_idx=0, rng=0)
    slope = tg.grad(lambda p, i: (nn.functional_call(table, p, i) ** 2).sum())
    fast = tg.jit(slope)
    for index in (np.array([[0, 1], [2, 3]]), np.array([[5, 0], [4, 4]])):
        close(fast(table.parameter_dict(), index)["weight"], slope(table.parameter_dict(), index)["weight"])


def test_models_as_arguments() -> None:
    X, model = np.ones((3, 2)), deep([2, 3, 1])
    fast = tg.jit(lambda m, x: m(x))
    for _ in range(3):
        close(fast(model, X), model(X))
        model.load_state_dict({name: array + 1 for name, array in model.state_dict().items()})
    with pytest.raises(DTypeError, match=r"a model, and a derivative is one of numbers.*nn.functional_call\(model"):
        tg.grad(lambda m: m(X).sum())(model)


def test_dropout_under_jit_takes_its_generator_as_an_argument() -> None:
    model, X = nn.Sequential(nn.Dropout(0.5, rng=0), nn.Linear(50, 1, rng=0)), np.ones((3, 50))
    with pytest.raises(UnsupportedError, match="Dropout: while a function is traced, zeros drawn from the layer's own"):
        tg.jit(lambda x: model(x))(X)
    fast = tg.jit(lambda p, x, rng: nn.functional_call(model, p, x, rng=rng))
    params, a, b = model.parameter_dict(), np.random.default_rng(1), np.random.default_rng(1)
    drawn = [fast(params, X, a) for _ in range(3)]
    for y in drawn:
        close(y, nn.functional_call(model, params, X, rng=b))
    assert not np.array_equal(drawn[1], drawn[2])


# ---------------------------------------------------------------- layers

def test_linear(rng: np.random.Generator) -> None:
    layer = nn.Linear(3, 2, rng=0)
    X = rng.normal(size=(4, 5, 3))
    close(layer(X), X @ layer.weight.numpy().T + layer.bias.numpy())
    close(layer([[1, 2, 3]]), np.array([[1, 2, 3]]) @ layer.weight.numpy().T + layer.bias.numpy())
    assert layer(X[0, 0]).shape == (2,) and nn.Linear(3, 2, bias=False, rng=0).bias is None
    assert nn.Linear(3, 2, dtype="float32", rng=0)(X.astype("float32")).dtype == np.float32
    assert tg.check_gradients(lambda p: (nn.functional_call(layer, p, X) ** 2).sum(), layer.parameter_dict())


@pytest.mark.parametrize(("x", "text"), [
    (np.ones((5, 4)), r"Linear\(3, 2\): x \(5, 4\): the last axis must be of size 3, the features."),
    (np.ones((3, 5)), r"if examples are columns, use x.T"),
    (np.ones((5, 1, 3, 1)), r"Put nn.Flatten\(\) before it"),
    (2.0, "the last axis must be of size 3"),
])
def test_linear_says_what_does_not_fit(x: Any, text: str) -> None:
    with pytest.raises(ShapeError, match=text):
        nn.Linear(3, 2, rng=0)(x)


def test_linear_after_a_recurrent_layer() -> None:
    with pytest.raises(DTypeError, match="x is a tuple, as recurrent layers and attention return it"):
        nn.Sequential(nn.GRU(2, 3, rng=0), nn.Linear(3, 1, rng=0))(np.ones((4, 1, 2)))


@pytest.mark.parametrize("make", [
    lambda: nn.Linear(2.5, 1), lambda: nn.Linear(-1, 1), lambda: nn.Conv2d(1, 1, 0), lambda: nn.Conv2d(1, 1, (3, 3, 3)),
    lambda: nn.Conv2d(3, 4, 3, groups=2), lambda: nn.GroupNorm(3, 4), lambda: nn.MultiheadAttention(7, 2),
    lambda: nn.RNN(0, 1), lambda: nn.Embedding(True, 2)])
def test_sizes_are_checked(make: Any) -> None:
    with pytest.raises(ShapeError):
        make()


def test_dtypes_are_checked() -> None:
    with pytest.raises(DTypeError, match="Linear: dtype int64 has no derivatives"):
        nn.Linear(1, 1, dtype=int)
    with pytest.raises(DTypeError, match=r"pass a np.random.Generator, or a seed"):
        nn.Linear(1, 1, rng=0.5)


LAYERS: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...]]] = {
    "linear": (lambda **k: nn.Linear(6, 2, **k), (3, 6), (3, 2)),
    "conv1d": (lambda **k: nn.Conv1d(2, 3, 3, **k), (2, 2, 7), (2, 3, 5)),
    "conv2d": (lambda **k: nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, **k), (2, 2, 5, 6), (2, 4, 3, 3)),
    "conv_transpose1d": (lambda **k: nn.ConvTranspose1d(2, 3, 2, 2, **k), (2, 2, 3), (2, 3, 6)),
    "conv_transpose2d": (lambda **k: nn.ConvTranspose2d(2, 3, 2, 2, **k), (2, 2, 3, 3), (2, 3, 6, 6)),
    "layer_norm": (lambda rng=0, **k: nn.LayerNorm((2, 3), **k), (4, 2, 3), (4, 2, 3)),
    "rms_norm": (lambda rng=0, **k: nn.RMSNorm(6, **k), (4, 6), (4, 6)),
    "group_norm": (lambda rng=0, **k: nn.GroupNorm(2, 4, **k), (3, 4, 5), (3, 4, 5)),
    "batch_norm1d": (lambda rng=0, **k: nn.BatchNorm1d(4, **k), (5, 4), (5, 4)),
    "batch_norm2d": (lambda rng=0, **k: nn.BatchNorm2d(2, **k), (3, 2, 3, 2), (3, 2, 3, 2)),
    "prelu": (lambda rng=0, **k: nn.PReLU(3, **k), (4, 3), (4, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, rng: np.random.Generator) -> None:
    """Shapes, gradients in parameters and input, float32, and the same numbers from the same seed."""
    make, given, result = LAYERS[name]
    layer, x = make(rng=3), rng.normal(size=given)
    assert layer(x).shape == result
    weights = rng.normal(size=result)

    def cost(params: Any, x: Any) -> Any:
        return (nn.functional_call(layer, params, x) * weights).sum()

    assert tg.check_gradients(cost, layer.parameter_dict(), x)
    again = make(rng=3)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(layer.parameters(), again.parameters(), strict=True))
    half = make(rng=3, dtype=np.float32)
    y = half(x.astype(np.float32))
    y.sum().backward()
    assert y.dtype == np.float32 and all(p.dtype == p.grad.dtype == np.float32 for p in half.parameters())
    layer.reset_parameters(rng=5)
    assert all(np.isfinite(p.data).all() for p in layer.parameters())


@pytest.mark.parametrize("name", [n for n in activation_layers.__all__ if n != "PReLU"])
def test_activations_are_the_functions(name: str, rng: np.random.Generator) -> None:
    layer = getattr(nn, name)()
    x = rng.normal(size=(3, 4))
    called = inspect.getsource(type(layer).forward).partition("ops.")[2].partition("(")[0]
    close(layer(x), getattr(tg, called)(x), 0)
    assert isinstance(layer(Tensor(x)), Tensor)
    assert tuple(inspect.signature(type(layer)).parameters) == tuple(layer.hyperparameters())


def test_options_of_activations() -> None:
    x = np.array([[-2.0, 0.5, 3.0]])
    close(nn.LeakyReLU(0.2)(x), np.array([[-0.4, 0.5, 3.0]]))
    close(nn.Softmax(0)(x), np.ones((1, 3)))
    close(nn.Hardtanh(-1, 2)(x), np.array([[-1.0, 0.5, 2.0]]))
    close(nn.GELU("tanh")(x), tg.gelu(x, approximate="tanh"), 0)


def test_embedding() -> None:
    table = nn.Embedding(5, 3, padding_idx=1, rng=0)
    assert np.all(table.weight.data[1] == 0)
    table([[1, 2], [2, 0]]).sum().backward()
    close(table.weight.grad, np.array([[1.0], [0], [2], [0], [0]]) * np.ones(3))
    with pytest.raises(DTypeError, match="Use integers"):
        table([0.5])
    with pytest.raises(IndexError, match="run from 0 to 5, and rows count from 0 to 4"):
        table([0, 5])
    one_hot = nn.Linear(5, 3, bias=False, rng=0)
    one_hot.load_state_dict({"weight": table.weight.data.T})
    close(one_hot(tg.one_hot([3, 0], 5)), table([3, 0]))


def test_dropout() -> None:
    x = np.ones((100, 100))
    layer = nn.Dropout(0.3, rng=0)
    y = layer(x)
    assert abs(np.mean(y == 0) - 0.3) < 0.02 and np.allclose(np.unique(y), [0, 1 / 0.7])
    assert not np.array_equal(layer(x), y), "other zeros at each call"
    close(nn.Dropout(0.3, rng=0)(x), y, 0)
    assert np.array_equal(layer.eval()(x), x)
    with pytest.raises(ValueError, match=r"nothing is drawn from a global one\. Make the layer with rng=0"):
        nn.Dropout(0.3)(x)
    close(nn.functional_call(nn.Dropout(0.3), {}, x, rng=0), y, 0)
    planes = nn.Dropout2d(0.5, rng=0)(np.ones((4, 6, 3, 3)))
    assert all(np.ptp(plane) == 0 for plane in planes.reshape(24, 9)) and 0 < np.mean(planes == 0) < 1
    with pytest.raises(ValueError, match="is no probability"):
        nn.Dropout(1.5)


def test_flatten_and_unflatten() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12) and nn.Flatten(0, 1)(x).shape == (6, 4) and nn.Identity(3)(x) is x
    close(nn.Unflatten(1, (3, 4))(nn.Flatten()(x)), x, 0)
    with pytest.raises(ShapeError, match="has no such axes"):
        nn.Flatten()(np.ones(3))
    with pytest.raises(ShapeError, match=r"axis 1 has size 12, not 15"):
        nn.Unflatten(1, (3, 5))(nn.Flatten()(x))


def test_pooling_layers() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6))
    close(nn.MaxPool2d(2)(x), x.reshape(2, 3, 3, 2, 3, 2).max(axis=(3, 5)))
    close(nn.AvgPool2d(2)(x), x.reshape(2, 3, 3, 2, 3, 2).mean(axis=(3, 5)))
    close(nn.MaxPool1d(3)(x[:, :, 0]), x[:, :, 0].reshape(2, 3, 2, 3).max(axis=3))
    close(nn.AvgPool1d(3, stride=1)(x[:, :, 0])[..., 0], x[:, :, 0, :3].mean(axis=2))


# ---------------------------------------------------------------- batch norm

def test_batch_norm_follows_the_batches(rng: np.random.Generator) -> None:
    layer, mean, var = nn.BatchNorm1d(3), np.zeros(3), np.ones(3)
    for _ in range(3):
        X = rng.normal(2.0, 3.0, size=(8, 3))
        close(layer(X), (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5))
        mean, var = 0.9 * mean + 0.1 * X.mean(0), 0.9 * var + 0.1 * X.var(0, ddof=1)
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    close(layer.eval()(X), (X - mean) / np.sqrt(var + 1e-5))
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var"]


def test_batch_norm_options(rng: np.random.Generator) -> None:
    batches = [rng.normal(size=(8, 3)) for _ in range(4)]
    layer = nn.BatchNorm1d(3, momentum=None)
    for X in batches:
        layer(X)
    close(layer.running_mean, np.mean([X.mean(0) for X in batches], axis=0))
    close(layer.running_var, np.mean([X.var(0, ddof=1) for X in batches], axis=0))
    layer.reset_parameters(rng=0)
    assert np.all(layer.running_mean == 0) and layer.num_batches_tracked == 0
    alone = nn.BatchNorm1d(3, affine=False, track_running_stats=False).eval()
    assert not alone.state_dict() and not list(alone.parameters())
    close(alone(X), (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5))
    with pytest.raises(ShapeError, match=r"BatchNorm1d\(3\): x \(2, 4\): it takes \(N, C\) or \(N, C, L\) with C = 3"):
        nn.BatchNorm1d(3)(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="Are the channels last"):
        nn.BatchNorm2d(3)(np.ones((2, 5, 5, 3)))
    with pytest.raises(ValueError, match="one value per channel is its own mean"):
        nn.BatchNorm1d(3)(np.ones((1, 3)))


def test_batch_norm_buffers_in_functional_call(rng: np.random.Generator) -> None:
    model, X = nn.Sequential(nn.BatchNorm1d(3)), rng.normal(size=(8, 3))
    buffers = model.buffer_dict()
    y, new = nn.functional_call(model, {}, X, buffers=buffers, return_buffers=True)
    assert np.all(buffers["0.running_mean"] == 0) and np.all(model[0].running_mean == 0)
    close(new["0.running_mean"], 0.1 * X.mean(0))
    close(nn.functional_call(model.eval(), {}, X, buffers=new), model(X) * 0 + nn.functional_call(model, new, X))
    close(model.train()(X), y)
    close(model[0].running_mean, new["0.running_mean"])


# ---------------------------------------------------------------- first values

def test_defaults_are_pytorchs() -> None:
    layer = nn.Linear(400, 300, rng=0)
    bound = 1 / math.sqrt(400)
    for p in layer.parameters():
        assert np.abs(p.data).max() <= bound and abs(p.data.std() - bound / math.sqrt(3)) < 0.1 * bound
    conv = nn.Conv2d(10, 40, 5, rng=0)
    assert abs(np.abs(conv.weight.data).max() - 1 / math.sqrt(250)) < 1e-4
    assert abs(nn.Embedding(100, 50, rng=0).weight.data.std() - 1) < 0.05
    attention = nn.MultiheadAttention(64, 4, rng=0)
    assert np.abs(attention.in_proj_weight.data).max() <= math.sqrt(6 / 256) and np.all(attention.out_proj.bias.data == 0)


def test_without_a_seed_numbers_differ() -> None:
    assert not np.array_equal(nn.Linear(3, 3).weight.data, nn.Linear(3, 3).weight.data)
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    nn.Linear(3, 3)
    assert np.array_equal(np.random.get_state()[1], state), "the global generator is left alone"  # type: ignore[index]


@pytest.mark.parametrize(("name", "kwargs", "variance"), [
    ("normal", {"std": 0.01}, 1e-4), ("uniform", {"a": -1, "b": 1}, 1 / 3), ("xavier_uniform", {}, 2 / 500),
    ("xavier_normal", {"gain": 2.0}, 8 / 500), ("kaiming_uniform", {"nonlinearity": "relu"}, 2 / 300),
    ("kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"}, 2 / 200), ("kaiming_normal", {"a": 1.0}, 1 / 300),
    ("trunc_normal", {"std": 0.5}, 0.25), ("orthogonal", {}, 1 / 300)])
def test_initialisers(name: str, kwargs: dict[str, Any], variance: float) -> None:
    make = getattr(nn.init, name)
    array = make((200, 300), rng=np.random.default_rng(0), **kwargs)
    assert array.shape == (200, 300) and abs(array.var() / variance - 1) < 0.03
    assert abs(array.mean()) < 0.03 * math.sqrt(variance)
    close(make((200, 300), rng=0, **kwargs), array, 0)
    t = Tensor(np.zeros((200, 300), np.float32))
    filled = getattr(nn.init, f"{name}_")(t, rng=0, **kwargs)
    assert filled is t and t.dtype == np.float32
    close(t, array.astype(np.float32), 0)


def test_initialisers_know_filters() -> None:
    assert abs(nn.init.kaiming_normal((64, 16, 5, 5), nonlinearity="relu", rng=0).var() * 16 * 25 / 2 - 1) < 0.03
    for shape in ((5, 3), (3, 5), (4, 2, 3), (3, 3)):
        Q = nn.init.orthogonal(shape, gain=2.0, rng=0).reshape(shape[0], -1)
        close((Q @ Q.T if Q.shape[0] <= Q.shape[1] else Q.T @ Q) / 4, np.eye(min(Q.shape)))
    assert np.array_equal(nn.init.zeros(3), np.zeros(3)) and np.array_equal(nn.init.ones((2, 1)), np.ones((2, 1)))
    assert np.array_equal(nn.init.eye((2, 3)), np.eye(2, 3)) and nn.init.constant(2, 0.3, dtype="float32").dtype == np.float32
    with pytest.raises(ShapeError, match="has no fan_in and fan_out"):
        nn.init.xavier_uniform((3,), rng=0)
    with pytest.raises(ShapeError, match="fewer than two axes"):
        nn.init.orthogonal(3, rng=0)
    with pytest.raises(ValueError, match='write "fan_in"'):
        nn.init.kaiming_normal((2, 2), mode="in", rng=0)
    with pytest.raises(DTypeError, match="no Tensor"):
        nn.init.zeros_(np.ones(2))
    with pytest.raises(ValueError, match="hardly any is between"):
        nn.init.trunc_normal((2,), mean=100.0, rng=0)


@pytest.mark.parametrize(("name", "gain"), [("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("relu", math.sqrt(2)),
                                            ("leaky_relu", math.sqrt(2 / 1.0001)), ("selu", 0.75)])
def test_gains(name: str, gain: float) -> None:
    close(nn.init.calculate_gain(name), gain)
    with pytest.raises(ValueError, match="is not in the table"):
        nn.init.calculate_gain(name.upper())


# ---------------------------------------------------------------- attention

def test_attention_by_hand(rng: np.random.Generator) -> None:
    layer, x = nn.MultiheadAttention(6, 2, batch_first=True, rng=0), rng.normal(size=(2, 4, 6))
    W, b = layer.in_proj_weight.numpy(), layer.in_proj_bias.numpy()
    Q, K, V = (x @ W[6 * i : 6 * i + 6].T + b[6 * i : 6 * i + 6] for i in range(3))
    parts, weights = [], []
    for h in (slice(0, 3), slice(3, 6)):
        a = tg.softmax(Q[..., h] @ K[..., h].mT / math.sqrt(3))
        weights.append(a)
        parts.append(a @ V[..., h])
    y, mean = layer(x, x, x)
    close(y, np.concatenate(parts, -1) @ layer.out_proj.weight.numpy().T + layer.out_proj.bias.numpy())
    close(mean, (weights[0] + weights[1]) / 2)
    close(layer(x, x, x, average_attn_weights=False)[1], np.stack(weights, 1))
    assert layer(x, x, x, need_weights=False)[1] is None
    close(nn.functional_call(layer, {}, *[x[0]] * 3)[0], y[0])


def test_attention_masks(rng: np.random.Generator) -> None:
    layer, x = nn.MultiheadAttention(4, 2, rng=0), rng.normal(size=(3, 2, 4))
    hidden = np.triu(np.ones((3, 3), bool), 1)
    y, weights = layer(x, x, x, attn_mask=hidden)
    assert np.all(weights.data[:, hidden] == 0)
    close(layer(x, x, x, is_causal=True)[0], y)
    close(layer(x, x, x, attn_mask=np.where(hidden, -math.inf, 0.0))[0], y)
    padding = np.array([[False, False, True], [False, False, False]])
    assert np.all(layer(x, x, x, key_padding_mask=padding)[1].data[0, :, 2] == 0)
    with pytest.raises(ValueError, match="a query sees no key at all"):
        layer(x, x, x, attn_mask=np.ones((3, 3), bool))
    with pytest.raises(ShapeError, match=r"attn_mask has shape \(2, 3\), and must have \(3, 3\) or \(4, 3, 3\)"):
        layer(x, x, x, attn_mask=np.ones((2, 3), bool))
    with pytest.raises(DTypeError, match="True where nothing is seen"):
        layer(x, x, x, attn_mask=np.ones((3, 3), int))
    with pytest.raises(ShapeError, match="each is"):
        layer(x, x, x[..., :3])


def test_attention_gradients_and_jit(rng: np.random.Generator) -> None:
    layer, q, k = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, rng=0), rng.normal(size=(3, 2, 4)), rng.normal(size=(2, 2, 8))

    def cost(params: Any, q: Any, k: Any) -> Any:
        y, w = nn.functional_call(layer, params, q, k[..., :3], k[..., 3:])
        return (y ** 2).sum() + (w ** 3).sum()

    assert tg.check_gradients(cost, layer.parameter_dict(), q, k)
    fast, slow = tg.jit(tg.value_and_grad(cost)), tg.value_and_grad(cost)
    for _ in range(2):
        (v, slopes), (w, others) = fast(layer.parameter_dict(), q, k), slow(layer.parameter_dict(), q, k)
        close(v, w)
        for name in slopes:
            close(slopes[name], others[name])
        q = q + 1


# ---------------------------------------------------------------- costs of logits

@pytest.mark.parametrize(("cost", "text"), [
    (lambda z: tg.cross_entropy(tg.softmax(z), [0, 1]), "come out of softmax, and softmax would be applied twice"),
    (lambda z: tg.cross_entropy(tg.softmax(z).reshape(2, 3), [0, 1]), "come out of softmax"),
    (lambda z: tg.cross_entropy(tg.log_softmax(z), [0, 1]), "come out of log_softmax, which changes nothing"),
    (lambda z: tg.cross_entropy(tg.sigmoid(z), [0, 1]), "softmax would be applied on top"),
    (lambda z: tg.binary_cross_entropy_with_logits(tg.sigmoid(z), np.ones((2, 3))), "sigmoid would be applied twice"),
    (lambda z: tg.nll(tg.softmax(z), [0, 1]), "nll takes logarithms"),
    (lambda z: tg.cross_entropy(nn.Sequential(nn.Linear(3, 3, rng=0), nn.Softmax())(z), [0, 1]), "come out of softmax"),
])
def test_probabilities_where_logits_are_meant(cost: Any, text: str) -> None:
    with pytest.warns(LogitsWarning, match=text) as caught:
        cost(Tensor(np.ones((2, 3))))
    assert caught[0].filename == __file__


def test_logits_warn_of_nothing() -> None:
    z = Tensor(np.ones((2, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.cross_entropy(z, [0, 1])
        tg.cross_entropy(z * 2, [0, 1])
        tg.nll(tg.log_softmax(z), [0, 1])
        tg.categorical_cross_entropy(tg.softmax(z), [0, 1])
        tg.binary_cross_entropy(tg.sigmoid(z), np.ones((2, 3)))


# ---------------------------------------------------------------- summary

def test_M51_summary_counts_layers_without_the_input() -> None:
    said = str(deep([3, 4, 1], nn.Sigmoid).summary((None, 3)))
    assert "L = 2 layers with weights; the input layer is not counted" in said


def test_M111_summary_names_input_hidden_and_output_layers() -> None:
    table = nn.summary(deep([3, 5, 4, 1]), (None, 3))
    roles = [row.role for row in table.rows if row.role]
    assert roles == ["hidden layer 1", "hidden layer 2", "output layer"] and "input layer" in str(table)


def test_summary_of_a_convolutional_network() -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 5, rng=0), nn.BatchNorm2d(6), np.tanh, nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(6 * 12 * 12, 10, rng=0))
    model[0].bias.requires_grad = False
    before = model.state_dict()
    table = model.summary((None, 1, 28, 28))
    assert [row.output_shape for row in table.rows] == [
        ("m", 6, 24, 24), ("m", 6, 24, 24), ("m", 6, 24, 24), ("m", 6, 12, 12), ("m", 864), ("m", 10)]
    assert table.total == 156 + 12 + 8650 and table.frozen == 6 and table.trainable == table.total - 6
    assert table.bytes == 8 * table.total and table.rows[2].kind == "tanh"
    assert model.training and all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
    fixed = model.summary(np.ones((7, 1, 28, 28)))
    assert fixed.rows[-1].output_shape == (7, 10)
    assert model.summary().rows[-1].output_shape is None


def test_summary_of_recurrent_nested_and_several_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.words, self.lstm = nn.Embedding(50, 4, rng=0), nn.LSTM(4, 3, batch_first=True, rng=0)
            self.spare = nn.Linear(2, 2, rng=0)

        def forward(self, x: Any) -> Any:
            return self.lstm(self.words(x))[0]

    table = nn.summary(Two(), (None, 9))
    assert {row.name: row.output_shape for row in table.rows} == {"words": ("m", 9, 4), "lstm": ("m", 9, 3), "spare": None}
    assert "not used" in str(table)

    class Sum(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x + y

    assert nn.summary(Sum(), [(None, 3), (None, 3)]).rows[0].output_shape == ("m", 3)
    shared = nn.Linear(3, 3, rng=0)
    assert nn.summary(nn.Sequential(shared, nn.ReLU(), shared), 3).total == 12
    with pytest.raises(ShapeError, match="write whole numbers"):
        nn.summary(shared, ("a",))
    with pytest.raises(TypeError, match="is no Module"):
        nn.summary(3)  # type: ignore[arg-type]


def test_summary_escapes_what_a_person_wrote() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.title = "<script>alert(1)</script>"
            self.w = Tensor([1.0])

        def forward(self, x: Any) -> Any:
            return x * self.w

    page = nn.summary(Net(), (None, 1))._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and page.count("<table>") == page.count("</table>") == 2


def test_M99_hyperparameters_stand_apart_from_parameters() -> None:
    model = deep([3, 5, 1], nn.LeakyReLU)
    assert model.hyperparameters() == {"0.in_features": 3, "0.out_features": 5, "1.negative_slope": 0.01, "2.in_features": 5,
                                       "2.out_features": 1}
    assert not set(model.hyperparameters()) & set(dict(model.named_parameters()))
    table, chosen = str(model.summary()).split("Hyper-parameters (chosen, not learned)")
    assert "in_features = 3, out_features = 5" in chosen and "in_features" not in table and "weight (5, 3)" in table


# ---------------------------------------------------------------- rows of the checklist

def test_M61_training_equals_the_loop_by_hand(rng: np.random.Generator) -> None:
    X, Y = tg.data.moons(m=100, noise=0.1, rng=0)
    Y = np.asarray(Y, float).reshape(-1, 1)
    model = nn.Sequential(nn.Linear(2, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng), nn.Sigmoid())
    W1, b1, W2, b2 = (p.numpy() for p in model.parameters())
    optimizer, m, first = optim.SGD(model, lr=0.5), len(X), None
    for _ in range(500):
        optimizer.zero_grad()
        J = tg.binary_cross_entropy(model(X), Y)
        first = J.item() if first is None else first
        J.backward()
        optimizer.step()
        A1 = np.tanh(X @ W1.T + b1)
        A2 = 1 / (1 + np.exp(-(A1 @ W2.T + b2)))
        dZ2 = (A2 - Y) / m
        dZ1 = dZ2 @ W2 * (1 - A1 ** 2)
        W1, b1 = W1 - 0.5 * dZ1.T @ X, b1 - 0.5 * dZ1.sum(0)
        W2, b2 = W2 - 0.5 * dZ2.T @ A1, b2 - 0.5 * dZ2.sum(0)
    for p, by_hand in zip(model.parameters(), (W1, b1, W2, b2), strict=True):
        close(p, by_hand, 1e-10)
    assert J.item() < first / 2


def test_M62_each_layer_has_its_activation(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1), nn.Sigmoid())
    X = rng.normal(size=(5, 2))
    W1, b1, W2, b2 = (p.numpy() for p in model.parameters())
    close(model(X), 1 / (1 + np.exp(-(np.tanh(X @ W1.T + b1) @ W2.T + b2))))


@pytest.mark.parametrize("depth", range(2, 11))
def test_M66_linear_layers_are_one(depth: int, rng: np.random.Generator) -> None:
    model = deep([3, *[4] * (depth - 1), 2], nn.Identity)
    W, b = np.eye(3), np.zeros(3)
    for layer in model:
        if isinstance(layer, nn.Linear):
            W, b = layer.weight.data @ W, layer.weight.data @ b + layer.bias.data
    X = rng.normal(size=(6, 3))
    close(model(X), X @ W.T + b)
    close(tg.jacobian(lambda x: model(x))(X[0]), W)


def test_M67_a_linear_hidden_layer_is_logistic_regression(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(2, 5, rng=0), nn.Linear(5, 1, rng=1), nn.Sigmoid())
    regression = nn.Sequential(nn.Linear(2, 1, rng=0), nn.Sigmoid())
    regression.load_state_dict({"0.weight": model[1].weight.data @ model[0].weight.data,
                                "0.bias": model[1].weight.data @ model[0].bias.data + model[1].bias.data})
    X = rng.normal(size=(200, 2)) * 3
    close(model(X), regression(X))
    assert np.array_equal(model(X).data > 0.5, regression(X).data > 0.5)


@pytest.mark.parametrize(("start", "output", "moves"), [
    (0.0, nn.Tanh, False), (0.0, nn.Sigmoid, True), (0.3, nn.Tanh, True), (0.3, nn.Sigmoid, True)])
def test_M70_equal_units_stay_equal(start: float, output: type, moves: bool) -> None:
    X, Y = tg.data.xor(m=80, rng=0)
    hidden: type = nn.Tanh if output is nn.Tanh else nn.Sigmoid
    model = nn.Sequential(nn.Linear(2, 4, rng=0), hidden(), nn.Linear(4, 1, rng=0))
    for p in model.parameters():
        nn.init.constant_(p, start)
    optimizer = optim.SGD(model, lr=0.5)
    Y = np.asarray(Y, float).reshape(-1, 1)
    for _ in range(200):
        optimizer.zero_grad()
        tg.binary_cross_entropy_with_logits(model(X), Y).backward()
        optimizer.step()
    W1, W2 = model[0].weight.data, model[2].weight.data
    assert np.ptp(W1, axis=0).max() == 0 and np.ptp(W2) == 0
    assert bool(np.any(start != W1)) is moves


def test_M71_small_random_weights_break_the_symmetry() -> None:
    X, Y = tg.data.xor(m=200, rng=0)
    Y = np.asarray(Y, float).reshape(-1, 1)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    source = np.random.default_rng(0)
    for layer in (model[0], model[2]):
        nn.init.normal_(layer.weight, std=0.01, rng=source)
        nn.init.zeros_(layer.bias)
    optimizer = optim.Adam(model, lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        tg.binary_cross_entropy_with_logits(model(X), Y).backward()
        optimizer.step()
    assert np.ptp(model[0].weight.data, axis=0).min() > 0.1
    assert np.mean((model(X).data > 0) == Y) > 0.95


def test_M73_M74_the_penalty_counts_weights_and_not_biases(rng: np.random.Generator) -> None:
    model, X, Y, lam, m = deep([2, 4, 1]), rng.normal(size=(6, 2)), rng.normal(size=(6, 1)), 0.7, 6
    close(nn.l2(model), sum((p.data ** 2).sum() for p in model.parameters() if p.ndim == 2))
    close(nn.l2(model, biases=True), sum((p.data ** 2).sum() for p in model.parameters()))
    close(nn.l2(model.parameter_dict()), nn.l2(model))
    tg.mse(model(X), Y).backward()
    plain = {name: p.grad.copy() for name, p in model.named_parameters()}
    model.zero_grad()
    (tg.mse(model(X), Y) + lam / (2 * m) * nn.l2(model)).backward()
    for name, p in model.named_parameters():
        close(p.grad, plain[name] + (lam / m * p.data if p.ndim == 2 else 0))
    with pytest.raises(DTypeError, match="no weights with two axes"):
        nn.l2([Tensor([1.0])])
    with pytest.raises(DTypeError, match="holds no weights"):
        nn.l2(3.0)


def test_M75_penalty_and_weight_decay_are_one_for_plain_descent(rng: np.random.Generator) -> None:
    X, Y, lam, m, rate = rng.normal(size=(6, 2)), rng.normal(size=(6, 1)), 0.7, 6, 0.1
    first, second = deep([2, 4, 1], bias=False), deep([2, 4, 1], bias=False)
    one, other = optim.SGD(first, lr=rate), optim.SGD(second, lr=rate, weight_decay=lam / m)
    for _ in range(20):
        one.zero_grad()
        (tg.mse(first(X), Y) + lam / (2 * m) * nn.l2(first)).backward()
        one.step()
        other.zero_grad()
        tg.mse(second(X), Y).backward()
        other.step()
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        close(p, q)


def test_M84_sigmoid_and_softmax_units_give_a_minus_y(rng: np.random.Generator) -> None:
    X = rng.normal(size=(5, 3))
    Y, classes = (rng.random((5, 2)) > 0.5).astype(float), rng.integers(0, 2, 5)
    layer = nn.Linear(3, 2, rng=0)
    z = layer(X)
    tg.binary_cross_entropy(nn.Sigmoid()(z), Y, reduction="sum").backward()
    close(z.grad, 1 / (1 + np.exp(-z.data)) - Y)
    z = layer(X)
    tg.nll(nn.LogSoftmax()(z), classes, reduction="sum").backward()
    close(z.grad, tg.softmax(z.data) - tg.one_hot(classes, 2))


def test_M92_M94_M111_dimensions_of_deep_networks(rng: np.random.Generator) -> None:
    for n in ((2, 3, 5, 4, 2, 1), (3, 5, 5, 3, 1), (4, 1), (4, 3, 1), (4, 3, 3, 3, 3, 3, 1)):
        model = deep(list(n), nn.ReLU)
        linear = [layer for layer in model if isinstance(layer, nn.Linear)]
        assert len(linear) == len(n) - 1 == nn.summary(model, n[0]).layers
        values, x = [], Tensor(rng.normal(size=(7, n[0])))
        for layer in model:
            x = layer(x)
            values += [x] if isinstance(layer, nn.Linear) else []
        x.sum().backward()
        for i, (layer, Z) in enumerate(zip(linear, values, strict=True)):
            assert layer.weight.shape == layer.weight.grad.shape == (n[i + 1], n[i])
            assert layer.bias.shape == layer.bias.grad.shape == (n[i + 1],)
            assert Z.shape == Z.grad.shape == (7, n[i + 1])


@pytest.mark.parametrize("layers", range(1, 7))
def test_M93_forward_by_hand(layers: int, rng: np.random.Generator) -> None:
    model = deep([3] * (layers + 1), nn.Tanh)
    A = X = rng.normal(size=(4, 3))
    for i in range(0, len(model), 2):
        A = A @ model[i].weight.numpy().T + model[i].bias.numpy()
        A = np.tanh(A) if i + 1 < len(model) else A
    close(model(X), A)


def test_M103_first_values_and_vanishing_gradients(rng: np.random.Generator) -> None:
    """The size of δ from the last hidden layer to the first: sigmoid with N(0, 1/√n) against ReLU with He's."""

    def ratio(activation: type, make: Any) -> float:
        model = deep([30] * 11, activation)
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight.data = make(layer.weight.shape)
                nn.init.zeros_(layer.bias)
        x, deltas = Tensor(rng.normal(size=(50, 30))), []
        for layer in model:
            x = layer(x)
            deltas += [x] if isinstance(layer, nn.Linear) else []
        (x ** 2).sum().backward()
        return float(np.linalg.norm(deltas[-1].grad) / np.linalg.norm(deltas[0].grad))

    assert ratio(nn.Sigmoid, lambda s: nn.init.normal(s, std=1 / math.sqrt(30), rng=rng)) > 1e4
    assert ratio(nn.Tanh, lambda s: nn.init.xavier_normal(s, rng=rng)) < 100
    assert ratio(nn.ReLU, lambda s: nn.init.kaiming_normal(s, nonlinearity="relu", rng=rng)) < 30


def test_M113_rows_are_columns_transposed(rng: np.random.Generator) -> None:
    model, X, Y = deep([3, 4, 4, 3], nn.Sigmoid, bias=False), rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    J = tg.cross_entropy(model(X), Y)
    J.backward()
    W = [Tensor(layer.weight.numpy()) for layer in model if isinstance(layer, nn.Linear)]
    A1 = tg.sigmoid(W[0] @ X.T)
    A2 = tg.sigmoid(W[1] @ A1)
    columns = tg.cross_entropy(W[2] @ A2, Y, axis=0)
    columns.backward()
    close(J, columns)
    for p, w in zip(model.parameters(), W, strict=True):
        close(p.grad, w.grad)
