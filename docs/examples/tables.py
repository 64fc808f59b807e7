# %% [markdown]
# # Tables as people have them
#
# One curve, a bond that is stretched, in files of several kinds: exponents of Fortran, semicolons and decimal commas,
# rows from the far end to the near one. Numbers without a header, and so without units, are in the units that are
# chosen: here angstrom and cm^-1.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
bond = {"name": "spectroscopic", "masses": (1.007825, 15.994915)}
stretches = {}
for file in ("bond_fortran.dat", "bond_semicolons.csv", "bond_descending.csv", "bond_scan.txt"):
    table = qpinn.potentials.sampled(f"data/{file}", interpolation="cubic")
    stretches[file] = qpinn.solve(table, states=3, units=bond)
    print(f"{file:20}", ", ".join(f"{energy:.6f}" for energy in stretches[file].energies), "cm^-1;", table.read)

# %% [markdown]
# A position with two values is a jump of V.

# %%
steps = qpinn.solve(qpinn.potentials.sampled("data/steps.csv"), states=2)
print("steps:", ", ".join(f"{energy:.10f}" for energy in steps.energies))
stretches["bond_scan.txt"].plot_levels()
plt.savefig("tables.png")
