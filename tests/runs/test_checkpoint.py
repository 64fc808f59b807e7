"""Parameters survive the disk, and damage is noticed."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.runs import checkpoint

PARAMS = {"psi": {"a": jnp.arange(6.0).reshape(2, 3), "b": jnp.zeros(0)}, "energy": jnp.asarray(2.5)}


def test_a_round_trip_is_exact(tmp_path):
    path = tmp_path / "parameters.npz"
    checkpoint.save(path, PARAMS)
    back = checkpoint.load(path, PARAMS)
    np.testing.assert_array_equal(back["psi"]["a"], PARAMS["psi"]["a"])
    assert back["energy"].shape == ()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parameters.json", "parameters.npz"]


@pytest.mark.parametrize("position", [10, 200, -5])
def test_one_flipped_bit_is_noticed(tmp_path, position):
    path = tmp_path / "parameters.npz"
    checkpoint.save(path, PARAMS)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(path, PARAMS)


def test_other_shapes_names_and_missing_files_are_named(tmp_path):
    path = tmp_path / "parameters.npz"
    with pytest.raises(ValueError, match=r"parameters\.npz: cannot be read"):
        checkpoint.load(path, PARAMS)
    checkpoint.save(path, PARAMS)
    with pytest.raises(ValueError, match=r"energy is float64\[\], expected float64\[1\]"):
        checkpoint.load(path, {**PARAMS, "energy": jnp.ones(1)})
    with pytest.raises(ValueError, match="has no array other"):
        checkpoint.load(path, {**PARAMS, "other": jnp.ones(1)})


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    checkpoint.write_atomically(path, b"old")
    with pytest.raises(TypeError):
        checkpoint.write_atomically(path, "not bytes")
    assert path.read_bytes() == b"old"
