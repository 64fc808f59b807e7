# %% [markdown]
# # A quantum-cascade structure
#
# `data/cascade_period.csv` holds the 16 layers of one period, in angstrom and meV. Four periods in a field of 45 kV/cm
# are 64 layers; one network serves their lowest 24 levels, each with its bounds.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")
layers = qpinn.potentials.layers("data/cascade_period.csv", repeat=4, field=-45.0)
cascade = qpinn.solve(layers, units={"name": "semiconductor", "energy": "meV"}, states=24)
print(f"{len(layers.masses)} layers; {sum(cascade.converged)} of 24 levels within 1e-8")
print(", ".join(f"{energy:.6f}" for energy in cascade.energies[:6]), "meV")

# %% [markdown]
# Every level at its energy, as |psi|^2: where its electron is.

# %%
x = np.linspace(*cascade.potential.domain, 1500)
plt.plot(x, cascade.potential(x), color="0.6", linewidth=0.8)
for energy, psi in zip(cascade.energies, cascade.psi(x), strict=True):
    here = np.abs(psi) > 2e-2 * np.abs(psi).max()
    plt.plot(x[here], energy + 400 * psi[here] ** 2)
plt.xlim(80, x[-1])
plt.ylim(-980, -300)
plt.xlabel("x (nm)")
plt.ylabel("E (meV)")
plt.title("Lowest levels of four periods in a field", loc="left")
plt.savefig("cascade_laser.png")
