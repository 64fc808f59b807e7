"""Training knows no physics: an equation that is written here is trained by every optimiser, with no other file."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import qpinn
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import FixedPoints, gauss_legendre
from qpinn.linalg.jacobian import dense
from qpinn.physics import operators
from qpinn.training import loop
from qpinn.training.lanes import System, side_by_side
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.training.starts import Random
from qpinn.wavefunctions.ansatz import ansatz_of
from qpinn.wavefunctions.networks import MLP


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """-u'' + strength u^3 = f on [0, 1] with u = 0 at both ends, f such that u(x) = sin(pi x): no eigenvalue."""

    ansatz: Any
    strength: Any

    def init(self, key):
        return {"psi": self.ansatz.init(key)}

    def residuals(self, params, points):
        def jets(segment, x):
            return jax.vmap(lambda y: operators.jet(lambda z: self.ansatz.in_segment(segment, z), y))(x)

        u = jax.vmap(jets)(self.ansatz.segments(params["psi"]), points.x)
        exact = jnp.sin(jnp.pi * points.x[..., 0])
        source = jnp.pi**2 * exact + self.strength * exact**3
        return {"pde": (jnp.sqrt(points.weight) * (-u.laplacian + self.strength * u.value**3 - source)).ravel()}

    def linearize(self, params, points):
        return dense(lambda params: self.residuals(params, points), params)

    def moved(self, params, step):
        flat, unravel = ravel_pytree(params)
        return {"psi": self.ansatz.wavefunction.confined(unravel(flat + step)["psi"])}

    def report(self, params, points):
        return {"middle": self.ansatz.psi(params["psi"], jnp.array([0.5]))}


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
    ("optimizer", "ansatz", "steps", "tolerance"),
    [("levenberg_marquardt", "piecewise", 150, 1e-3), ("levenberg_marquardt", "envelope", 40, 1e-5),
     ("adam", "envelope", 2000, 1e-2), ("adam_lbfgs", "envelope", 800, 1e-3)],
)  # fmt: skip
@pytest.mark.parametrize("strengths", [(0.0,), (1.0, 5.0)])
def test_it_is_trained_to_its_solution(optimizer, ansatz, steps, tolerance, strengths):
    edges = np.linspace(0, 1, 5)
    numbers = {**OPTIMIZERS[optimizer].numbers, **({"learning_rate": 1e-2} if "adam" in optimizer else {})}
    if optimizer == "adam_lbfgs":
        numbers["adam_steps"] = 400

    def system(strength):
        psi = ansatz_of(ansatz, MLP(width=8, depth=1), edges, qpinn.potentials.infinite_well())
        points = gauss_legendre(Mesh(np.asarray(psi.edges)), 12 if ansatz == "piecewise" else 30)
        equation = Source(ansatz=psi, strength=np.asarray(strength))
        built = OPTIMIZERS[optimizer].build(numbers, steps)
        return System(*jax.tree.map(jnp.asarray, (equation, built, FixedPoints(points))), seed=np.asarray(1))

    fit = loop.together(side_by_side([system(strength) for strength in strengths]), loop.Course(Random(), steps, 500))
    assert fit.status == "finished"
    assert set(fit.history) == {"pde", "total", "middle", "step_size", "seconds"}
    np.testing.assert_allclose(fit.history["middle"][-1], 1, atol=tolerance)
