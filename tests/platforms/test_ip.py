# amaranth: UnusedElaboratable=no
"""Tests of platforms/ip.py: component.xml against the Verilog, and the script in Tcl."""

import os
import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import pytest

from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.bare import BareTop
from quinnoa.platforms.ip import buses_of, component_xml, package_tcl, ports_of
from quinnoa.verilog import to_verilog
from tests.platforms.test_bare import make_core

S = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"
X = "{http://www.xilinx.com}"

# What a stream, a register port, a clock and a reset must have (UG1037, tables A-1 and 2-1).
NEEDED = {
    "axis": {"TDATA", "TVALID", "TREADY"},
    "aximm": {"AWADDR", "AWVALID", "AWREADY", "WDATA", "WSTRB", "WVALID", "WREADY", "BRESP",
              "BVALID", "BREADY", "ARADDR", "ARVALID", "ARREADY", "RDATA", "RRESP", "RVALID",
              "RREADY"},
    "clock": {"CLK"}, "reset": {"RST"},
}

# UG835 and UG1118: all that the script uses; handles are told by what they are of.
RECORDER = r"""
set log [open [lindex $argv 1] w]
namespace eval ipx {}
foreach command {
    add_files close_project create_project current_fileset get_parts get_property set_property
    ipx::add_address_block ipx::add_bus_interface ipx::add_bus_parameter ipx::add_memory_map
    ipx::add_port_map ipx::check_integrity ipx::create_xgui_files ipx::current_core
    ipx::get_memory_maps ipx::package_project ipx::remove_all_bus_interface
    ipx::remove_memory_map ipx::save_core ipx::update_checksums
} {
    proc $command args [format {
        puts $::log [list %1$s {*}$args]
        switch -glob %1$s {
            ipx::add_* { return "[lindex $args 1]/[lindex $args 0]" }
            ipx::current_core { return core }
            get_parts { return [lindex $args end] }
        }
        return
    } $command]
}
source [lindex $argv 0]
close $log
"""


def make_top(writable):
    kind = BareTop if writable else AxiStream
    return kind(make_core(0, writable), beats_in=3, beats_out=1)


@pytest.fixture(scope="module", params=[True, False], ids=["writable", "streams alone"])
def packaged(request, tmp_path_factory):
    """Write the IP; return its top, its folder and its component.xml."""
    top, folder = make_top(request.param), tmp_path_factory.mktemp("ip")
    (folder / "net.v").write_text(to_verilog(top, name="net"))
    (folder / "component.xml").write_text(component_xml(top, name="net"))
    (folder / "package_ip.tcl").write_text(package_tcl(top, name="net"))
    return top, folder, ET.parse(folder / "component.xml").getroot()


def text_of(element, path):
    return element.findtext("/".join(S + part for part in path.split("/")))


def verilog_ports(text):
    """Return the ports of module net: direction and width."""
    body = text[text.index("module net("):]
    body = body[:body.index("endmodule")]
    return {name: (direction[:-3] if direction != "output" else "out", int(left or 0) + 1)
            for direction, left, name in re.findall(
                r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.M)}


def test_every_port_of_the_verilog_is_listed(packaged):
    _, folder, root = packaged
    listed = {}
    for port in root.iter(f"{S}port"):
        left = text_of(port, "wire/vector/left")
        listed[text_of(port, "name")] = (text_of(port, "wire/direction"), int(left or 0) + 1)
    assert listed == verilog_ports((folder / "net.v").read_text())


def test_every_port_is_in_one_interface(packaged):
    _, folder, root = packaged
    mapped = []
    for bus in root.iter(f"{S}busInterface"):
        kind = bus.find(f"{S}busType").get(f"{S}name")
        logical = [text_of(each, "logicalPort/name") for each in bus.iter(f"{S}portMap")]
        assert NEEDED[kind] <= set(logical)
        assert bus.find(f"{S}abstractionType").get(f"{S}name") == f"{kind}_rtl"
        mapped += [text_of(each, "physicalPort/name") for each in bus.iter(f"{S}portMap")]
    assert sorted(mapped) == sorted(verilog_ports((folder / "net.v").read_text()))


def test_masters_drive_what_masters_drive(packaged):
    top, _, _ = packaged
    ports = ports_of(top)
    for bus in buses_of(top):
        for logical, physical in bus.ports.items():
            answers = logical in ("TREADY", "AWREADY", "WREADY", "ARREADY") or (
                logical[0] in "BR" and logical not in ("BREADY", "RREADY", "RST"))
            direction = "out" if (bus.mode == "master") != answers else "in"
            assert ports[physical][0] == direction, physical


def test_files_and_maps_are_there(packaged):
    top, folder, root = packaged
    files = {text_of(file, "name") for file in root.iter(f"{S}file")}
    assert files == {"net.v"} and all((folder / name).is_file() for name in files)
    sets = {text_of(each, "name") for each in root.iter(f"{S}fileSet")}
    assert {text_of(view, "fileSetRef/localName") for view in root.iter(f"{S}view")} == sets
    references = {each.get(f"{S}memoryMapRef") for each in root.iter(f"{S}memoryMapRef")}
    assert references == {text_of(each, "name") for each in root.iter(f"{S}memoryMap")}
    for block in root.iter(f"{S}addressBlock"):
        assert int(text_of(block, "range")) == 1 << len(top.s_axilite.awaddr)


def test_clock_and_reset_go_with_all_interfaces(packaged):
    top, _, root = packaged
    found = {}
    for bus in root.iter(f"{S}busInterface"):
        found[text_of(bus, "name")] = {text_of(each, "name"): text_of(each, "value")
                                       for each in bus.iter(f"{S}parameter")}
    streams = [name for name in found if name not in ("clk", "rst")]
    assert found["clk"] == {"ASSOCIATED_BUSIF": ":".join(streams), "ASSOCIATED_RESET": "rst"}
    assert found["rst"] == {"POLARITY": "ACTIVE_HIGH"}
    assert ("s_axilite" in streams) == ("s_axilite" in top.signature.members)


def test_elements_are_in_the_order_of_the_schema(packaged):
    order = ["vendor", "library", "name", "version", "busInterfaces", "memoryMaps", "model",
             "fileSets", "description", "parameters", "vendorExtensions"]
    found = [each.tag.removeprefix(S) for each in packaged[2]]
    assert found == [name for name in order if name in found]
    assert packaged[2].find(f"{S}vendorExtensions/{X}coreExtensions/{X}taxonomies") is not None


def run_tcl(folder):
    """Run the script in Tcl; return the commands as lists of words."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        if "CI" in os.environ:
            pytest.fail("tclsh is missing: install tcl")
        pytest.skip("tclsh is missing: install tcl")
    (folder / "recorder.tcl").write_text(RECORDER)
    said = subprocess.run([tclsh, folder / "recorder.tcl", folder / "package_ip.tcl",
                           folder / "log"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return [[braced or plain for braced, plain in re.findall(r"\{([^{}]*)\}|(\S+)", line)]
            for line in (folder / "log").read_text().splitlines()]


def test_the_script_lays_the_same_interfaces(packaged):
    top, folder, _ = packaged
    commands = run_tcl(folder)
    read = [words[-1] for words in commands if words[0] == "add_files"]
    assert read == [str(folder / "net.v")]
    properties = {(words[3], words[1]): words[2] for words in commands
                  if words[0] == "set_property" and len(words) == 4}
    for bus in buses_of(top):
        library, kind = bus.kind
        handle = f"core/{bus.name}"
        assert properties[handle, "bus_type_vlnv"] == f"xilinx.com:{library}:{kind}:1.0"
        assert properties[handle, "interface_mode"] == bus.mode
        for logical, physical in bus.ports.items():
            assert properties[f"{handle}/{logical}", "physical_name"] == physical
        for name, value in bus.parameters.items():
            assert properties[f"{handle}/{name}", "value"] == value
        if bus.address_range:
            assert properties[f"{handle}/reg0", "range"] == str(bus.address_range)
            assert properties[handle, "slave_memory_map_ref"] == bus.name
    added = [words[1] for words in commands if words[0] == "ipx::add_bus_interface"]
    assert added == [bus.name for bus in buses_of(top)]
    assert [words[0] for words in commands][-3:] == ["ipx::check_integrity", "ipx::save_core",
                                                     "close_project"]


@pytest.mark.parametrize("name", ["a b", "1net", "net;exec", "<net>", "$net", "[exec ls]", ""])
@pytest.mark.parametrize("write", [component_xml, package_tcl])
def test_refuses_names_that_are_more_than_names(write, name):
    with pytest.raises(ValueError) as raised:
        write(make_top(True), name=name)
    assert str(raised.value) == (f"an IP's name is letters, digits and _, a letter first: "
                                 f"not {name!r}")


@pytest.mark.parametrize("options, message", [
    ({"family": "ecp5"}, "family must be xc7, xcup, generic: it is 'ecp5'"),
    ({"part": "xc7z020*]; exec"},
     "a part's name is small letters, digits and -: not 'xc7z020*]; exec'"),
])
def test_refuses_what_vivado_does_not_know(options, message):
    with pytest.raises(ValueError) as raised:
        package_tcl(make_top(False), name="net", **options)
    assert str(raised.value) == message


def test_families_are_those_that_were_asked_for():
    text = component_xml(make_top(True), name="net", family="xcup")
    families = {each.text for each in ET.fromstring(text).iter(f"{X}family")}
    assert "zynquplus" in families and "zynq" not in families
