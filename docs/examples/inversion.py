# %% [markdown]
# # Tunnelling: an inversion doublet
#
# A double well along the inversion coordinate, with its barrier in cm^-1 and its minima at +-x0 angstrom. The three
# light atoms move against the heavy one; deuterium takes the place of hydrogen.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
umbrella = qpinn.potentials.expression((-0.85, 0.85), "V0*((x/x0)^2 - 1)^2", parameters={"V0": 2000, "x0": 0.38})
doublets = {}
for atom, mass in (("H", 1.007825), ("D", 2.014102)):
    units = {"name": "spectroscopic", "masses": (3 * mass, 14.003074)}
    doublets[atom] = qpinn.solve(umbrella, states=4, units=units)
    energies = doublets[atom].energies
    print(f"{atom}: split by {energies[1] - energies[0]:.8f} and {energies[3] - energies[2]:.7f} cm^-1")

# %% [markdown]
# How the splitting depends on the barrier: derivatives with respect to the named numbers of the formula.

# %%
slopes = qpinn.gradients(doublets["H"])
print(f"d(E_1 - E_0)/dV0 = {slopes['V0'][1] - slopes['V0'][0]:.8f}")
doublets["H"].plot_levels()
plt.savefig("inversion.png")
