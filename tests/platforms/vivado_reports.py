"""Reports as Vivado writes them, and a program that lays them in its place."""

__all__ = ["FAKE", "HIERARCHY", "TIMING", "UTILIZATION_7", "UTILIZATION_UP"]

# Reports, in the format of UG906, as Vivado 2020.2 writes them.

TIMING = """\
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
     {wns}      -13.146                     57                 1696        0.082        0.000                      0                 1696        3.750        0.000                       0                  1218


Max Delay Paths
--------------------------------------------------------------------------------------
Slack ({state}) :        {wns}ns  (required time - arrival time)
  Source:                 shell/flow/core/mvtu0/x_reg[0]/C
                            (rising edge-triggered cell FDRE clocked by ps_clock  {{rise@0.000ns}})
  Destination:            shell/flow/core/mvtu1/sum_reg[31]/D
                            (rising edge-triggered cell FDRE clocked by ps_clock  {{rise@0.000ns}})
  Path Group:             ps_clock
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (ps_clock rise@10.000ns - ps_clock rise@0.000ns)

Slack (MET) :             5.000ns  (required time - arrival time)
  Source:                 shell/port/x_reg[0]/C
  Destination:            shell/flow/core/mvtu2/y_reg[0]/D

Min Delay Paths
--------------------------------------------------------------------------------------
Slack (MET) :             -9.000ns  (arrival time - required time)
  Source:                 shell/port/y_reg[0]/C
  Destination:            shell/port/z_reg[0]/D
"""  # noqa: E501

UTILIZATION_7 = """\
+----------------------------+-------+-------+-----------+-------+
|          Site Type         |  Used | Fixed | Available | Util% |
+----------------------------+-------+-------+-----------+-------+
| Slice LUTs                 | 37302 |     0 |     53200 | 70.12 |
|   LUT as Logic             | 33125 |     0 |     53200 | 62.27 |
| Slice Registers            | 51015 |     0 |    106400 | 47.95 |
|   Register as Flip Flop    | 51015 |     0 |    106400 | 47.95 |
+----------------------------+-------+-------+-----------+-------+
| Block RAM Tile    | 106.5 |     0 |       140 | 76.07 |
|   RAMB36/FIFO*    |    90 |     0 |       140 | 64.29 |
| DSPs      |   24 |     0 |       220 | 10.91 |
"""

UTILIZATION_UP = """\
+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs*                  | 8354 |     0 |          0 |    230400 |  3.63 |
| CLB Registers              | 5005 |     0 |          0 |    460800 |  1.09 |
| Block RAM Tile             |  2.5 |     0 |          0 |       312 |  0.80 |
| URAM                       |    4 |     0 |          0 |        96 |  4.17 |
| DSPs                       |    3 |     0 |          0 |      1728 |  0.17 |
"""

HIERARCHY = """\
1. Utilization by Hierarchy
---------------------------

+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
|     Instance     |  Module | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |
+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
| top              |   (top) |       8354 |       6026 |    2328 |    0 | 5005 |      2 |      1 |    4 |          3 |
|   (top)          |   (top) |       1097 |       1097 |       0 |    0 | 4423 |      0 |      0 |    0 |          0 |
|   shell          |   shell |       7257 |       4929 |    2328 |    0 |  582 |      2 |      1 |    4 |          3 |
|     mvtu0        |   mvtu0 |       7000 |       4672 |    2328 |    0 |  500 |      2 |      1 |    4 |          3 |
|       (mvtu0)    |   mvtu0 |          1 |          1 |       0 |    0 |    0 |      0 |      0 |    0 |          0 |
|     fifo1        |   fifo1 |        257 |        257 |       0 |    0 |   82 |      0 |      0 |    0 |          0 |
+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
"""  # noqa: E501

# What stands in the place of Vivado: says its version, and acts.
FAKE = """#!/bin/sh
[ "$1" = -version ] && echo "{version}" && exit 0
{action}
"""
