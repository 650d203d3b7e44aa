"""Tests of quinnoa/sweep.py by a command that is stopped, killed, and robbed of a worker."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import psutil
import pytest

from tests.models import mlp

DEVICES = ("xc7z010", "xc7z020", "xczu3eg", "lfe5u-25f", "xc7z045")


def start(models, folder):
    """Start the command: 4 models on 5 devices in 10 folds, on two workers."""
    devices = [word for device in DEVICES for word in ("--device", device)]
    with said(folder).open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "quinnoa.cli", "explore", *map(str, models), *devices,
             "--points", "10", "--workers", "2", "-o", str(folder)], stdout=output,
            stderr=subprocess.STDOUT, cwd=Path(__file__).parents[2], start_new_session=True,
            # In the background of a shell it is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def said(folder):
    """Return the file of what the command says."""
    return folder.with_suffix(".txt")


def results(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "results").glob("*.json")}


def wait_for(process, folder, count):
    """Wait until so many results are there."""
    deadline = time.monotonic() + 300
    while len(results(folder)) < count:
        assert process.poll() is None, said(folder).read_text()
        assert time.monotonic() < deadline, f"{len(results(folder))} of {count} results"
        time.sleep(0.02)


def workers_of(process):
    return [child for child in psutil.Process(process.pid).children(recursive=True)
            if any("spawn_main" in word for word in child.cmdline())]


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_and_loses_no_more_than_time(tmp_path):
    models = [tmp_path / f"tiny{k}.onnx" for k in range(4)]
    for k, model in enumerate(models):
        onnx.save(mlp((32, 8, 4), w_bits=2, a_bits=2, seed=k), model)
    whole = start(models, tmp_path / "whole")
    assert whole.wait(timeout=300) == 0, said(tmp_path / "whole").read_text()
    expected = (tmp_path / "whole" / "points.json").read_bytes()
    kinds = [json.loads(path.read_text())["kind"]
             for path in (tmp_path / "whole" / "results").iterdir()]
    assert (kinds.count("point"), kinds.count("range")) == (200, 20)

    folder = tmp_path / "disturbed"
    (folder / "results").mkdir(parents=True)
    (folder / "explore.json").write_text("{}")
    # Ctrl-C, which the workers get, too.
    process = start(models, folder)
    wait_for(process, folder, 40)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=120) == 1
    assert said(folder).read_text() == (f"error: stopped; {folder} keeps what is done, and the "
                                        "same command goes on from there\n")
    stopped = results(folder)
    # Killed: its workers end by themselves.
    process = start(models, folder)
    wait_for(process, folder, max(90, len(stopped) + 10))
    workers = workers_of(process)
    assert len(workers) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = results(folder)
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert not (folder / "points.json").exists()
    # A worker is lost.
    process = start(models, folder)
    wait_for(process, folder, max(140, len(killed) + 10))
    os.kill(workers_of(process)[0].pid, signal.SIGKILL)
    assert process.wait(timeout=300) == 0, said(folder).read_text()

    last = results(folder)
    assert len(killed) < 220 and set(last) == set(results(tmp_path / "whole"))
    assert all(last[name] == when for name, when in {**killed, **stopped}.items())
    assert (folder / "points.json").read_bytes() == expected
