//! A world of real processes, faults, a workload, an oracle, and one file per invariant.
