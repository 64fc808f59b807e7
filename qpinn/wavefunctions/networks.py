"""Multilayer perceptrons as pure Flax modules, their activations and their initialisations, by name."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.checks import one_of
from qpinn.typing import Array, Key, Params, Point

Initializer: TypeAlias = Callable[..., tuple[Array, Array]]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "softplus": jax.nn.softplus,
    "swish": jax.nn.swish,
    "mish": jax.nn.mish,
    "sigmoid": jax.nn.sigmoid,
    "gaussian": lambda x: jnp.exp(-(x**2)),
    "erf": jax.scipy.special.erf,
}
"""Twice (in fact infinitely) differentiable functions of one variable."""

ROUGH: dict[str, Callable[[Array], Array]] = {"selu": jax.nn.selu}
"""Allowed for comparison although not twice differentiable. SELU (Klambauer et al. 2017) is self-normalising; its slope
jumps at 0, so psi has kinks whose delta functions in psi'' no collocation point sees."""

NOT_SMOOTH = {
    "relu": "its second derivative is zero, so psi'' vanishes and the equation cannot be satisfied",
    "leaky_relu": "its second derivative is zero, so psi'' vanishes and the equation cannot be satisfied",
    "elu": "its second derivative jumps at 0, so psi'' is not continuous where V is",
    "celu": "its second derivative jumps at 0, so psi'' is not continuous where V is",
    "hard_tanh": "its second derivative is zero, so psi'' vanishes and the equation cannot be satisfied",
}
"""Activations that people ask for and that a second-order equation excludes, each with its reason."""


def activation(name: str) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """The activation called `name`. Raises ValueError for one that is unknown or that the equation excludes."""
    named = {**ACTIVATIONS, **ROUGH}
    if name in NOT_SMOOTH:
        raise ValueError(f"network.activation={name}: {NOT_SMOOTH[name]}; allowed: {', '.join(named)}")
    one_of("network.activation", name, named)
    return named[name]


@dataclasses.dataclass(frozen=True)
class Layer:
    """What an initialisation knows of a hidden layer."""

    index: int
    fan_in: int
    fan_out: int
    activation: str


def _uniform(bound: Callable[[Layer], float], bias: Callable[[Layer], float] = lambda layer: 0.0) -> Initializer:
    """Kernels uniform in +-bound(layer), biases in +-bias(layer), from draws that are uniform in [-1, 1)."""

    def initialize(layer: Layer, kernel: Array, offset: Array) -> tuple[Array, Array]:
        return bound(layer) * kernel, bias(layer) * offset

    return initialize


UNCRITICAL = ("softplus", "sigmoid", "gaussian")
"""Activations for which `criticality` finds no point, in a table because a check must not wake a device."""


@functools.cache
def criticality(name: str) -> tuple[float, float]:
    """Variances (C_b of a bias, C_W of a kernel entry times fan_in) at which signals neither grow nor die with depth.

    With <f> the mean of f(z) over z ~ N(0, K), the preactivations of a deep wide network keep their variance K and the
    distance of two inputs if C_W <a'^2> = 1, <a a''> = 0 and K = C_b + C_W <a^2> (Roberts, Yaida and Hanin, The
    Principles of Deep Learning Theory (2022), chapter 5). For tanh and its like K -> 0, C_b = 0 and C_W = 1 / a'(0)^2.

    Raises ValueError for an activation that has no such point.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    weights = weights / weights.sum()
    act = activation(name)

    def means(k: float) -> tuple[float, float, float]:
        """<a^2>, <a'^2> and <a a''>, the last through d<a^2>/dK = <a'^2> + <a a''>, which needs no a''."""
        z = np.sqrt(k) * nodes
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):  # numbers, also while a programme is traced
            a, slope = map(np.asarray, jax.vmap(lambda x: jax.jvp(act, (x,), (jnp.ones_like(x),)))(jnp.asarray(z)))
        growth = np.sum(weights * a**2 * (nodes**2 - 1)) / (2 * k)
        slope2 = float(np.sum(weights * slope**2))
        return float(np.sum(weights * a**2)), slope2, float(growth - slope2)

    grid = np.geomspace(1e-3, 100.0, 120)
    excess = np.array([means(k)[2] for k in grid])
    crossings = np.flatnonzero((excess[:-1] < 0) != (excess[1:] < 0))
    if crossings.size:
        from scipy import optimize

        bracket = grid[crossings[0] : crossings[0] + 2]
        variance = optimize.brentq(lambda k: means(k)[2], *bracket, xtol=1e-300)
        square, slope2, _ = means(variance)
        bias = variance - square / slope2
        if bias >= 0:
            return float(bias), 1 / slope2
    elif means(1e-16)[0] < 1e-12:  # a(0) = 0, and K -> 0
        return 0.0, 1 / means(1e-8)[1]
    raise ValueError(f"network.init=critical: network.activation={name} has no critical point")


def check_initialization(name: str, act: str) -> None:
    """Raise ValueError if initialisation `name` does not exist for the activation `act`. Uses no device."""
    if name == "critical" and act in UNCRITICAL:
        allowed = ", ".join(other for other in {**ACTIVATIONS, **ROUGH} if other not in UNCRITICAL)
        raise ValueError(
            f"network.init=critical: network.activation={act} has no critical point; allowed with it: {allowed}"
        )


def _critical(layer: Layer, kernel: Array, offset: Array) -> tuple[Array, Array]:
    """Uniform draws with the variances of `criticality`."""
    bias, slope = criticality(layer.activation)
    return math.sqrt(3 * slope / layer.fan_in) * kernel, math.sqrt(3 * bias) * offset


def _orthogonal(layer: Layer, kernel: Array, offset: Array) -> tuple[Array, Array]:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    normal = jax.scipy.special.erfinv(jnp.clip(kernel, -1 + 1e-7, 1))
    tall = normal if layer.fan_in >= layer.fan_out else normal.T
    q, r = jnp.linalg.qr(tall)
    q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1)
    return (q if layer.fan_in >= layer.fan_out else q.T), _small(layer) * offset


def _small(layer: Layer) -> float:
    """Largest bias where an initialisation says nothing of biases.

    Not zero: a tanh network without biases is odd in a box that is symmetric about its origin, and stays odd in every
    step, so that only rounding could lead it to an even ground state.
    """
    return 1 / math.sqrt(layer.fan_in)


INITIALIZATIONS: dict[str, Initializer] = {
    "lecun": _uniform(lambda layer: math.sqrt(3 / layer.fan_in), _small),
    "glorot": _uniform(lambda layer: math.sqrt(6 / (layer.fan_in + layer.fan_out)), _small),
    "he": _uniform(lambda layer: math.sqrt(6 / layer.fan_in), _small),
    "orthogonal": _orthogonal,
    "siren": _uniform(
        lambda layer: math.sqrt(6 / layer.fan_in) if layer.index else 30 / layer.fan_in,
        lambda layer: 0.0 if layer.index else math.pi,
    ),
    "critical": _critical,
    "spread": _uniform(lambda layer: 1.5 / math.sqrt(layer.fan_in), lambda layer: 2.0),
}
"""Hidden layers at the start. Variances of the kernel: lecun 1 / fan_in, glorot 2 / (fan_in + fan_out), he 2 / fan_in,
all uniform (LeCun et al. 1998; Glorot and Bengio 2010; He et al. 2015); orthogonal as Saxe et al. 2014; these four with
biases uniform within 1 / sqrt(fan_in), as a linear layer of PyTorch has; siren for sin with a first frequency of 30 and
phases over a whole turn (Sitzmann et al. 2020); critical the scale of `criticality` for the activation; `spread` draws
larger biases, so that the units of a first layer differ and are usable as they are: the default of the piecewise
ansatz, with +-1.5 and +-2 the best of a scan over the three wells."""


class MLP(nn.Module):
    """A fully connected network, (d,) -> (): `depth` hidden layers of `width` units and a linear readout.

    f(x) = w . a(W_D ... a(W_1 x + b_1) ... + b_D) + c, with a the activation. The readout (w, c) enters linearly, which
    the Rayleigh-Ritz start uses. With several `outputs` it is (d,) -> (outputs,).
    """

    width: int
    depth: int
    activation: str = "tanh"
    initialization: str = "spread"
    scale: float = 1.0
    dtype: Any = jnp.float64
    outputs: int = 1

    @nn.compact
    def __call__(self, x: Point) -> Array:
        act = activation(self.activation)
        for layer in range(self.depth):
            x = act(nn.Dense(self.width, dtype=self.dtype, param_dtype=self.dtype, name=f"hidden_{layer}")(x))
        x = nn.Dense(self.outputs, dtype=self.dtype, param_dtype=self.dtype, name="readout")(x)
        return x if self.outputs > 1 else x[0]


def _shapes(network: MLP, d: int) -> Params:
    """The parameter tree of `network` with shapes in place of arrays."""
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    return jax.eval_shape(network.init, key, jax.ShapeDtypeStruct((d,), network.dtype))["params"]


def parameter_count(network: MLP, d: int = 1) -> int:
    """Number of parameters of one copy of `network`, a function of `d` coordinates."""
    return sum(leaf.size for leaf in jax.tree.leaves(_shapes(network, d)))


def uniform_draws(key: Key, count: int, dtype: Any) -> Float[Array, "count"]:
    """Draws (count,), independent and uniform in [-1, 1), for `from_uniform`."""
    return jax.random.uniform(key, (count,), dtype, -1, 1)


def from_uniform(network: MLP, draws: Float[Array, "parameters"], d: int = 1) -> Params:
    """Parameters of `network` of `d` coordinates from draws (parameter_count,), independent and uniform in [-1, 1).

    One draw for all layers, because every call of a random generator costs 0.4 s of compiling on a CPU. The readout is
    uniform with variance 1 / fan_in and no bias, whatever the hidden layers are; these are multiplied by `scale`.
    """
    initialize = INITIALIZATIONS[network.initialization]
    params: Params = {}
    start = 0
    for name, shapes in _shapes(network, d).items():
        leaves = {}
        for key, leaf in shapes.items():
            leaves[key] = draws[start : start + leaf.size].reshape(leaf.shape)
            start += leaf.size
        fan_in, fan_out = shapes["kernel"].shape
        if name == "readout":
            kernel, bias = math.sqrt(3 / fan_in) * leaves["kernel"], 0 * leaves["bias"]
        else:
            index = int(name.removeprefix("hidden_"))
            layer = Layer(index, fan_in, fan_out, activation=network.activation)
            kernel, bias = (network.scale * leaf for leaf in initialize(layer, leaves["kernel"], leaves["bias"]))
        params[name] = {"kernel": kernel, "bias": bias}
    return params


def steepness(params: Params) -> Float[Array, "..."]:
    """How much faster than x a network can vary: the product of the largest row sums of its hidden layers.

    params  of networks with leading axes (...,), all of them kept: (...,)
    """
    sums = [
        jnp.max(jnp.sum(jnp.abs(layer["kernel"]), axis=-2), axis=-1)
        for name, layer in params.items() if name != "readout"
    ]  # fmt: skip
    return functools.reduce(jnp.multiply, sums)


def is_resolved(activation: str, network: Params, points: float) -> bool:
    """Whether so many Gauss-Legendre points in a segment resolve, to 1e-10, products of two functions of networks with
    these parameters (leading axes are segments), which must have no kinks.

    n points integrate tanh(w xi) on (-1, 1) to about exp(-n pi / w), since it has poles at +-i pi / 2w; sin(w xi) has
    none, and sin(2 w xi) is integrated to about J_2n(2 w), which is 1e-10 where n exceeds w by 20.
    """
    if activation in ROUGH:
        return False
    hidden = [name for name in network if name != "readout"]
    entire = activation == "sin" and len(hidden) == 1
    return bool(np.max(np.asarray(steepness(network))) <= (points - 20 if entire else points * np.pi / 23))
