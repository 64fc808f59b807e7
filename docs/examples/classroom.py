# %% [markdown]
# # From the classroom: functions, formulas and arrays
#
# A particle in a box with a step, as a Python function. `breakpoints` says where it jumps.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qpinn

plt.style.use("column.mplstyle")


def step(x):
    return 20.0 if x > 0.5 else 0.0


box = qpinn.solve(step, domain=(0, 1), breakpoints=[0.5], states=3)
print(box)

# %% [markdown]
# The well of Poeschl and Teller as a formula with named numbers: E_n = -(3 - n)^2.

# %%
sech = qpinn.solve("-V0*sech(a*x)^2", domain=(-12, 12), parameters={"V0": 12, "a": 1}, states=3)
print("Poeschl-Teller:", ", ".join(f"{energy:.10f}" for energy in sech.energies))

# %% [markdown]
# Two arrays: an oscillator at 41 positions, a spline between them.

# %%
x = np.linspace(-6, 6, 41)
oscillator = qpinn.solve((x, x**2), states=3)
print("oscillator:", ", ".join(f"{energy:.10f}" for energy in oscillator.energies))
box.plot_levels()
plt.savefig("classroom.png")
