"""Every key of a run with values that it cannot have: status 2 and one line that begins with the key."""

from __future__ import annotations

import _cli
import _overrides
import _resume
import pytest

VALUES = ("x", "nan", "inf", "-inf", "1e300", "-1", "0", "''", "[]", "[1,2,3]", "{a: 1}", "true", "1e-400", "null")
ALLOWED = {
    "network.width=null", "network.shared=true", "network.shared=null", "ansatz.phase=null", "energy.initial=-1",
    "energy.initial=0", "optimizer.steps=null", "ends.theta=0", "units.mass=null", "states=null", "state=0",
    "state=null", "tol=null", "seed=0", "loss.norm=0", "loss.orthogonality=0", "loss.unit=null", "output=x",
    "figures.animate=true", "save_every=1e300", "requeue=true", "resume=x", "debug=true",
    "units.length=null", "units.energy=null", "units.mass_unit=null", "hamiltonian.deltas=[]", "hamiltonian.mass=null",
    "ends.axes=null",
}  # fmt: skip
"""What is a value that the key can have; resume=x is looked for later."""

WORDS = [f"{key}={value}" for key in _overrides.leaves(_cli.plain(_overrides.composed([]))) for value in VALUES]
EVERY = 4
"""Which of them are tried each time; the rest takes a minute."""


@pytest.mark.parametrize(
    "word",
    [word if index % EVERY == 0 else pytest.param(word, marks=pytest.mark.long) for index, word in enumerate(WORDS)],
)
def test_a_value_is_taken_or_refused_in_one_line(capsys, word):
    def check():
        config = _overrides.check([word], multirun=False)
        _resume.check(config)
        _cli.check_writable(config.output)

    if word in ALLOWED:
        check()
        return
    with pytest.raises(_cli.Failed) as refused:
        check()
    assert refused.value.code == _cli.BAD_INPUT
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {word.partition('=')[0].split('.')[0]}"), shown
    assert shown.count("\n") == 1
