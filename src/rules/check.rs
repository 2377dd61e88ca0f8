//! Findings that need the whole domain: dangling references, loops, unreachable rules, and what is not carried out yet.
