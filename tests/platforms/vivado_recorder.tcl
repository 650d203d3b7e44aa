# Runs a Vivado script with every Vivado command recorded, none done: tclsh vivado_recorder.tcl
# SCRIPT LOG. A line of the log is a command with its arguments, as a Tcl list; a command that is
# not in UG835 (2020.1), and is no part of Tcl, ends the run with an error. read_xdc runs the
# constraints in the same way (XDC is a part of Tcl, UG903).

# UG835: each returns what the script makes use of, or nothing.
set commands {
    add_files all_fanin create_clock create_project current_design get_cells get_clocks
    get_iobanks get_nets get_pins get_ports get_property opt_design phys_opt_design place_design
    read_verilog read_xdc report_clock_utilization report_control_sets report_drc report_io
    report_methodology report_power report_route_status report_timing_summary report_utilization
    route_design set_false_path set_input_jitter set_max_delay set_property synth_design write_bitstream
    write_cfgmem write_checkpoint
}
lassign $argv script log_name
set log [open $log_name w]

foreach command $commands {
    proc $command args [format {
        puts $::log [list %1$s {*}$args]
        return [returned %1$s $args]
    } $command]
}

proc returned {command arguments} {
    switch -glob $command {
        get_cells {
            # Of the cells that Amaranth marks, the registers of the reset synchroniser are there.
            if {[string match *false_path_pre* $arguments]} { return reset_register }
            return {}
        }
        get_pins { return reset_register/PRE }
        get_* - all_fanin { return [lindex $arguments end] }
        current_design { return design }
        read_xdc { uplevel #0 [list source [lindex $arguments end]] }
    }
    return
}

proc quit {} { puts $::log quit; close $::log; exit 0 }
proc unknown args { error "not a Vivado command: $args" }

source $script
error "the script came to its end without quit"
