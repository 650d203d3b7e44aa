"""Gate level: the Verilog library of a family's cells, for netlists of Yosys.

The cells are Yosys' own descriptions of the vendors', but for block RAMs and the multiplier of
ECP5: it has none of those, so they are here, the block RAMs on the common ``block_rams.v``.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from quinnoa.errors import QuinnoaError
from quinnoa.synthesis import share_folder

__all__ = ["FAMILIES", "library"]

BLOCK_RAMS = Path(__file__).with_name("block_rams.v")
CELLS = {"xc7": "xilinx/cells_sim.v", "xcup": "xilinx/cells_sim.v",
         "ecp5": "lattice/cells_sim_ecp5.v"}
FAMILIES = tuple(CELLS)

# By name and generation: RAMB18E2 (UG573) is RAMB18E1 (UG473) with other names at its data ports.
_XILINX = {"1": ("DIADI", "DIPADIP", "DIBDI", "DIPBDIP", "DOADO", "DOPADOP", "DOBDO", "DOPBDOP"),
           "2": ("DINADIN", "DINPADINP", "DINBDIN", "DINPBDINP",
                 "DOUTADOUT", "DOUTPADOUTP", "DOUTBDOUT", "DOUTPBDOUTP")}


def library(family: str, kinds: Iterable[str] = ()) -> str:
    """Return Verilog with a module for every cell of ``family``.

    Parameters
    ----------
    family : str
    kinds : iterable of str
        The cells that must be in it.

    Raises
    ------
    QuinnoaError
        Yosys is missing, or has no cells for the family; or one of ``kinds`` has no description.
    """
    if family not in CELLS:
        raise QuinnoaError(f"there are no cells of the family {family}: gates are simulated for "
                           f"{', '.join(CELLS)}")
    if family == "ecp5":
        own = [_dp16kd(), _mult18x18d()]
    else:
        own = [_ramb(kilobits, generation) for kilobits in (18, 36) for generation in "12"]
    cells = _without(_read(share_folder() / CELLS[family], set()),
                     ("DP16KD", "RAMB18E1", "RAMB36E1"))
    text = "\n".join([cells, BLOCK_RAMS.read_text(), *own])
    missing = sorted(set(kinds) - set(re.findall(r"^\s*module (\w+)", text, flags=re.M)))
    if missing:
        raise QuinnoaError(f"gates of {family} cannot be simulated with {', '.join(missing)}: "
                           "there is no description of it")
    return text


def _read(path: Path, seen: set[str]) -> str:
    """Return a file and what it includes, each once, without the delays."""
    if path.name in seen:
        return ""
    seen.add(path.name)
    text = re.sub(r"^\s*specify\b.*?\bendspecify\b", "", path.read_text(), flags=re.M | re.S)
    return re.sub(r'^`include "(.+)"$', lambda found: _read(path.with_name(found[1]), seen), text,
                  flags=re.M)


def _without(text: str, modules: tuple[str, ...]) -> str:
    """Return Verilog without these modules."""
    for module in modules:
        text = re.sub(rf"^module {module}\b.*?^endmodule", "", text, flags=re.M | re.S)
    return text


def _init(name: str, words: int, bits: int) -> str:
    """Return the declarations of the parameters NAME_00, NAME_01, and so on."""
    return "".join(f"  parameter [{bits - 1}:0] {name}_{n:02X} = 0;\n" for n in range(words))


def _all(name: str, words: int) -> str:
    """Return those parameters as one, the first lowest."""
    return "{" + ", ".join(f"{name}_{n:02X}" for n in reversed(range(words))) + "}"


def _bus(name: str, width: int) -> str:
    """Return the pins NAME0, NAME1, and so on as one value."""
    return "{" + ", ".join(f"{name}{n}" for n in reversed(range(width))) + "}"


def _mult18x18d() -> str:
    """Return the multiplier of ECP5, its registers left out (FPGA-TN-02205)."""
    pins = ", ".join([f"{name}{n}" for name in "ABC" for n in range(18)])
    others = "SIGNEDA, SIGNEDB, SOURCEA, SOURCEB"
    product = ", ".join(f"P{n}" for n in range(36))
    return f"""
module MULT18X18D({pins}, {others}, {product});
  input {pins}, {others};
  output {product};
  wire signed [18:0] a = {{SIGNEDA & A17, {_bus("A", 18)}}}, b = {{SIGNEDB & B17, {_bus("B", 18)}}};
  wire signed [37:0] product = a * b;
  assign {_bus("P", 36)} = product[35:0];
endmodule
"""


def _dp16kd() -> str:
    """Return the block RAM of ECP5: 1024 words of 18 bits (FPGA-TN-02204)."""
    def inputs(port: str) -> str:
        names = [f"DI{port}{n}" for n in range(18)] + [f"AD{port}{n}" for n in range(14)]
        names += [f"{name}{port}" for name in ("CE", "OCE", "CLK", "WE", "RST")]
        names += [f"CS{port}{n}" for n in range(3)]
        return ", ".join(names)

    def parameters(port: str) -> str:
        # A port is a word of 36 bits only where it writes (A) or reads (B) alone, with the data
        # pins of both.
        return f"""
  parameter DATA_WIDTH_{port} = 18;
  parameter REGMODE_{port} = "NOREG";
  parameter WRITEMODE_{port} = "NORMAL";
  parameter CSDECODE_{port} = "0b000";
  parameter CLK{port}MUX = "CLK{port}";
  localparam MODE_{port} = WRITEMODE_{port} == "WRITETHROUGH" ? "WRITE_FIRST"
      : WRITEMODE_{port} == "READBEFOREWRITE" ? "READ_FIRST" : "NO_CHANGE";
  wire [13:0] address_{port} = {_bus(f"AD{port}", 14)};
  // Of wide words, the lowest bits of the address enable bytes.
  wire [7:0] enables_{port} = DATA_WIDTH_{port} == 36 ? address_{port}[3:0]
      : DATA_WIDTH_{port} == 18 ? address_{port}[1:0] : 1;
  wire enable_{port} = CE{port} && {_bus(f"CS{port}", 3)} == 0;
"""

    outputs = ", ".join(f"DO{port}{n}" for port in "AB" for n in range(18))
    return f"""
module DP16KD({inputs("A")}, {inputs("B")}, {outputs});
  input {inputs("A")}, {inputs("B")};
  output {outputs};
  parameter GSR = "ENABLED";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter INIT_DATA = "STATIC";
  parameter WID = 0;
{_init("INITVAL", 64, 320)}{parameters("A")}{parameters("B")}
  wire [71:0] a_out, b_out;
  wire [35:0] data = {{{_bus("DIB", 18)}, {_bus("DIA", 18)}}};
  block_ram #(
      .BITS(14), .INIT({_all("INITVAL", 64)}),
      .A_READ(DATA_WIDTH_A == 36 ? 0 : DATA_WIDTH_A), .A_WRITE(DATA_WIDTH_A),
      .B_READ(DATA_WIDTH_B), .B_WRITE(DATA_WIDTH_B == 36 ? 0 : DATA_WIDTH_B),
      .A_MODE(MODE_A), .B_MODE(MODE_B)
  ) ram (
      // A port that is not used may have no clock.
      .clk(CLKA | CLKB), .a_en(enable_A), .b_en(enable_B), .a_rst(RSTA), .b_rst(RSTB),
      .a_we({{8{{WEA}}}} & enables_A), .b_we({{8{{WEB}}}} & enables_B),
      .a_addr(address_A), .b_addr(address_B),
      .a_in(DATA_WIDTH_A == 36 ? data : data[17:0]), .b_in(data[35:18]),
      .a_out(a_out), .b_out(b_out));
  assign {_bus("DOA", 18)} = DATA_WIDTH_B == 36 ? b_out[17:0] : a_out[17:0];
  assign {_bus("DOB", 18)} = DATA_WIDTH_B == 36 ? b_out[35:18] : b_out[17:0];
  generate
    // RESETMODE does not matter: there are no resets on a memory.
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000"
        || CSDECODE_B != "0b000" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
      this_mode_of_DP16KD_is_not_described nowhere();
  endgenerate
endmodule
"""


def _ramb(kilobits: int, generation: str) -> str:
    """Return a block RAM of Xilinx: words of bytes, with a bit of parity each (UG473)."""
    name = f"RAMB{kilobits}E{generation}"
    scale = kilobits // 18                     # a RAMB36 is two RAMB18
    bits, data, words = 13 + scale, 16 * scale, 64 * scale
    count = data // 8                          # bytes of a port
    dia, dipa, dib, dipb, doa, dopa, dob, dopb = _XILINX[generation]

    def bytes_(d: str, p: str, n: int = count) -> str:
        """Join data and parity, byte for byte, the first lowest."""
        return ", ".join(f"{p}[{k}], {d}[{8 * k}+:8]" for k in reversed(range(n)))

    def spread(word: str, first: int) -> tuple[str, str]:
        """Part bytes of nine bits into data and parity."""
        at = [9 * (first + k) for k in reversed(range(count))]
        return (", ".join(f"{word}[{n}+:8]" for n in at), ", ".join(f"{word}[{n + 8}]" for n in at))

    a, ap = spread("a_out", 0)
    b, bp = spread("b_out", 0)
    high, highp = spread("a_out", count)
    wide = 36 * scale                          # the word of a port that has the data pins of both
    return f"""
module {name} (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB, SLEEP, ADDRENA, ADDRENB,
    input [{bits}:0] ADDRARDADDR, ADDRBWRADDR,
    input [{data - 1}:0] {dia}, {dib},
    input [{count - 1}:0] {dipa}, {dipb}, WEA,
    input [{2 * count - 1}:0] WEBWE,
    output [{data - 1}:0] {doa}, {dob},
    output [{count - 1}:0] {dopa}, {dopb}
);
  parameter DOA_REG = 0, DOB_REG = 0;
  parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0;
  parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST";
  parameter RAM_MODE = "TDP", RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE";
  parameter CLOCK_DOMAINS = "INDEPENDENT";
  parameter [{data + count - 1}:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0;
  parameter IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0;
  parameter IS_ENARDEN_INVERTED = 0, IS_ENBWREN_INVERTED = 0;
  parameter IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0;
  parameter IS_RSTREGARSTREG_INVERTED = 0, IS_RSTREGB_INVERTED = 0;
{_init("INIT", words, 256)}{_init("INITP", words // 8, 256)}
  wire [71:0] a_out, b_out;
  wire [71:0] a_in = {{{bytes_(dia, dipa)}}};
  wire [71:0] b_in = WRITE_WIDTH_B == {wide} ? {{{bytes_(dib, dipb)}, {bytes_(dia, dipa)}}}
      : {{{bytes_(dib, dipb)}}};
  block_ram #(
      .BITS({bits}), .APART(1), .INIT({{{_all("INITP", words // 8)}, {_all("INIT", words)}}}),
      .A_READ(READ_WIDTH_A), .A_WRITE(WRITE_WIDTH_A), .B_READ(READ_WIDTH_B),
      .B_WRITE(WRITE_WIDTH_B), .A_MODE(WRITE_MODE_A), .B_MODE(WRITE_MODE_B), .OLD(1)
  ) ram (
      // A port that is not used may have no clock.
      .clk(CLKARDCLK | CLKBWRCLK), .a_en(ENARDEN ^ IS_ENARDEN_INVERTED),
      .b_en(ENBWREN ^ IS_ENBWREN_INVERTED), .a_rst(RSTRAMARSTRAM ^ IS_RSTRAMARSTRAM_INVERTED),
      .b_rst(RSTRAMB ^ IS_RSTRAMB_INVERTED), .a_we(WEA), .b_we(WEBWE),
      .a_addr(ADDRARDADDR[{bits - 1}:0]), .b_addr(ADDRBWRADDR[{bits - 1}:0]),
      .a_in(a_in), .b_in(b_in), .a_out(a_out), .b_out(b_out));
  assign {doa} = {{{a}}};
  assign {dopa} = {{{ap}}};
  assign {dob} = READ_WIDTH_A == {wide} ? {{{high}}} : {{{b}}};
  assign {dopb} = READ_WIDTH_A == {wide} ? {{{highp}}} : {{{bp}}};
  generate
    if (DOA_REG != 0 || DOB_REG != 0 || IS_CLKARDCLK_INVERTED || IS_CLKBWRCLK_INVERTED
        || RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE"
        // An x of Yosys is as good as 0.
        || (|{{INIT_A, INIT_B, SRVAL_A, SRVAL_B}}) === 1'b1)
      this_mode_of_{name}_is_not_described nowhere();
  endgenerate
endmodule
"""
