# %% [markdown]
# # Graded layers
#
# A layer may end with another offset or mass than it begins with: `data/graded_well.csv` has the column
# offset_end, and its layers make a parabola of straight pieces.

# %%
import matplotlib.pyplot as plt

import qpinn

plt.style.use("column.mplstyle")
graded = qpinn.solve(qpinn.potentials.layers("data/graded_well.csv"), units="semiconductor", states=4)
print("graded well:", ", ".join(f"{energy:.9f}" for energy in graded.energies), "eV")

# %% [markdown]
# A mass that varies with position and nothing else: 20 nm in which it grows from 0.04 to 0.12 m_e.

# %%
growing = qpinn.potentials.layers(thickness=[20.0], offset=[0.0], mass=[0.04], mass_end=[0.12])
heavier = qpinn.solve(growing, units="semiconductor", states=3)
print("growing mass:", ", ".join(f"{energy:.9f}" for energy in heavier.energies), "eV")

# %% [markdown]
# The same mass as a formula, beside any potential.

# %%
box = qpinn.potentials.infinite_well((0, 20))
formula = qpinn.solve(box, hamiltonian={"mass": "0.04 + 0.004*x"}, units="semiconductor", states=3)
print("by formula:  ", ", ".join(f"{energy:.9f}" for energy in formula.energies), "eV")

# %% [markdown]
# A well whose interfaces have diffused over s: error functions, with a mass for the whole structure.

# %%
diffused = qpinn.solve(
    "V0*(1 - (erf((x + w/2)/s) - erf((x - w/2)/s))/2)", domain=(-14, 14), states=2,
    parameters={"V0": 0.25, "w": 9.0, "s": 2.0}, units={"name": "semiconductor", "mass": 0.067},
)  # fmt: skip
print("diffused well:", ", ".join(f"{energy:.9f}" for energy in diffused.energies), "eV")
graded.plot_levels()
plt.savefig("graded_well.png")
