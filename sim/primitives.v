// The Xilinx primitives that dot products are made of, for simulators (UG474, UG574).

module LUT1 #(parameter [1:0] INIT = 0) (output O, input I0);
  assign O = INIT[I0];
endmodule

module LUT2 #(parameter [3:0] INIT = 0) (output O, input I0, I1);
  assign O = INIT[{I1, I0}];
endmodule

module LUT3 #(parameter [7:0] INIT = 0) (output O, input I0, I1, I2);
  assign O = INIT[{I2, I1, I0}];
endmodule

module LUT4 #(parameter [15:0] INIT = 0) (output O, input I0, I1, I2, I3);
  assign O = INIT[{I3, I2, I1, I0}];
endmodule

module LUT5 #(parameter [31:0] INIT = 0) (output O, input I0, I1, I2, I3, I4);
  assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter [63:0] INIT = 0) (output O, input I0, I1, I2, I3, I4, I5);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module LUT6_2 #(parameter [63:0] INIT = 0) (output O5, O6, input I0, I1, I2, I3, I4, I5);
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module CARRY4 (output [3:0] CO, O, input CI, CYINIT, input [3:0] DI, S);
  // A wire each: Verilator takes a vector that feeds its own bits for a loop.
  wire c0 = CI | CYINIT;
  wire c1 = S[0] ? c0 : DI[0];
  wire c2 = S[1] ? c1 : DI[1];
  wire c3 = S[2] ? c2 : DI[2];
  wire c4 = S[3] ? c3 : DI[3];
  assign O = S ^ {c3, c2, c1, c0};
  assign CO = {c4, c3, c2, c1};
endmodule

// One chain of eight; CI_TOP starts a second one where CARRY_TYPE is "DUAL_CY4".
module CARRY8 #(parameter CARRY_TYPE = "SINGLE_CY8")
    (output [7:0] CO, O, input CI, CI_TOP, input [7:0] DI, S);
  wire [3:0] middle, top;
  wire half = CARRY_TYPE == "DUAL_CY4" ? CI_TOP : middle[3];
  CARRY4 low(.CO(middle), .O(O[3:0]), .CI(CI), .CYINIT(1'b0), .DI(DI[3:0]), .S(S[3:0]));
  CARRY4 high(.CO(top), .O(O[7:4]), .CI(half), .CYINIT(1'b0), .DI(DI[7:4]), .S(S[7:4]));
  assign CO = {top, middle};
endmodule
