# %% [markdown]
# # A molecule of two Dirac deltas
#
# psi' jumps at each delta, by construction. The even and the odd level, "bonding" and "antibonding", over the distance;
# the potential has the whole line, and walls are put where psi has decayed.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")
molecule = qpinn.potentials.two_deltas(strength_left=-4.0, strength_right=-4.0)
curves = qpinn.vary(molecule, "distance", np.linspace(0.6, 3.0, 13), states=2)
for distance, (even, odd) in list(zip(curves.values, curves.energies, strict=True))[::4]:
    print(f"distance {distance:.1f}: {even:.10f} {odd:.10f}")

# %%
plt.plot(curves.values, curves.energies, "o-", markersize=2.5, label=("even", "odd"))
plt.axhline(-4, color="0.6", linestyle="--", label="one delta")
plt.xlabel("distance")
plt.ylabel("E")
plt.title("Two deltas of strength -4", loc="left")
plt.legend()
plt.savefig("two_deltas.png")
