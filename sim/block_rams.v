// Block RAMs of the device families, for simulators; sim/gates.py adds to each its initial contents.
// UG473 and UG573 (RAMB18, RAMB36), FPGA-TN-02204 (DP16KD). One clock for both ports. Output
// registers are not described: no netlist here has them.

// Bytes of nine bits and two ports. A port reads and writes words of WIDTH bits: 1, 2 or 4 bits of
// a byte's lower eight, or 1, 2, 4 or 8 bytes; 0 is never. Its address counts bits, eight a byte.
// What a port reads of a byte that the other writes in that cycle is undefined: the complement of
// the old byte here, so that nothing can rely on it. It is the old byte only where OLD says that
// vendors promise that of writers that read first.
module block_ram #(
    parameter BITS = 14,
    // Apart: the data of all bytes, and above it their parity; else words of two bytes in 20 bits.
    parameter APART = 0, parameter [(10 << (BITS - 3)) - 1:0] INIT = 0,
    parameter A_READ = 0, parameter A_WRITE = 0, parameter B_READ = 0, parameter B_WRITE = 0,
    parameter A_MODE = "NO_CHANGE", parameter B_MODE = "NO_CHANGE", parameter OLD = 0
) (
    input clk,
    input a_en, a_rst, b_en, b_rst,
    input [7:0] a_we, b_we,
    input [BITS-1:0] a_addr, b_addr,
    input [71:0] a_in, b_in,
    output reg [71:0] a_out, b_out
);
  localparam BYTES = 1 << (BITS - 3);
  reg [8:0] mem[0:BYTES-1];
  integer k;
  initial begin
    for (k = 0; k < BYTES; k = k + 1)
      mem[k] = APART ? {INIT[8*BYTES+k], INIT[8*k+:8]} : INIT[20*(k/2)+9*(k%2)+:9];
    a_out = 0;
    b_out = 0;
  end

  // Bytes of a word, and the first byte and bit of the word at an address.
  function integer bytes(input integer width);
    bytes = width < 9 ? 1 : width / 9;
  endfunction
  function [BITS-4:0] first(input [BITS-1:0] address, input integer width);
    first = (address >> 3) & ~(bytes(width) - 1);
  endfunction
  function [2:0] place(input [2:0] address, input integer width);
    place = width < 9 ? address & ~(width - 1) : 0;
  endfunction

  // The other port writes this byte, or these bits of it, and does not promise the old ones.
  function lost(input [BITS-4:0] byte_, input [2:0] bit_, input integer read,
                input en, input [7:0] we, input [BITS-1:0] address, input integer width,
                input read_first);
    integer n, wider;
    begin
      lost = 0;
      wider = read > width ? read : width;
      for (n = 0; n < bytes(width); n = n + 1)
        if (width != 0 && en && we[n] && first(address, width) + n == byte_
            && place(address[2:0], wider) == place(bit_, wider)) lost = !read_first;
    end
  endfunction

  // The byte that a write leaves.
  function [8:0] written(input [8:0] old, input [8:0] data, input [2:0] address,
                         input integer width);
    written = width >= 9 ? data
            : (old & ~(((1 << width) - 1) << place(address, width)))
            | ((data & ((1 << width) - 1)) << place(address, width));
  endfunction

  reg [71:0] a_word, b_word;
  reg [8:0] old;
  reg [BITS-4:0] here;
  always @(posedge clk) begin
    a_word = 0;
    b_word = 0;
    for (k = 0; k < bytes(A_READ); k = k + 1) begin
      here = first(a_addr, A_READ) + k;
      old = mem[here];
      if (lost(here, a_addr[2:0], A_READ, b_en, b_we, b_addr, B_WRITE,
               OLD && B_MODE == "READ_FIRST")) old = ~old;
      a_word[9*k+:9] = A_READ < 9 ? (old >> place(a_addr[2:0], A_READ)) & ((1 << A_READ) - 1) : old;
    end
    for (k = 0; k < bytes(B_READ); k = k + 1) begin
      here = first(b_addr, B_READ) + k;
      old = mem[here];
      if (lost(here, b_addr[2:0], B_READ, a_en, a_we, a_addr, A_WRITE,
               OLD && A_MODE == "READ_FIRST")) old = ~old;
      b_word[9*k+:9] = B_READ < 9 ? (old >> place(b_addr[2:0], B_READ)) & ((1 << B_READ) - 1) : old;
    end
    // A port that writes first shows what it writes, of words as wide as those it reads.
    if (A_MODE == "WRITE_FIRST" && A_WRITE == A_READ)
      for (k = 0; k < bytes(A_WRITE); k = k + 1) if (a_we[k]) a_word[9*k+:9] = a_in[9*k+:9];
    if (B_MODE == "WRITE_FIRST" && B_WRITE == B_READ)
      for (k = 0; k < bytes(B_WRITE); k = k + 1) if (b_we[k]) b_word[9*k+:9] = b_in[9*k+:9];

    if (a_en && A_READ != 0)
      if (a_rst) a_out <= 0;
      else if (A_MODE != "NO_CHANGE" || A_WRITE == 0 || a_we == 0) a_out <= a_word;
    if (b_en && B_READ != 0)
      if (b_rst) b_out <= 0;
      else if (B_MODE != "NO_CHANGE" || B_WRITE == 0 || b_we == 0) b_out <= b_word;

    if (a_en && A_WRITE != 0)
      for (k = 0; k < bytes(A_WRITE); k = k + 1) if (a_we[k]) begin
        here = first(a_addr, A_WRITE) + k;
        mem[here] = written(mem[here], a_in[9*k+:9], a_addr[2:0], A_WRITE);
      end
    if (b_en && B_WRITE != 0)
      for (k = 0; k < bytes(B_WRITE); k = k + 1) if (b_we[k]) begin
        here = first(b_addr, B_WRITE) + k;
        mem[here] = written(mem[here], b_in[9*k+:9], b_addr[2:0], B_WRITE);
      end
  end
endmodule
