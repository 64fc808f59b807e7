# %% [markdown]
# # A GaAs well between AlGaAs barriers
#
# `data/gaas_well.csv` has a row for each layer: thickness, band offset and effective mass, with their units in the
# header. psi and psi' / m are continuous at the interfaces.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
layers = qpinn.potentials.layers("data/gaas_well.csv")
well = qpinn.solve(layers, units="semiconductor", states=3)
print(well)

# %% [markdown]
# The dipole of the intersubband transition, and how levels move if the well becomes wider.

# %%
transition = abs(well.dipoles[0, 1])
slopes = qpinn.gradients(well)["thickness"][:, 1]
print(f"E_1 - E_0 = {1e3 * (well.energies[1] - well.energies[0]):.6f} meV, <0|x|1> = {transition:.6f} nm")
print("dE/dwidth =", ", ".join(f"{1e3 * slope:.5f}" for slope in slopes), "meV / nm")

# %%
well.plot_levels()
plt.savefig("quantum_well.png")
