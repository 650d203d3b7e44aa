"""Vivado IP: packages a bare top, ready-made and as a script for Vivado's own packager.

``component.xml`` describes it in IP-XACT (IEEE 1685-2009, with the vendor extensions that Vivado
asks for); ``package_ip.tcl`` has Vivado make the same (UG1118).
"""

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from amaranth import Shape
from amaranth.lib.wiring import In

__all__ = ["Bus", "buses_of", "component_xml", "package_tcl", "ports_of"]

VENDOR, LIBRARY, VERSION = "quinnoa", "accelerators", "1.0"
# Families as Vivado names them.
FAMILIES: dict[str, tuple[str, ...]] = {
    "xc7": ("artix7", "kintex7", "spartan7", "virtex7", "zynq"),
    "xcup": ("artixuplus", "kintexuplus", "virtexuplus", "zynquplus", "zynquplusRFSOC")}
FAMILIES["generic"] = FAMILIES["xc7"] + FAMILIES["xcup"]

SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX = "http://www.xilinx.com"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PART = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Bus:
    """An interface of the IP.

    Parameters
    ----------
    name : str
    kind : (str, str)
        Library and name of its type, of vendor xilinx.com: the abstraction is ``NAME_rtl``.
    mode : str
        "slave" or "master".
    ports : dict of str to str
        By the name in the type the name in the Verilog.
    parameters : dict of str to str
    address_range : int
        Bytes behind it, if it has addresses; else 0.
    """

    name: str
    kind: tuple[str, str]
    mode: str
    ports: dict[str, str]
    parameters: dict[str, str]
    address_range: int = 0


def ports_of(top):
    """Return by name the direction, "in" or "out", and the width of every port of a top."""
    ports = {"clk": ("in", 1), "rst": ("in", 1)}
    for path, member, _ in top.signature.flatten(top):
        name = "_".join(map(str, path))
        ports[name] = "in" if member.flow is In else "out", Shape.cast(member.shape).width
    return ports


def buses_of(top):
    """Return the interfaces of a ``BareTop`` or an ``AxiStream``: every port is in one of them."""
    ports = ports_of(top)

    def signals(prefix):
        return {port[len(prefix) + 1:].upper(): port for port in ports
                if port.startswith(f"{prefix}_")}

    buses = [Bus("s_axis", ("interface", "axis"), "slave", signals("s_axis"), {}),
             Bus("m_axis", ("interface", "axis"), "master", signals("m_axis"), {})]
    if any(port.startswith("s_axilite_") for port in ports):
        buses.append(Bus("s_axilite", ("interface", "aximm"), "slave", signals("s_axilite"),
                         {"PROTOCOL": "AXI4LITE"}, 1 << ports["s_axilite_awaddr"][1]))
    together = ":".join(bus.name for bus in buses)
    return [*buses,
            Bus("clk", ("signal", "clock"), "slave", {"CLK": "clk"},
                {"ASSOCIATED_BUSIF": together, "ASSOCIATED_RESET": "rst"}),
            Bus("rst", ("signal", "reset"), "slave", {"RST": "rst"},
                {"POLARITY": "ACTIVE_HIGH"})]


def _check(name, family, part=None):
    """Refuse names that Vivado, Tcl or XML might take for something else."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"an IP's name is letters, digits and _, a letter first: not {name!r}")
    if family not in FAMILIES:
        raise ValueError(f"family must be {', '.join(FAMILIES)}: it is {family!r}")
    if part is not None and not _PART.fullmatch(part):
        raise ValueError(f"a part's name is small letters, digits and -: not {part!r}")


class _Writer:
    """Adds elements to elements."""

    def __init__(self, name):
        ET.register_namespace("spirit", SPIRIT)
        ET.register_namespace("xilinx", XILINX)
        self.root = ET.Element(f"{{{SPIRIT}}}{name}")

    def add(self, parent, name, text=None, /, *, space=SPIRIT, **attributes):
        element = ET.SubElement(parent, f"{{{space}}}{name}",
                                {f"{{{space}}}{key}": value for key, value in attributes.items()})
        element.text = None if text is None else str(text)
        return element

    def parameters(self, parent, values, prefix):
        """Add named values."""
        if values:
            parent = self.add(parent, "parameters")
        for name, value in values.items():
            parameter = self.add(parent, "parameter")
            self.add(parameter, "name", name)
            self.add(parameter, "value", value, id=f"{prefix}.{name}")


def component_xml(top, *, name, family="generic"):
    """Return ``component.xml`` of a top whose Verilog is ``NAME.v``, module NAME, beside it.

    Parameters
    ----------
    top : BareTop or AxiStream
    name : str
        Letters, digits and _.
    family : str
        "generic", "xc7" or "xcup": where it can be used.
    """
    _check(name, family)
    xml = _Writer("component")
    for tag, text in (("vendor", VENDOR), ("library", LIBRARY), ("name", name),
                      ("version", VERSION)):
        xml.add(xml.root, tag, text)
    buses = buses_of(top)
    interfaces = xml.add(xml.root, "busInterfaces")
    for bus in buses:
        _add_bus(xml, interfaces, bus)
    _add_memory_maps(xml, buses)
    _add_model(xml, ports_of(top), name)
    file_sets = xml.add(xml.root, "fileSets")
    for view in ("synthesis", "simulation"):
        files = xml.add(file_sets, "fileSet")
        xml.add(files, "name", f"{view}_fileset")
        file = xml.add(files, "file")
        xml.add(file, "name", f"{name}.v")
        xml.add(file, "fileType", "verilogSource")
    xml.add(xml.root, "description", f"{name}: a streaming neural network accelerator")
    parameter = xml.add(xml.add(xml.root, "parameters"), "parameter")
    xml.add(parameter, "name", "Component_Name")
    xml.add(parameter, "value", f"{name}_v1_0", resolve="user", id="PARAM_VALUE.Component_Name",
            order="1")
    _add_extensions(xml, name, family)
    ET.indent(xml.root)
    return ET.tostring(xml.root, encoding="unicode", xml_declaration=True) + "\n"


def _add_bus(xml, interfaces, bus):
    interface = xml.add(interfaces, "busInterface")
    xml.add(interface, "name", bus.name)
    library, kind = bus.kind
    for tag, suffix in (("busType", ""), ("abstractionType", "_rtl")):
        xml.add(interface, tag, vendor="xilinx.com", library=library, name=kind + suffix,
                version="1.0")
    mode = xml.add(interface, bus.mode)
    if bus.address_range:
        xml.add(mode, "memoryMapRef", memoryMapRef=bus.name)
    maps = xml.add(interface, "portMaps")
    for logical, physical in bus.ports.items():
        port_map = xml.add(maps, "portMap")
        xml.add(xml.add(port_map, "logicalPort"), "name", logical)
        xml.add(xml.add(port_map, "physicalPort"), "name", physical)
    xml.parameters(interface, bus.parameters, f"BUSIFPARAM_VALUE.{bus.name.upper()}")


def _add_memory_maps(xml, buses):
    addressed = [bus for bus in buses if bus.address_range]
    maps = xml.add(xml.root, "memoryMaps") if addressed else None
    for bus in addressed:
        memory_map = xml.add(maps, "memoryMap")
        xml.add(memory_map, "name", bus.name)
        block = xml.add(memory_map, "addressBlock")
        for tag, text in (("name", "reg0"), ("baseAddress", 0), ("range", bus.address_range),
                          ("width", 32), ("usage", "register")):
            xml.add(block, tag, text)


def _add_model(xml, ports, name):
    model = xml.add(xml.root, "model")
    views = xml.add(model, "views")
    for view, environment in (("synthesis", "synthesis"), ("simulation", "simulation")):
        element = xml.add(views, "view")
        xml.add(element, "name", {"synthesis": "xilinx_anylanguagesynthesis",
                                  "simulation": "xilinx_anylanguagebehavioralsimulation"}[view])
        xml.add(element, "envIdentifier", f":vivado.xilinx.com:{environment}")
        xml.add(element, "language", "Verilog")
        xml.add(element, "modelName", name)
        xml.add(xml.add(element, "fileSetRef"), "localName", f"{view}_fileset")
    listed = xml.add(model, "ports")
    for port, (direction, width) in ports.items():
        element = xml.add(listed, "port")
        xml.add(element, "name", port)
        wire = xml.add(element, "wire")
        xml.add(wire, "direction", direction)
        if width > 1:
            vector = xml.add(wire, "vector")
            xml.add(vector, "left", width - 1)
            xml.add(vector, "right", 0)


def _add_extensions(xml, name, family):
    core = xml.add(xml.add(xml.root, "vendorExtensions"), "coreExtensions", space=XILINX)
    families = xml.add(core, "supportedFamilies", space=XILINX)
    for each in FAMILIES[family]:
        xml.add(families, "family", each, space=XILINX, lifeCycle="Production")
    xml.add(xml.add(core, "taxonomies", space=XILINX), "taxonomy", "/UserIP", space=XILINX)
    xml.add(core, "displayName", name, space=XILINX)
    xml.add(core, "coreRevision", 1, space=XILINX)


_SCRIPT = """\
# Packages NAME.v as an IP with Vivado's own packager, in the folder packaged:
#   vivado -mode batch -source package_ip.tcl
set here [file dirname [file normalize [info script]]]
set part [lindex [get_parts PART*] 0]
create_project -force package_NAME [file join $here package_project] -part $part
add_files -norecurse [list [file join $here NAME.v]]
set_property top NAME [current_fileset]
ipx::package_project -root_dir [file join $here packaged] -vendor VENDOR -library LIBRARY \\
    -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name NAME $core
set_property version VERSION $core
set_property display_name NAME $core
set_property description {NAME: a streaming neural network accelerator} $core
set_property supported_families {FAMILIES} $core

# Interfaces: as they are, not as they might be guessed.
ipx::remove_all_bus_interface $core
foreach map [ipx::get_memory_maps * -of_objects $core] {
    ipx::remove_memory_map [get_property name $map] $core
}
"""

_END = """
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
"""


def package_tcl(top, *, name, family="generic", part="xc7z020"):
    """Return ``package_ip.tcl`` for the same; ``part`` is any that the Vivado at hand has."""
    _check(name, family, part)
    words = {"NAME": name, "PART": part, "VENDOR": VENDOR, "LIBRARY": LIBRARY, "VERSION": VERSION,
             "FAMILIES": " ".join(f"{each} Production" for each in FAMILIES[family])}
    lines = [re.sub("|".join(words), lambda found: words[found[0]], _SCRIPT)]
    for bus in buses_of(top):
        library, kind = bus.kind
        lines += [f"set bus [ipx::add_bus_interface {bus.name} $core]",
                  f"set_property bus_type_vlnv xilinx.com:{library}:{kind}:1.0 $bus",
                  f"set_property abstraction_type_vlnv xilinx.com:{library}:{kind}_rtl:1.0 $bus",
                  f"set_property interface_mode {bus.mode} $bus"]
        lines += [f"set_property physical_name {physical} [ipx::add_port_map {logical} $bus]"
                  for logical, physical in bus.ports.items()]
        lines += [f"set_property value {value} [ipx::add_bus_parameter {key} $bus]"
                  for key, value in bus.parameters.items()]
        if bus.address_range:
            lines += [f"set map [ipx::add_memory_map {bus.name} $core]",
                      f"set_property slave_memory_map_ref {bus.name} $bus",
                      "set block [ipx::add_address_block reg0 $map]",
                      "set_property base_address 0 $block",
                      f"set_property range {bus.address_range} $block",
                      "set_property width 32 $block",
                      "set_property usage register $block"]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n" + _END
