# %% [markdown]
# # Minibands
#
# `qpinn.bands` takes one period, its ends those of the domain: 6 nm of GaAs between two halves of a barrier.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
period = {"thickness": [1.25, 6.0, 1.25], "offset": [0.25, 0.0, 0.25], "mass": [0.0897, 0.067, 0.0897]}
minibands = qpinn.bands(qpinn.potentials.layers(**period), count=3, phases=25, units="semiconductor")
for band, levels in enumerate(minibands.energies.T):
    print(f"miniband {band}: {levels.min():.9f} to {levels.max():.9f} eV")

# %% [markdown]
# Eight periods between walls have their levels on the miniband, at k = n pi / 8 a.

# %%
finite = qpinn.solve(qpinn.potentials.layers(**period, repeat=8), units="semiconductor", states=8, network="shared")
print("eight periods:", ", ".join(f"{energy:.9f}" for energy in finite.energies), "eV")
plt.plot(minibands.k, minibands.energies, color="C0")
plt.plot(minibands.k[3::3], finite.energies, "o", color="C1", markersize=3, label="eight periods between walls")
plt.xlabel("k (1/nm)")
plt.ylabel("E (eV)")
plt.title("Minibands of a superlattice", loc="left")
plt.legend()
plt.savefig("superlattice.png")

# %% [markdown]
# Without units, a row of square barriers as Kronig and Penney had it.

# %%
barriers = qpinn.potentials.expression((0, 1), "where(x < w, V0, 0)", parameters={"w": 0.25, "V0": 30})
kronig_penney = qpinn.bands(barriers, count=3, phases=9)
print("gaps:", ", ".join(f"{high - low:.9f}" for low, high in kronig_penney.gaps))
