"""Every config that ships is a run, and every key is read."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import _cli
import _overrides
import pytest
import sensitivity
import yaml

from qpinn.drivers import eigenstates
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics.potentials.base import dimension, has_kinks

CONFIGS = _cli.CONFIGS
DATA = Path(__file__).parent / "data"
STARTS = yaml.safe_load((CONFIGS / "sensitivity.yaml").read_text())["starts"]


def _words(path: Path) -> list[str]:
    """The overrides that select a config file, with what it cannot do without."""
    group = str(path.relative_to(CONFIGS).parts[0])
    name = str(path.relative_to(CONFIGS / group).with_suffix(""))
    also = {
        "sampling=random": ["optimizer=adam"],
        "potential=sampled": [f"potential.file={DATA / 'well.csv'}"],
        "potential=layers": [f"potential.file={DATA / 'quantum_well.csv'}", "units=semiconductor"],
        "units=rotor": ["units.constant=1"],
        "potential=oscillator_chain": ["potential.dimension=2"],  # more are solved among products, not trained
    }
    return [f"{group}={name}", *also.get(f"{group}={name}", [])]


OTHERS = {"leads", "packet", "drive", "time"}
"""Groups that train.py does not have: those of scatter.py (tests/drivers/test_scatter.py) and of evolve.py
(tests/test_evolve_script.py)."""
LAUNCHERS = sorted((CONFIGS / "hydra" / "launcher").iterdir())  # Hydra's plugins read these
EVERY = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent != CONFIGS and path not in LAUNCHERS)
FILES = [path for path in EVERY if path.parent.name not in OTHERS and path.stem not in OTHERS]


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_config_runs_a_few_steps(path):
    words = [*_words(path), "optimizer.steps=3", "network.width=4"]
    potential, settings = _cli.read(_overrides.composed(words))
    if path.parent.name == "potential" and not has_kinks(potential):  # on the route that compiles least
        words += ["ansatz=envelope", "start=random", f"sampling.points={8 if dimension(potential) == 1 else 3}"]
        _, settings = _cli.read(_overrides.composed(words))
    solution = eigenstates.run(potential, settings)
    assert solution.status == "finished"
    assert solution.steps == (0 if settings.shared else 3)
    assert solution.measured[0].loss > 0


def test_the_defaults_of_the_files_are_the_defaults_of_the_library():
    _, settings = _cli.read(_overrides.composed([]))
    assert settings == eigenstates.Settings()


def _read_attributes() -> set[str]:
    """Every attribute and string that the code of the package and the scripts mentions."""
    words = set()
    for folder in ("qpinn", "scripts"):
        for path in (_cli.ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    words.add(node.attr)
                elif isinstance(node, (ast.keyword, ast.arg)):
                    words.add(node.arg)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    words.add(node.value)
    return words


def test_no_key_that_nobody_reads():
    words = _read_attributes()

    def keys(value, inside_hydra=False):
        for key, entry in value.items() if isinstance(value, dict) else ():
            if key in ("defaults", "hydra"):
                continue
            yield key
            yield from keys(entry)

    for path in [*CONFIGS.glob("*.yaml"), *EVERY]:
        for key in keys(yaml.safe_load(path.read_text())):
            assert key in words, f"{path}: nobody reads {key}"


def test_configs_hold_values_and_no_code():
    for path in set(CONFIGS.rglob("*.yaml")) - set(LAUNCHERS):
        assert "_target_" not in path.read_text()


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_every_key_of_a_launcher_is_one_that_its_plugin_has(path):
    extra = path.stem.split("_")[0]
    plugin = pytest.importorskip(f"hydra_plugins.hydra_{extra}_launcher.config", reason=f"extra {extra} not installed")
    values = yaml.safe_load(path.read_text())
    (known,) = (
        entry for entry in vars(plugin).values()
        if dataclasses.is_dataclass(entry) and getattr(entry, "_target_", None) == values["_target_"]
    )  # fmt: skip
    assert set(values) <= {field.name for field in dataclasses.fields(known)}


def _study():
    """Every sweep of configs/sensitivity.yaml."""
    plans = yaml.safe_load((CONFIGS / "sensitivity.yaml").read_text())
    return [entry for route in plans if route != "starts" for entry in sensitivity.entries(route, plans[route])]


@pytest.mark.parametrize("entry", _study(), ids=lambda entry: " ".join(entry.words))
def test_every_sweep_of_the_study_can_be_run(entry):
    potential, settings = _cli.read(_overrides.composed([*entry.words, f"sweep.seeds={STARTS}"], "sweep"))
    assert potential.name == entry.well
    assert settings.start.name == {"default": "ritz", "paper": "random"}.get(entry.route, "variational")
    Sweep(seeds=STARTS).check(settings)


def test_the_study_has_enough_starts_and_no_sweep_twice():
    assert STARTS >= 256
    folders = [entry.folder for entry in _study()]
    assert len(set(folders)) == len(folders)
    assert not any(set(str(folder)) & set("[]{}=, ") for folder in folders)


def test_the_papers_route_is_the_papers():
    for name in ("infinite_well", "finite_well", "barrier"):
        potential, settings = _cli.read(_overrides.composed([f"experiment=paper/{name}"]))
        assert potential.name == name
        chosen = (settings.ansatz.name, settings.start.name, settings.optimizer.name, settings.network.activation)
        assert chosen == ("envelope", "random", "adam", "tanh")
        assert settings.energy.name == ("fixed" if name == "infinite_well" else "trainable")
        assert settings.loss.norm > 0
