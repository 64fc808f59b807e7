# %% [markdown]
# # Potential curves of H2, N2 and O2
#
# Tables of R and energy as other programmes write them; the numbers in them are Morse curves. Units in a header are
# converted into those that are chosen, and masses are those of the two atoms.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")
masses = {"H2": 1.007825, "N2": 14.003074, "O2": 15.994915}  # amu
files = {"H2": "data/h2.csv", "N2": "data/n2.tsv", "O2": "data/o2.dat"}
molecules = {
    name: qpinn.solve(
        qpinn.potentials.sampled(file, interpolation="quintic"), states=4,
        units={"name": "spectroscopic", "masses": (masses[name], masses[name])},
    )
    for name, file in files.items()
}  # fmt: skip

# %% [markdown]
# Vibrational spacings, and what the interpolation of the table is good for: by how much levels move if every second row
# is left out. The energies of N2 are absolute.

# %%
for name, molecule in molecules.items():
    spacings = ", ".join(f"{gap:.3f}" for gap in np.diff(molecule.energies))
    doubt = np.abs(molecule.interpolation_shift).max()
    print(f"{name}: E_0 = {molecule.energy:.3f}, spacings {spacings} cm^-1; interpolation {doubt:.0e}")
molecules["H2"].plot_levels()
plt.savefig("diatomics.png")
