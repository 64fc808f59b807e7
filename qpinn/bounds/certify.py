"""Bounds on levels, computed from trial functions alone.

For trial functions psi_i in the domain of H, Rayleigh-Ritz gives energies E_i from above (minimax principle). From
below, with r_i = H psi_i - E_i psi_i and sigma a lower bound of level K,

    E_k >= the k-th eigenvalue of  diag(E_i) - S,   S_ij = <r_i|r_j> / sqrt((sigma - E_i) (sigma - E_j)),   k < K,

which is the method of Lehmann (1949) and Maehly (1952) written for an orthonormal basis of Ritz functions; for one
function it is the bound of Temple (1928) and Kato (1949). It needs no gap between the K levels, so that clusters do not
hurt it. sigma comes from counting the levels of a potential of steps below V (`qpinn.physics.survey`), so
that no level below it can have been missed.

Weinstein (1934): some level lies within |r_k| of E_k. It needs no sigma, and says nothing about which level.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from qpinn.geometry.mesh import reflected

TOLERANCE = 1e-8
"""What bounds are compared with where no tolerance was given, relative to the scale of a level."""

SMALL = 1e-4
"""Energies below are written with a power of ten."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Values:
    """K functions on n points, ascending: psi, psi' and H psi (K, n); x, V, effective mass m, m' and weights (n,).

    blur       bound (n,) on |V - p| about each point, p the polynomial that the quadrature integrates in place of V
    at_deltas  psi (K, D) at the Dirac deltas of the potential, and their strengths (D,)
    """

    x: Float[np.ndarray, "n"]
    psi: Float[np.ndarray, "K n"]
    slope: Float[np.ndarray, "K n"]
    h_psi: Float[np.ndarray, "K n"]
    v: Float[np.ndarray, "n"]
    mass: Float[np.ndarray, "n"]
    mass_slope: Float[np.ndarray, "n"]
    weight: Float[np.ndarray, "n"]
    blur: Float[np.ndarray, "n"]
    at_deltas: Float[np.ndarray, "K D"]
    strength: Float[np.ndarray, "D"]

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Values:
        names = ("psi", "slope", "h_psi", "at_deltas")
        return dataclasses.replace(self, **{name: change(getattr(self, name)) for name in names})

    def mixed(self, mix: Float[np.ndarray, "J K"]) -> Values:
        """The functions sum_j mix_jk psi_j."""
        return self._each(lambda functions: mix.T @ functions)

    def mirrored(self, center: float, parity: Float[np.ndarray, "K"]) -> Values:
        """Functions of the whole box from those of its left half, with their parities (K,), +1 or -1."""
        parity = parity[:, None]
        even = {name: reflected(getattr(self, name)) for name in ("v", "mass", "weight", "blur")}
        return dataclasses.replace(
            self, x=np.concatenate([self.x, 2 * center - self.x[::-1]]), psi=reflected(self.psi, parity),
            slope=reflected(self.slope, -parity), h_psi=reflected(self.h_psi, parity),
            mass_slope=reflected(self.mass_slope, -1.0), **even,
        )  # fmt: skip

    def some(self, which: slice) -> Values:
        """Some of the functions."""
        return self._each(lambda functions: functions[which])

    def times(self, scale: float) -> Values:
        """The same with every energy multiplied by `scale`: its numbers in another unit."""
        return dataclasses.replace(self, h_psi=self.h_psi * scale, v=self.v * scale, blur=self.blur * scale,
                                   strength=self.strength * scale)  # fmt: skip

    def norms(self) -> Float[np.ndarray, "K"]:
        """integral psi^2 dx (K,)."""
        return np.sum(self.weight * self.psi**2, axis=1)

    def kinetic(self) -> Float[np.ndarray, "K"]:
        """<psi'|psi' / m> (K,), of the functions as they are."""
        return np.sum(self.weight * self.slope**2 / self.mass, axis=1)

    def potential(self) -> Float[np.ndarray, "K"]:
        """<psi|V psi> (K,), deltas included, of the functions as they are."""
        return np.sum(self.weight * self.v * self.psi**2, axis=1) + np.sum(self.strength * self.at_deltas**2, axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is known of the lowest levels, each (K,).

    energies    Rayleigh quotients of the trial functions, ascending where they are Ritz's
    lower       lower bound of level k; -inf where there is none
    upper       upper bound of level k; inf where there is none
    residual    |H psi_k - E_k psi_k| / |psi_k|, the radius of Weinstein's bound
    rounding    what the bounds allow for rounding, quadrature error and `Values.blur`
    truncation  what the lower bounds allow for walls that were put where psi has decayed
    sigma       lower bound of level K
    """

    energies: Float[np.ndarray, "K"]
    lower: Float[np.ndarray, "K"]
    upper: Float[np.ndarray, "K"]
    residual: Float[np.ndarray, "K"]
    rounding: Float[np.ndarray, "K"]
    truncation: Float[np.ndarray, "K"]
    sigma: float

    def withdrawn(self) -> Certificate:
        """Without bounds, where what they rest on does not hold."""
        nothing = np.full(len(self.energies), np.inf)
        return dataclasses.replace(self, lower=-nothing, upper=nothing)

    @property
    def half_width(self) -> Float[np.ndarray, "K"]:
        """Half the distance of the bounds (K,)."""
        return (self.upper - self.lower) / 2


def ritz(values: Values, by_parity: bool = False) -> Float[np.ndarray, "K K"]:
    """The mix (K, K) that makes functions orthonormal, diagonalises H among them and starts them upwards.

    by_parity  the functions are even, odd, even, ...: those of different parity are not mixed
    """
    if by_parity and len(values.psi) > 1:
        mix = np.zeros((len(values.psi),) * 2)
        for sector in (slice(0, None, 2), slice(1, None, 2)):
            mix[sector, sector] = ritz(values.some(sector))
        return mix
    from scipy import linalg

    gram = (values.weight * values.psi) @ values.psi.T
    stiffness = (values.weight / values.mass * values.slope) @ values.slope.T
    stiffness += (values.weight * (values.v - values.v.min()) * values.psi) @ values.psi.T
    stiffness += (values.strength * values.at_deltas) @ values.at_deltas.T
    if not (np.isfinite(gram).all() and np.isfinite(stiffness).all()):
        return np.eye(len(gram))
    try:
        _, mix = linalg.eigh((stiffness + stiffness.T) / 2, (gram + gram.T) / 2)
    except linalg.LinAlgError:  # the functions depend on each other
        return np.eye(len(gram))
    psi = mix.T @ values.psi
    visible = np.argmax(np.abs(psi) > 1e-8 * np.abs(psi).max(axis=1, keepdims=True), axis=1)
    return mix * np.sign(psi[np.arange(len(psi)), visible])


def certify(fine: Values, check: Values, sigma: float, eps: float, floor: float = -np.inf) -> Certificate:
    """Bounds from functions on a quadrature `fine`, with its error estimated from the same on a coarser one, `check`.

    sigma  lower bound of level K, the first that is not among the K functions
    eps    relative rounding error of the numbers
    floor  for a single function that is not the lowest: upper bound of the level below, so that its own is the only
           level in (floor, sigma) and is at most E + |r|^2 / (E - floor)  (Kato 1949)
    """
    count = len(fine.psi)
    if not all(np.isfinite(values.h_psi).all() and np.abs(values.psi).max(axis=1).all() for values in (fine, check)):
        nothing = np.full(count, np.nan)
        return Certificate(
            energies=nothing, lower=nothing, upper=nothing, residual=nothing, rounding=nothing,
            truncation=np.zeros(count), sigma=sigma,
        ).withdrawn()  # fmt: skip
    gram = (fine.weight * fine.psi) @ fine.psi.T
    apart = np.abs(gram - np.diag(np.diag(gram))).max() <= 1e-6 * np.diag(gram).min()
    energies, residuals, size = _forms(fine)
    unseen, strayed = _unseen(fine, residuals)
    other_energies, other_residuals, _ = _forms(check)
    # rounding x by eps |x| changes the integrand by that times its slope, jumps of V and 1 / m included
    jump, bend = (np.abs(np.diff(values, append=values[-1])) for values in (fine.v, 1 / fine.mass))
    density = fine.slope**2 / fine.mass + np.abs(fine.v) * fine.psi**2 + np.abs(energies)[:, None] * fine.psi**2
    moved = np.sum(jump * fine.psi**2 + bend * fine.slope**2 + np.abs(np.diff(density, append=0.0)), axis=1)
    moved += 2 * np.abs(fine.at_deltas) @ np.abs(fine.strength) * np.abs(fine.slope).max(axis=1)
    moved *= np.max(np.abs(fine.x))
    rounding = eps * (32 * size + 8 * moved) + 2 * np.abs(energies - other_energies) + unseen
    lower, upper = np.full(count, -np.inf), energies + rounding
    if not apart:  # no Ritz functions: the lowest level is below each of them, and that is all
        sigma, upper = -np.inf, np.full(count, np.inf)
        upper[0] = (energies + rounding).min()
    if np.isfinite(floor):
        above = energies - floor
        differ = np.abs(np.diag(residuals) - np.diag(other_residuals))
        spread = (np.diag(residuals) + 2 * differ + np.diag(strayed)) / np.where(above > 0, above, 1)
        upper = np.where(above > 0, upper + spread, np.inf)
        sigma = sigma if (above > 0).all() else -np.inf
    if (energies < sigma).all():
        spread = 2 * np.abs(residuals - other_residuals) + strayed
        lower = lehmann_maehly(energies, residuals, spread, sigma) - rounding
    return Certificate(
        energies=energies, lower=lower, upper=upper, residual=np.sqrt(np.diag(residuals)), rounding=rounding,
        truncation=np.zeros(count), sigma=sigma,
    )  # fmt: skip


def lehmann_maehly(
    energies: Float[np.ndarray, "K"], residual: Float[np.ndarray, "K K"], spread: Float[np.ndarray, "K K"], sigma: float
) -> Float[np.ndarray, "K"]:
    """Lower bounds (K,) of the lowest levels: Ritz energies, <r_i|r_j> known to `spread`, and sigma above them all."""
    gap = np.sqrt(sigma - energies)
    return _lehmann(energies, residual / np.outer(gap, gap), spread / np.outer(gap, gap))


def _lehmann(energies: np.ndarray, shift: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Numbers (K,) that the eigenvalues of diag(E) - S do not lie below, for all S within `spread` of `shift` (K, K).

    They are computed to a rounding error of the largest of them, and an error in S moves them by its norm at most
    (Weyl). For low levels beside high ones that is more than they are known to. So the better is taken of this and of
    S <= diag(s), s_i = sum_j |S_ij| w_i / w_j, which holds for any w > 0; with w_i = sqrt(S_ii) it is graded as S is.
    """
    centre = energies.mean()
    matrix = np.diag(energies - centre) - shift
    error = np.linalg.norm(spread) + 4 * len(energies) * np.finfo(float).eps * np.linalg.norm(matrix, 2)
    solved = np.minimum(np.linalg.eigvalsh(matrix) + centre - error, energies)
    total = np.abs(shift) + spread
    size = np.sqrt(np.maximum(np.diag(total), 1e-300))
    return np.maximum(solved, np.sort(energies - total @ (1 / size) * size))


def _unseen(values: Values, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on the error that `blur` makes in each energy (K,) and in each entry of <r_i|r_j> (K, K).

    V = p + e with p integrated by the quadrature and |e| <= blur: 2 integral |e| psi^2 for the energy; for residuals
    r + e psi the terms in e of their products by Schwarz's inequality, twice.
    """
    norm = values.norms()
    size = np.sqrt(np.maximum(np.diag(residuals), 0.0))
    felt = np.sqrt(np.sum(values.weight * (values.blur * values.psi) ** 2, axis=1) / norm)
    products = np.outer(size, felt) + np.outer(felt, size) + np.outer(felt, felt)
    return 2 * np.sum(values.weight * values.blur * values.psi**2, axis=1) / norm, 2 * products


def unresolved(values: Values, allowed: Float[np.ndarray, "K"]) -> list[tuple[float, float]]:
    """Intervals of x whose `blur` contributes to an error of more than `allowed` (K,) in some energy k."""
    norm = values.norms()
    felt = 2 * values.weight * values.blur * values.psi**2 / norm[:, None]
    wanting = felt.sum(axis=1) > allowed
    if not wanting.any():
        return []
    unseen = (felt[wanting] > 1e-3 * allowed[wanting, None]).any(axis=0)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], unseen.astype(int), [0]])))
    stretches = zip(ends[::2], ends[1::2], strict=True)
    return [(float(values.x[first]), float(values.x[last - 1])) for first, last in stretches]


def unmixed(bound: Certificate, fine: Values) -> Certificate:
    """The certificate with the Rayleigh quotients and residuals of the functions `fine`, its bounds unchanged."""
    energies, residuals, _ = _forms(fine)
    return dataclasses.replace(bound, energies=energies, residual=np.sqrt(np.diag(residuals)))


def beyond_walls(bound: Certificate, grid: Values, chosen: tuple[bool, bool]) -> Certificate:
    """Bounds for the whole line, where the walls `chosen` (left, right) were put at the ends of `grid`.

    A wall in the decaying tail raises a level, by psi'^2 / (2 m kappa) to first order, kappa^2 = m (V - E) there. Twice
    that is taken off below. It is an estimate and no bound.
    """
    truncation = np.zeros(len(bound.energies))
    for end, put in zip((0, -1), chosen, strict=True):
        if put:
            kappa = np.sqrt(np.maximum(grid.mass[end] * (grid.v[end] - bound.energies), 0.0))
            truncation += 2 * grid.slope[:, end] ** 2 / (2 * grid.mass[end] * np.maximum(kappa, 1e-300))
    return dataclasses.replace(bound, lower=bound.lower - truncation, truncation=truncation)


def _forms(values: Values) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rayleigh quotients (K,), <r_i|r_j> (K, K), and the energies with all signs positive (K,), all for unit norm."""
    norm = values.norms()
    unit = values._each(lambda functions: functions / np.sqrt(norm)[:, None])
    kinetic = unit.kinetic()
    potential = np.concatenate([unit.weight * unit.v * unit.psi**2, unit.strength * unit.at_deltas**2], axis=1)
    energies = kinetic + potential.sum(axis=1)
    residual = unit.h_psi - energies[:, None] * unit.psi
    return energies, (unit.weight * residual) @ residual.T, kinetic + np.abs(potential).sum(axis=1)


def scale(energies: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
    """The energy (K,) that errors of each level are divided by: |E|, or a tenth of the level spacing if that is larger.

    So relative errors stay finite for a level near zero. The spacing is the mean over two levels to either side.
    """
    index = np.arange(len(energies))
    first, last = np.maximum(index - 2, 0), np.minimum(index + 2, len(energies) - 1)
    spacing = (energies[last] - energies[first]) / np.maximum(last - first, 1)
    return np.maximum(np.maximum(np.abs(energies), spacing / 10), 1e-300)


def digits(energy: float, half_width: float) -> str:
    """An energy with its bound in the last digit: 20.6174522(4), for |E - 20.6174522| <= 4e-7.

    Where it is as small as energies in J are: 6.02466739(3)e-20.
    """
    if not (np.isfinite(half_width) and np.isfinite(energy)):
        return f"{energy:.6g}(?)"
    if half_width < abs(energy) < SMALL:
        power = int(np.floor(np.log10(abs(energy))))
        significand = energy / 10.0**power
        return f"{digits(significand, half_width / 10.0**power + 4 * np.spacing(abs(significand)))}e{power}"
    place = int(np.floor(np.log10(max(half_width, 1e-16 * abs(energy), 1e-300))))
    for last in (place, place + 1):
        rounded = round(energy, -last)
        units = int(np.ceil((half_width + abs(rounded - energy)) / 10.0**last))
        if units <= 9:
            break
    return f"{rounded:.{max(-last, 0)}f}({units * 10 ** max(last, 0)})"
