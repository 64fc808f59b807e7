# %% [markdown]
# # Torsions on a ring
#
# A methyl group in a threefold barrier: H = -B d^2/dphi^2 + V3 (1 - cos 3 phi) / 2, B and V3 in meV, psi the same
# after a turn. Tunnelling between the three wells splits every level into a single one and a pair.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")
methyl = qpinn.solve(
    "V3/2*(1 - cos(3*x))", domain=(0, 2 * np.pi), parameters={"V3": 25.0}, ends="periodic", states=6,
    units={"name": "rotor", "constant": 0.655}, network="shared",
)  # fmt: skip
print(methyl)
print(f"tunnel splitting: {1e3 * (methyl.energies[1] - methyl.energies[0]):.6f} micro-eV")

# %% [markdown]
# A scan of energies over the angle, in degrees and kJ/mol, with the total energy of the molecule.

# %%
scan = qpinn.potentials.sampled("data/torsion_scan.csv", interpolation="quintic")
units = {"name": "rotor", "energy": "kJ/mol", "constant": 0.0215}
scanned = qpinn.solve(scan, ends="periodic", states=6, units=units, network="shared")
print("above the lowest:", ", ".join(f"{level - scanned.energy:.6f}" for level in scanned.energies[1:]), "kJ/mol")
methyl.plot_levels()
plt.savefig("torsion.png")
