# %% [markdown]
# # Two wells in an electric field
#
# A wide and a narrow well share their electrons where the field lines their levels up, and the levels avoid each other.
# `qpinn.vary` solves the structure at every field, each level with its bounds and its derivative.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")
layers = qpinn.potentials.layers(
    thickness=[8, 8, 4, 6, 8], offset=[0.3, 0, 0.3, 0, 0.3], mass=[0.092, 0.067, 0.092, 0.067, 0.092]
)
fields = np.linspace(0, 40, 21)  # kV/cm, from the narrow well to the wide one if they are negative
over_field = qpinn.vary(layers, "field", -fields, states=2, units="semiconductor")

# %% [markdown]
# The slope of a level says in which well its electron is: the two exchange theirs.

# %%
gaps = 1e3 * np.diff(over_field.energies, axis=1)[:, 0]
closest = gaps.argmin()
print(f"closest at {fields[closest]:g} kV/cm: {gaps[closest]:.6f} meV apart")
for field, slopes in zip(fields[[0, closest, -1]], over_field.slopes[[0, closest, -1]], strict=True):
    print(f"{field:4g} kV/cm: dE/dfield = {1e3 * slopes[0]:.5f} and {1e3 * slopes[1]:.5f} meV per kV/cm")

# %%
for level in over_field.energies.T:
    plt.plot(fields, 1e3 * level, "o-", markersize=2.5)
plt.xlabel("field (kV/cm)")
plt.ylabel("E (meV)")
plt.title("Two wells in a field: the levels avoid each other", loc="left")
plt.savefig("coupled_wells.png")
