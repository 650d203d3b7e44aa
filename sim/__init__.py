"""Benches: Amaranth simulator, cocotb, Verilator, proofs."""
