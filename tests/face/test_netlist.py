"""Tests of quinnoa/netlist.py; test_gates.py runs what it makes."""

import os
import shutil
from pathlib import Path

import pytest

from quinnoa import netlist
from quinnoa.errors import QuinnoaError
from quinnoa.synthesis import Cells


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a compiled folder, as far as a netlist needs it; synthesis is a matter of nothing."""
    def synthesise(source, *, folder, outputs, **_):
        for name in outputs:
            shutil.copyfile(folder / source, folder / name)
        return {"mvtu0": Cells({"LUT6": 3})}

    monkeypatch.setattr(netlist, "synthesise", synthesise)
    (tmp_path / "top.v").write_text("module top(); endmodule\n")
    return tmp_path


def made(folder):
    return netlist.netlist_of(folder, name="top", family="xc7")


def test_it_is_made_once_for_each_verilog(folder, monkeypatch):
    first = made(folder)
    assert first.figures["layers"]["mvtu0"]["lut"] == first.figures["totals"]["lut"] == 3
    with monkeypatch.context() as patch:
        patch.setattr(netlist, "synthesise", None)
        assert made(folder) == first
    (folder / "top.v").write_text("module top(); wire w; endmodule\n")
    assert netlist.kept_netlist(folder, name="top", family="xc7") is None
    assert made(folder).verilog.read_text() == (folder / "top.v").read_text()


def test_two_that_make_it_at_once_do_not_disturb_one_another(folder, monkeypatch):
    def late(source, target, replace=os.replace):
        if Path(target).name == netlist.FOLDER:
            shutil.copytree(source, target)        # another was faster
        replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    assert made(folder).verilog.read_text() == (folder / "top.v").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["netlist", "top.v"]


def test_what_fails_leaves_its_log(folder, monkeypatch):
    def fails(source, *, folder, **_):
        (folder / "synthesis.log").write_text("it was so")
        raise QuinnoaError(f"synthesis failed; {folder / 'synthesis.log'} has it all")

    monkeypatch.setattr(netlist, "synthesise", fails)
    with pytest.raises(QuinnoaError, match=f"^synthesis failed; {folder / 'synthesis.log'} has it "
                                           "all$"):
        made(folder)
    assert (folder / "synthesis.log").read_text() == "it was so"
    assert sorted(path.name for path in folder.iterdir()) == ["synthesis.log", "top.v"]
