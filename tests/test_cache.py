"""Processes that share a cache of compiled programmes never see half of an entry."""

from __future__ import annotations

import os
import subprocess
import sys

import _cache
import jax
import pytest
from jax._src import compilation_cache
from tests_support import ROOT

PROCESS = """
import pathlib, sys, time, warnings
sys.path.insert(0, {scripts!r})
import _cache
import jax, jax.numpy as jnp
from jax._src import compilation_cache, lru_cache

def slowly(path, data):  # as a busy disk does
    with path.open("wb") as stream:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            stream.write(part)
            stream.flush()
            time.sleep(0.1)
type(lru_cache.pathlib.Path(".")).write_bytes = slowly

warnings.simplefilter("error")
folder, name, other = map(pathlib.Path, sys.argv[1:])
for turn in range(5):
    name.with_suffix(f".{{turn}}").touch()
    limit = time.monotonic() + 60
    while not other.with_suffix(f".{{turn}}").exists():
        assert time.monotonic() < limit
        time.sleep(0.001)
    time.sleep(0.07 * (turn if name.name == "a" else 0))
    compilation_cache.reset_cache()
    jax.clear_caches()
    _cache.use(str(folder / f"turn-{{turn}}"))
    assert float(jax.jit(lambda x: jnp.sin(x) + turn)(0.0)) == turn
"""


def test_two_processes_on_an_empty_cache(tmp_path):
    """Five times, one some time after the other, each entry written in two halves."""
    names = [tmp_path / "a", tmp_path / "b"]
    code = PROCESS.format(scripts=str(ROOT / "scripts"))
    both = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, *order], stderr=subprocess.PIPE, text=True)
        for order in (names, names[::-1])
    ]
    ended = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    left = [path.name for path in tmp_path.glob("turn-*/*")]
    assert len(left) >= 5
    assert all(name.endswith("-checked") for name in left)  # and nothing temporary


def test_of_many_processes_that_need_a_programme_one_compiles_it(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import _cache, jax, os, time\n"
        "written, replace = [], os.replace\n"
        "os.replace = lambda one, other: (written.append(other), replace(one, other))\n"
        "_cache.use(sys.argv[1]); import jax.numpy as jnp\n"
        "for n in range(3): jax.jit(lambda x: jnp.linalg.svd(jnp.sin(x) + n)[1])(jnp.ones((5, 5)))\n"
        "print(len(written))"
    )
    many = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    ended = [process.communicate(timeout=120) for process in many]
    assert [errors for _, errors in ended] == [""] * 6
    assert sum(int(out) for out, _ in ended) == len(list(tmp_path.glob("*-checked")))
    assert all(path.name.endswith("-checked") for path in tmp_path.iterdir())  # no locks are left


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:40], lambda data: b"", lambda data: data[:999] + bytes([data[999] ^ 1]) + data[1000:]],
    ids=["cut", "empty", "one bit"],
)
def test_a_damaged_entry_is_compiled_again_and_mended(tmp_path, damage):
    run = _program(tmp_path)
    run()
    whole = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path, data in whole.items():
        path.write_bytes(damage(data))
    run()
    assert {path: len(path.read_bytes()) for path in tmp_path.iterdir()} == {
        path: len(data) for path, data in whole.items()
    }


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cache"
    assert _program(folder)(said=True) == f"compiled programmes are not kept: {folder}: Not a directory\n"


def _program(folder):
    """Run a small one with its cache in `folder`; what it says on stderr."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import _cache, jax; _cache.use(sys.argv[1])\n"
        "import jax.numpy as jnp; assert jax.jit(lambda x: 2 * x)(3.0) == 6"
    )

    def run(said=False):
        command = [sys.executable, "-c", code, folder]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        assert finished.returncode == 0, finished.stderr
        assert said or finished.stderr == ""
        return finished.stderr

    return run


def test_a_jax_without_a_place_for_a_cache_keeps_none(monkeypatch, tmp_path):
    monkeypatch.delattr(compilation_cache, "get_file_cache")
    before = jax.config.jax_compilation_cache_dir
    _cache.use(str(tmp_path))
    assert jax.config.jax_compilation_cache_dir == before


def test_a_cache_that_verifies_stays_what_it_is(tmp_path):
    jax.config.update("jax_compilation_cache_check_contents", True)
    try:
        cache, _ = compilation_cache.get_file_cache(str(tmp_path))
    finally:
        jax.config.update("jax_compilation_cache_check_contents", False)
    assert isinstance(cache, compilation_cache.VerificationCache)
