//! The port pairs that are open and free: taken from the front, given back at the back, so that the one released
//! longest ago is used next (no fixed time of rest). O(1); empty means 503.
