# %% [markdown]
# # Radial equations with l
#
# u = r R obeys the equation in one dimension with l (l + 1) / r^2 beside the potential. Hydrogen in atomic units, where
# H = -(1/2) d^2/dr^2 + ..., l = 1: E = -1 / 2 n^2, n = 2, 3. The wall stands at 1e-3, off the pole.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
hydrogen = qpinn.solve(
    "l*(l + 1)/(2*x^2) - Z/x", domain=(1e-3, 60), parameters={"l": 1, "Z": 1}, states=2, units="atomic"
)
print(hydrogen)

# %% [markdown]
# The oscillator in three dimensions, l = 2: E = 4 k + 2 l + 3, without units.

# %%
oscillator = qpinn.solve("l*(l + 1)/x^2 + x^2", domain=(1e-2, 7), parameters={"l": 2}, states=3)
print("oscillator:", ", ".join(f"{energy:.10f}" for energy in oscillator.energies))
oscillator.plot_levels()
plt.savefig("radial.png")
